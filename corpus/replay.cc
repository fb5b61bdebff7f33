#include "corpus/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "interp/choices.h"
#include "oracle/judge.h"
#include "oracle/repair.h"
#include "oracle/verify.h"

namespace assay {
namespace {

// The judge must not see the inputs of the verifier, nor those of a campaign.
constexpr uint64_t kJudgeStream = 0x7e91a;

std::string Describe(const Verification& v) {
  if (!v.differences.empty()) {
    const Difference& d = v.differences[0];
    return d.cls + " at " + d.target_node + ": " + d.what;
  }
  return v.verdict == Verdict::kEquivalent ? ""
         : v.error.note.empty()            ? v.architecture.note
                                           : v.error.note;
}

// XML text; what XML can't hold is replaced.
std::string Xml(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c >= ' ' && c <= '~')
      out += c;
    else
      out += c == '\n' ? "&#10;" : "?";
  }
  return out;
}

}  // namespace

Result<Outcome> ReplayCase(const Entry& entry, const ReplayOptions& options) {
  VerifyOptions verify;
  verify.seed = options.seed;
  verify.measure_time = false;
  verify.limits = options.limits;
  Verification v = TRY(Verify(entry.source, entry.target, verify));
  if (v.verdict != Verdict::kDifferent && !entry.inputs.empty()) {
    // The inputs of the case may show what random ones don't.
    verify.inputs = entry.inputs;
    v = TRY(Verify(entry.source, entry.target, verify));
  }
  Outcome outcome{{v.verdict, std::nullopt}, Describe(v)};
  if (v.verdict != Verdict::kDifferent || !options.repair) return outcome;
  RepairOptions repair;
  repair.seed = options.seed;
  repair.seconds = options.repair_seconds;
  repair.limits = options.limits;
  repair.verify = verify;
  repair.verify_before = repair.verify_after = false;
  Result<Repair> fixed = RepairTarget(entry.source, entry.target, repair);
  if (!fixed.ok()) {
    outcome.found.healed = false;
    outcome.why += "; no repair: " + fixed.error().ToString();
    return outcome;
  }
  JudgeOptions judge;
  judge.seed = MixSeeds(options.seed, kJudgeStream);
  judge.limits = options.limits;
  RepairJudgement judged = JudgeRepair(entry.source, entry.target, fixed->fixed, judge);
  outcome.found.healed = judged.healed;
  if (!judged.healed) outcome.why += "; " + judged.why;
  return outcome;
}

bool Agrees(const Expectation& expected, const Expectation& found, bool repair) {
  if (expected.verdict != found.verdict) return false;
  return !repair || !expected.healed || found.healed == true || expected.healed == found.healed;
}

ReplayResult ReplayEntry(const StoredCase& stored, const ReplayOptions& options) {
  ReplayResult r;
  r.id = stored.id;
  auto start = std::chrono::steady_clock::now();
  Result<Entry> entry = LoadCase(stored.path, options.limits);
  if (!entry.ok()) {
    r.error = entry.error().ToString();
  } else {
    r.expected = entry->expected;
    Result<Outcome> outcome = ReplayCase(*entry, options);
    if (outcome.ok())
      r.outcome = std::move(*outcome);
    else
      r.error = outcome.error().ToString();
    r.passed = r.outcome && Agrees(r.expected, r.outcome->found, options.repair);
  }
  r.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return r;
}

std::string ResultLine(const ReplayResult& r) {
  if (!r.outcome) return r.id + ": error: " + r.error;
  std::string found = r.outcome->found.ToString();
  if (r.passed && r.expected != r.outcome->found)
    found += " (expected " + r.expected.ToString() + ")";
  if (r.passed) return r.id + ": " + found;
  return r.id + ": expected " + r.expected.ToString() + ", found " + found +
         (r.outcome->why.empty() ? "" : " (" + r.outcome->why + ")");
}

std::string JUnitXml(const std::string& suite, const std::vector<ReplayResult>& results) {
  double seconds = 0;
  int64_t errors = 0, failures = 0;
  for (const ReplayResult& r : results) {
    seconds += r.seconds;
    errors += !r.outcome;
    failures += r.outcome && !r.passed;
  }
  std::string xml = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"{}\" tests=\"{}\" "
      "failures=\"{}\" errors=\"{}\" time=\"{:.3f}\">\n",
      Xml(suite), results.size(), failures, errors, seconds);
  for (const ReplayResult& r : results) {
    xml += fmt::format("  <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\"", Xml(suite),
                       Xml(r.id), r.seconds);
    if (r.passed)
      xml += "/>\n";
    else
      xml += fmt::format("><{0} message=\"{1}\"/></testcase>\n", r.outcome ? "failure" : "error",
                         Xml(ResultLine(r)));
  }
  return xml + "</testsuite>\n";
}

}  // namespace assay
