// Replay: does a case still come out as its entry says? Verifies the pair, repairs what differs,
// lets the judge decide, and compares with the expectation.
#pragma once

#include <string>
#include <vector>

#include "corpus/store.h"

namespace assay {

struct ReplayOptions {
  uint64_t seed = 0;
  bool repair = true;          // off: verdicts alone are found and compared
  double repair_seconds = 60;  // the repairer's budget
  Limits limits;
};

struct Outcome {
  Expectation found;
  std::string why;  // one line: the first difference, or the judge's reason
};
// The pair is verified on random inputs and, where these show no difference, on those of the case.
// Repair is tried where the verdict is kDifferent. Errors: those of the verifier. No clock enters
// the outcome, except through the repairer's budget.
Result<Outcome> ReplayCase(const Entry& entry, const ReplayOptions& options = {});

// Does what was found match what is expected? A repair that was not tried (options.repair off, or
// none expected) is not compared.
bool Agrees(const Expectation& expected, const Expectation& found, bool repair);

// One line of a replay's report.
struct ReplayResult {
  std::string id;
  Expectation expected;
  std::optional<Outcome> outcome;  // absent: see `error`
  std::string error;
  bool passed = false;
  double seconds = 0;
};
ReplayResult ReplayEntry(const StoredCase& stored, const ReplayOptions& options);
std::string ResultLine(const ReplayResult& r);  // "id: different healed", or what changed

// The results as JUnit XML, one test case an entry.
std::string JUnitXml(const std::string& suite, const std::vector<ReplayResult>& results);

}  // namespace assay
