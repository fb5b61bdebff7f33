// The journal of a campaign: one line of JSON a case, in the order of the case indices,
// append-only. Everything a summary or a report says is computed from these lines (Counts), so a
// campaign resumes and shards merge by reading them. docs/formats.md describes the folder.
//
// No clock enters a line: the same seed and flags give the same bytes whatever the number of jobs.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "interp/result.h"

namespace assay {

inline constexpr int kSequenceLengths = 5;  // operator sequences of 1 to 5 operators are counted
inline constexpr int kJournalVersion = 1;

// One injected fault and what became of it.
struct FaultRecord {
  std::string name, cls;  // "LH_CONV_PADS", "LH"
  std::string op;    // operator at its site; "" where the site is an input, output or initializer
  std::string kind;  // "observable", "latent" (equal on every input tried), "equivalent" (proved),
                     // "unjudged" (the source can't be run)
  bool detected = false;  // the verifier said "different"
  bool localized =
      false;  // the verifier's first difference (of k faults: one of the first k) is of its class
  bool repaired = false;  // the judge took the repair
  bool operator==(const FaultRecord&) const = default;
};

// Something to look into.
struct FindingRecord {
  std::string kind;       // see kFindingKinds
  std::string signature;  // equal for findings that probably have one cause
  std::string what;       // one line
  bool operator==(const FindingRecord&) const = default;
};

// The kinds of findings, in order of weight.
struct FindingKind {
  const char* name;
  const char* meaning;
};
const std::vector<FindingKind>& FindingKinds();

// An error in place of a result; never skipped silently.
struct ErrorRecord {
  std::string
      phase;  // "generate", "convert", "judge", "verify", "repair", "judge_repair", "runtime"
  std::string code;  // "invalid", "unsupported", "limit", "internal", ...
  std::string message;
  bool operator==(const ErrorRecord&) const = default;
};

struct CaseRecord {
  int64_t index = 0;
  int nodes = 0;        // of the source; 0 when none was made
  std::string truth;    // the judge's: "equal", "different", "unjudged"; "" when not reached
  std::string verdict;  // the verifier's: "equivalent", "different", "undecided"; "" when not asked
  std::string repair;   // "", "healed", "not_healed", "refused"
  double margin = 0;    // the judge's, over the rounding bound
  std::vector<FaultRecord> faults;
  std::vector<std::string> rewrites;  // names, in order of application
  std::vector<FindingRecord> findings;
  std::vector<ErrorRecord> errors;
  std::array<int64_t, kSequenceLengths>
      sequences{};  // distinct operator sequences so far, by length
  bool operator==(const CaseRecord&) const = default;
};

std::string RecordLine(const CaseRecord& record);  // without the newline
Result<CaseRecord> ParseRecord(std::string_view line);

// How faults of one kind fared. detected, localized_top1 and repaired count observable faults.
struct FaultTally {
  int64_t injected = 0, observable = 0, latent = 0, equivalent = 0, detected = 0,
          localized_top1 = 0, repaired = 0;
  void Add(const FaultRecord& f);
  void Merge(const FaultTally& o);
};

// Findings with one signature.
struct FindingGroup {
  std::string kind, what;  // of the first
  int64_t count = 0;
  std::vector<int64_t> cases;  // the first ones, at most kFindingCases
};
inline constexpr size_t kFindingCases = 5;

// What a set of records adds up to. Merging the counts of shards is commutative up to the order of
// growth points.
struct Counts {
  int64_t cases = 0, benign_cases = 0, false_alarms = 0, undecided = 0, unjudged = 0;
  int64_t rewrites_applied = 0, findings = 0;
  FaultTally faults;
  std::map<std::string, FaultTally> by_class, by_fault;
  std::map<std::string, std::map<std::string, FaultTally>> by_fault_op;  // fault -> operator
  std::map<std::string, int64_t> by_rewrite, errors;                     // errors: "phase: code"
  std::map<std::string, int64_t> by_kind;                                // findings
  std::map<std::string, FindingGroup> groups;                            // by signature
  std::array<int64_t, kSequenceLengths> sequences{};                     // of the last record

  // Cases -> distinct sequences, thinned to at most kGrowthPoints points.
  struct GrowthPoint {
    int64_t cases;
    std::array<int64_t, kSequenceLengths> sequences;
  };
  std::vector<GrowthPoint> growth;

  void Add(const CaseRecord& record);
  void Merge(const Counts& other);

 private:
  void AddGrowth();
  int64_t growth_step_ = 1;
};
inline constexpr size_t kGrowthPoints = 400;

nlohmann::ordered_json TallyJson(const FaultTally& t);
// summary.json without what only the running campaign knows (options, replay commands).
nlohmann::ordered_json CountsJson(const Counts& counts, double seconds);

// What `ReadJournal` found besides the records.
struct JournalState {
  nlohmann::json header;  // the first line: options of the campaign
  int64_t bytes = 0;      // length of the valid part; what follows is a torn line
  int64_t next = -1;      // last case index; -1: none
};
// Calls `each` for every record, in file order. A torn last line is ignored. Errors: Invalid when
// the file is missing, is no journal, or holds a damaged line that is not the last.
Result<JournalState> ReadJournal(const std::string& path,
                                 const std::function<void(const CaseRecord&)>& each);

// Appends lines; what was written survives a crash of the process at once and of the machine after
// Sync().
class JournalWriter {
 public:
  JournalWriter() = default;
  ~JournalWriter();
  JournalWriter(const JournalWriter&) = delete;
  JournalWriter& operator=(const JournalWriter&) = delete;
  // Opens for appending behind the first `keep_bytes` bytes; the rest is cut off.
  Status Open(const std::string& path, int64_t keep_bytes);
  Status Append(const std::string& line);
  Status Sync();

 private:
  std::string path_;
  int fd_ = -1;
};

}  // namespace assay
