#include "tools/verify_page.h"

#include <fmt/format.h>

#include "fuzz/graph_svg.h"
#include "fuzz/html.h"

namespace assay {
namespace {

const char* Mood(Verdict v) {
  return v == Verdict::kEquivalent ? "good" : v == Verdict::kDifferent ? "bad" : "warn";
}

std::string Row(const char* step, Verdict verdict, const std::string& text, const std::string& note = "") {
  return fmt::format("<tr><td>{}</td><td class=\"{}\">{}</td><td>{}{}</td></tr>\n", step, Mood(verdict),
                     VerdictName(verdict), text,
                     note.empty() ? "" : "<br><span class=\"soft\">" + Escape(note, 400) + "</span>");
}

std::string Steps(const Verification& v) {
  std::string rows = "<tr><th>step</th><th>verdict</th><th>measured</th></tr>\n";
  rows += Row("architecture", v.architecture.verdict,
              fmt::format("{} source nodes, {} target nodes, {} aligned", Grouped(v.architecture.source_nodes),
                          Grouped(v.architecture.target_nodes), Grouped(v.architecture.aligned_nodes)),
              v.architecture.note);
  rows += Row("parameters", v.parameters.verdict,
              fmt::format("{} and {} parameters; {} constants folded within rounding, {} different",
                          Grouped(v.parameters.source_parameters), Grouped(v.parameters.target_parameters),
                          v.parameters.snapped, v.parameters.different));
  rows += Row("accuracy", v.accuracy.verdict, fmt::format("{:.4g} % of labels agree", 100 * v.accuracy.agreement));
  rows += Row("error", v.error.verdict,
              fmt::format("mean relative error {:.3g}, largest {:.3g}, {:.3g} of the rounding bound, on {} inputs",
                          v.error.mape, v.error.max_abs, v.error.margin, v.error.samples),
              v.error.note);
  rows += Row("time", v.time.verdict, fmt::format("{:.3g} ms and {:.3g} ms", v.time.source_ms, v.time.target_ms));
  return "<div class=\"scroll\"><table>" + rows + "</table></div>\n";
}

std::string Differences(const Verification& v) {
  if (v.differences.empty()) return "";
  std::string rows =
      "<tr><th>class</th><th>target node</th><th>what</th><th>in the source</th><th>in the target</th><th>source node</th></tr>\n";
  for (const Difference& d : v.differences) {
    rows += fmt::format(
        "<tr><td><span class=\"badge {}\">{}</span></td><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td>"
        "<td><code>{}</code></td></tr>\n",
        d.observable ? "bad" : "warn", Escape(d.cls), Escape(d.target_node, 120), Escape(d.what, 300),
        Escape(d.source_value, 300), Escape(d.target_value, 300), Escape(d.source_node, 120));
  }
  return "<h2>Differences, nearest to the cause first</h2>\n<div class=\"scroll\"><table>" + rows + "</table></div>\n";
}

}  // namespace

std::string VerificationPage(const Model& source, const Model& target, const std::string& source_name,
                             const std::string& target_name, const Verification& v) {
  std::string verdict = fmt::format("<p class=\"lead\"><b class=\"{}\">{}</b>{}</p>\n", Mood(v.verdict),
                                    VerdictName(v.verdict), v.architecture.proved ? ", proved" : "");
  std::string models = fmt::format("<p class=\"soft\">source <code>{}</code>, target <code>{}</code></p>\n",
                                   Escape(source_name), Escape(target_name));
  return HtmlPage("assay: verification", "<p class=\"soft\">assay</p>\n<h1>Verification</h1>\n" + verdict + models + "<h2>The four steps</h2>\n" + Steps(v) + Differences(v) +
                                      "<h2>The graphs</h2>\n" + PairDrawing(source, target));
}

}  // namespace assay
