// What the minimizer keeps of a case: the words of verifier, repairer and judge, or those of
// plugged-in commands.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "corpus/replay.h"
#include "fuzz/external.h"

namespace assay {

struct SignatureOptions {
  ReplayOptions replay;
  std::string converter, verifier;  // command lines; "": built in
  CommandLimits limits;
};

struct FindingSignature {
  Expectation found;     // by the built-in verifier, repairer and judge
  bool differs = false;  // the judge sees the outputs differ
  std::string
      command;  // what became of the commands: "verifier: exit code 1", "converter: signal 11", ""
  bool operator==(const FindingSignature&) const = default;
  std::string ToString() const;
};

// Thread-hostile: runs commands in one scratch folder, which it removes at its end.
class SignatureMaker {
 public:
  // Errors: Usage for a bad command line or an unusable temporary folder.
  static Result<std::unique_ptr<SignatureMaker>> Make(const SignatureOptions& options);
  ~SignatureMaker();

  // Errors: those of verifier and judge; a converter that fails is part of the signature and no
  // error.
  Result<FindingSignature> Of(const Entry& entry);
  bool has_converter() const { return converter_.has_value(); }
  // The converter's target. A converter that fails gives the source itself, so that the search can
  // go on by its failure alone.
  Result<Model> Convert(const Model& source);

 private:
  explicit SignatureMaker(const SignatureOptions& options) : options_(options) {}
  std::string Path(const char* name) const { return scratch_ + "/" + name; }
  // Runs the converter; `*failure` says how it failed, "" when it made a readable model.
  Result<Model> RunConverter(const Model& source, std::string* failure);

  SignatureOptions options_;
  std::optional<ExternalCommand> converter_, verifier_;
  std::string scratch_;
};

}  // namespace assay
