// Results of verification and repair as JSON and as text for a terminal.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "oracle/repair.h"
#include "oracle/verify.h"

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

Json ToJson(const Verification& v) {
  Json accuracy = {{"verdict", VerdictName(v.accuracy.verdict)}, {"agreement", v.accuracy.agreement}};
  if (v.accuracy.source_accuracy) accuracy["source_accuracy"] = *v.accuracy.source_accuracy;
  if (v.accuracy.target_accuracy) accuracy["target_accuracy"] = *v.accuracy.target_accuracy;
  Json differences = Json::array();
  for (const Difference& d : v.differences) {
    differences.push_back({{"class", d.cls},
                           {"target_node", d.target_node},
                           {"source_node", d.source_node},
                           {"what", d.what},
                           {"source_value", d.source_value},
                           {"target_value", d.target_value},
                           {"observable", d.observable}});
  }
  return {{"verdict", VerdictName(v.verdict)},
          {"steps",
           {{"architecture",
             {{"verdict", VerdictName(v.architecture.verdict)},
              {"proved", v.architecture.proved},
              {"source_nodes", v.architecture.source_nodes},
              {"target_nodes", v.architecture.target_nodes},
              {"aligned_nodes", v.architecture.aligned_nodes},
              {"note", v.architecture.note}}},
            {"parameters",
             {{"verdict", VerdictName(v.parameters.verdict)},
              {"source_parameters", v.parameters.source_parameters},
              {"target_parameters", v.parameters.target_parameters},
              {"folded_within_rounding", v.parameters.snapped},
              {"different", v.parameters.different}}},
            {"accuracy", accuracy},
            {"error",
             {{"verdict", VerdictName(v.error.verdict)},
              {"mape", v.error.mape},
              {"max_abs", v.error.max_abs},
              {"margin", v.error.margin},
              {"samples", v.error.samples},
              {"note", v.error.note}}},
            {"time",
             {{"verdict", VerdictName(v.time.verdict)},
              {"source_ms", v.time.source_ms},
              {"target_ms", v.time.target_ms},
              {"difference_ms", v.time.difference_ms}}}}},
          {"differences", differences}};
}

// Names come from files: bytes that are not UTF-8 are replaced, never thrown on.
std::string Dump(const Json& j) { return j.dump(2, ' ', false, Json::error_handler_t::replace); }

}  // namespace

std::string VerificationJson(const Verification& v) { return Dump(ToJson(v)); }

std::string VerificationText(const Verification& v) {
  std::string s;
  auto line = [&](const char* step, Verdict verdict, const std::string& text) {
    s += fmt::format("  {:<13} {:<11} {}\n", step, VerdictName(verdict), text);
  };
  s += fmt::format("verdict: {}{}\n", VerdictName(v.verdict), v.architecture.proved ? " (proved)" : "");
  line("architecture", v.architecture.verdict,
       fmt::format("{} source nodes, {} target nodes, {} aligned{}{}", v.architecture.source_nodes, v.architecture.target_nodes,
                   v.architecture.aligned_nodes, v.architecture.note.empty() ? "" : "; ", v.architecture.note));
  line("parameters", v.parameters.verdict,
       fmt::format("{} and {}; {} constants folded within rounding, {} different", v.parameters.source_parameters,
                   v.parameters.target_parameters, v.parameters.snapped, v.parameters.different));
  line("accuracy", v.accuracy.verdict, fmt::format("{:.4g} % of labels agree", 100 * v.accuracy.agreement));
  line("error", v.error.verdict,
       fmt::format("MAPE {:.3g}, largest {:.3g}, {:.3g} of the rounding bound, {} inputs{}{}", v.error.mape, v.error.max_abs,
                   v.error.margin, v.error.samples, v.error.note.empty() ? "" : "; ", v.error.note));
  line("time", v.time.verdict,
       fmt::format("{:.3g} ms and {:.3g} ms, difference {:.3g} ms", v.time.source_ms, v.time.target_ms, v.time.difference_ms));
  int rank = 0;
  for (const Difference& d : v.differences) {
    s += fmt::format("  {}. [{}] {}: {}", ++rank, d.cls, d.target_node, d.what);
    if (!d.source_value.empty() || !d.target_value.empty()) s += fmt::format(": {} in the source, {} in the target", d.source_value, d.target_value);
    if (!d.source_node.empty()) s += fmt::format(" (source node {})", d.source_node);
    s += d.observable ? "\n" : " (latent)\n";
  }
  return s;
}

std::string RepairJson(const Repair& r) {
  Json edits = Json::array();
  for (const RepairEdit& e : r.edits) edits.push_back({{"class", e.cls}, {"target_node", e.target_node}, {"what", e.what}});
  return Dump({{"verdict", VerdictName(r.verdict)},
               {"edits", edits},
               {"verify_before", ToJson(r.before)},
               {"verify_after", ToJson(r.after)}});
}

std::string RepairText(const Repair& r) {
  std::string s = fmt::format("verdict after repair: {}{}\n", VerdictName(r.verdict), r.after.architecture.proved ? " (proved)" : "");
  if (r.edits.empty()) s += "  no edit\n";
  for (const RepairEdit& e : r.edits) s += fmt::format("  [{}] {}: {}\n", e.cls, e.target_node, e.what);
  return s;
}

}  // namespace assay
