// Entry: one case of the regression corpus (source, target, the steps between them, inputs) with
// what replay must find. Two forms, both described in docs/formats.md:
//   a file     DIR/<id>.case.zst, one zstd frame, deterministic bytes; what corpora hold
//   a folder   source.onnx, target.onnx, steps.txt, test_data_set_<i>/input_<j>.pb, case.txt; what
//   campaigns write as
//              findings and what people look into
// Files are untrusted: sizes are checked before memory is taken, and decompression is bounded.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "interp/transform.h"
#include "oracle/verdict.h"

namespace assay {

// What replay finds of a case: the verdict on the pair and, where a repair was tried, whether the
// judge took it.
struct Expectation {
  Verdict verdict = Verdict::kUndecided;
  std::optional<bool> healed;
  bool operator==(const Expectation&) const = default;
  std::string ToString() const;  // "different healed", "different unhealed", "equivalent"
  // Errors: Invalid for other texts.
  static Result<Expectation> Parse(std::string_view text);
};

struct Entry {
  std::string id;  // file name without suffix: letters, digits and _ . -
  Model source, target;
  std::vector<Step> steps;  // empty where the pair came from outside
  std::vector<std::vector<Tensor>>
      inputs;  // input sets, each in the order of RequiredInputs(); may be empty
  Expectation expected;
  std::string note;  // one line, for people
};

inline constexpr int64_t kMaxEntryBytes = int64_t{256} << 20;  // uncompressed
inline constexpr char kEntrySuffix[] = ".case.zst";

// The file's bytes. Equal entries give equal bytes (with one zstd version); the id is not part of
// them.
Result<std::string> EncodeEntry(const Entry& entry);
// `where` names the bytes in errors; `id` is taken over.
Result<Entry> DecodeEntry(std::string_view bytes, const std::string& where, std::string id = "",
                          const Limits& limits = Limits{});
// "<first fault, or rewrite, or 'pair'>-<8 hex digits of the content>".
std::string EntryId(const Entry& entry);

// A folder in the form above. Everything but the two models may be missing; files that are not part
// of the form are left alone. An entry read from a folder has the folder's name as id.
Result<Entry> LoadCaseFolder(const std::string& folder, const Limits& limits = Limits{});
Status SaveCaseFolder(const Entry& entry, const std::string& folder);

// LoadCaseFolder for a folder, DecodeEntry for a *.case.zst file.
Result<Entry> LoadCase(const std::string& path, const Limits& limits = Limits{});

// Steps as text, one a line; '#' starts a comment line.
std::string StepsText(const std::vector<Step>& steps);
Result<std::vector<Step>> ParseSteps(std::string_view text, const std::string& where);

// The name of a rewrite in the catalogue is B and digits; all other steps are faults.
bool IsRewriteName(std::string_view transform);

}  // namespace assay
