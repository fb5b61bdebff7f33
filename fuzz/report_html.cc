// The report as a page.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "corpus/sequences.h"
#include "fuzz/graph_svg.h"
#include "fuzz/html.h"
#include "fuzz/report.h"
#include "gen/plant.h"
#include "interp/onnx_io.h"

namespace assay {
namespace {

constexpr int64_t kMostDrawnBytes = int64_t{8} << 20;  // of a model file; larger ones are not drawn
constexpr size_t kMostGroups = 500;

const char* Mood(int64_t part, int64_t whole) {
  if (whole == 0 || part == whole) return "good";
  return static_cast<double>(part) >= 0.9 * static_cast<double>(whole) ? "warn" : "bad";
}

std::string Card(const std::string& value, const std::string& label, const std::string& mood = "") {
  return fmt::format("<div class=\"card\"><b class=\"{}\">{}</b><span>{}</span></div>\n", mood,
                     value, label);
}

std::string Cell(int64_t n) {
  return "<td class=\"n\">" + (n == 0 ? "<span class=\"soft\">0</span>" : Grouped(n)) + "</td>";
}
std::string CellOf(int64_t n, int64_t whole) {
  std::string mood = whole > 0 ? Mood(n, whole) : "soft";
  return fmt::format("<td class=\"n\"><span class=\"{}\">{}</span></td>", mood, Grouped(n));
}

std::string Plural(int64_t n, const std::string& one, const std::string& many) {
  return Grouped(n) + " " + (n == 1 ? one : many);
}

// The outcome in one sentence.
std::string Headline(const Counts& c) {
  const FaultTally& f = c.faults;
  std::string text;
  if (f.observable > 0) {
    text = f.detected == f.observable
               ? fmt::format(
                     "<span class=\"good\">Every one of {} observable faults was detected</span>",
                     Grouped(f.observable))
               : fmt::format("<span class=\"bad\">{} of {} observable faults were missed</span>",
                             Grouped(f.observable - f.detected), Grouped(f.observable));
    text += fmt::format(", <span class=\"{}\">{} repaired</span>; ", Mood(f.repaired, f.observable),
                        Share(f.repaired, f.observable));
  }
  text += c.false_alarms == 0
              ? "<span class=\"good\">no false alarm</span>"
              : "<span class=\"bad\">" + Plural(c.false_alarms, "false alarm", "false alarms") +
                    "</span>";
  return text + " in " + Plural(c.benign_cases, "case", "cases") + " without a fault.";
}

std::string Cards(const CampaignData& d) {
  const Counts& c = d.counts;
  const FaultTally& f = c.faults;
  std::string cards = Card(Grouped(c.cases), "cases");
  if (d.seconds > 0) {
    cards +=
        Card(fmt::format("{:.1f}", static_cast<double>(c.cases) / d.seconds), "cases per second");
  }
  cards += Card(Grouped(f.injected), "faults injected");
  cards += Card(Grouped(f.observable), "of them observable");
  cards += Card(Share(f.detected, f.observable), "detected", Mood(f.detected, f.observable));
  cards += Card(Share(f.localized_top1, f.observable), "localized first",
                Mood(f.localized_top1, f.observable));
  cards += Card(Share(f.repaired, f.observable), "repaired", Mood(f.repaired, f.observable));
  cards += Card(Grouped(c.rewrites_applied), "benign rewrites");
  cards += Card(Grouped(c.false_alarms), "false alarms", c.false_alarms == 0 ? "good" : "bad");
  cards += Card(Grouped(c.findings), "findings", c.findings == 0 ? "good" : "warn");
  return "<div class=\"cards\">\n" + cards + "</div>\n";
}

std::string TallyCells(const FaultTally& t) {
  return Cell(t.injected) + Cell(t.observable) + Cell(t.latent) + Cell(t.equivalent) +
         CellOf(t.detected, t.observable) + CellOf(t.localized_top1, t.observable) +
         CellOf(t.repaired, t.observable);
}

constexpr char kTallyHead[] =
    "<th class=\"n\">injected</th><th class=\"n\">observable</th><th class=\"n\">latent</th><th "
    "class=\"n\">equivalent</th><th class=\"n\">detected</th><th class=\"n\">localized</th><th "
    "class=\"n\">repaired</th>";

std::string OperatorChips(const std::map<std::string, FaultTally>& by_op) {
  std::vector<std::pair<std::string, FaultTally>> ops(by_op.begin(), by_op.end());
  std::stable_sort(ops.begin(), ops.end(), [](const auto& a, const auto& b) {
    return a.second.injected > b.second.injected;
  });
  std::string chips = "<div class=\"chips\">";
  for (const auto& [op, t] : ops) {
    const char* mood = t.observable == 0                                  ? ""
                       : std::min(t.detected, t.repaired) == t.observable ? "good"
                       : t.detected == t.observable                       ? "warn"
                                                                          : "bad";
    chips += fmt::format(
        "<span class=\"chip {}\" title=\"injected {}, observable {}, detected {}, repaired {}\">{} "
        "{}·{}·{}·{}</span>",
        mood, t.injected, t.observable, t.detected, t.repaired,
        op.empty() ? std::string("input/output/constant") : Escape(op, 60), t.injected,
        t.observable, t.detected, t.repaired);
  }
  return chips + "</div>";
}

std::string ClassTable(const Counts& c) {
  if (c.by_class.empty()) return "<p class=\"soft\">No fault was injected.</p>\n";
  std::string html =
      std::string("<div class=\"scroll\"><table><tr><th>class</th>") + kTallyHead + "</tr>\n";
  for (const auto& [cls, total] : c.by_class) {
    html += "<tr><td><code>" + Escape(cls, 60) + "</code></td>" + TallyCells(total) + "</tr>\n";
  }
  html += "<tr class=\"group\"><td>all</td>" + TallyCells(c.faults) + "</tr>\n";
  return html +
         "</table></div>\n<p class=\"soft\">Detected, localized and repaired count observable "
         "faults. Latent: the "
         "outputs were equal on every input that the judge tried. Equivalent: proved equal.</p>\n";
}

// A name in which a line may break behind each '_'.
std::string Breakable(const std::string& name) {
  std::string html;
  for (char c : Escape(name, 80)) html += c == '_' ? std::string("_<wbr>") : std::string(1, c);
  return html;
}

std::string FaultTable(const Counts& c) {
  if (c.by_fault.empty()) return "<p class=\"soft\">No fault was injected.</p>\n";
  std::string html =
      "<p class=\"soft\">Below each fault its operators: "
      "injected·observable·detected·repaired.</p>\n"
      "<div class=\"scroll\"><table><tr><th>fault</th><th class=\"n\">injected</th><th "
      "class=\"n\">observable</th>"
      "<th class=\"n\">detected</th><th class=\"n\">repaired</th></tr>\n";
  for (const auto& [name, t] : c.by_fault) {
    html += "<tr><td class=\"mono\">" + Breakable(name) + "</td>" + Cell(t.injected) +
            Cell(t.observable) + CellOf(t.detected, t.observable) +
            CellOf(t.repaired, t.observable) + "</tr>\n";
    auto ops = c.by_fault_op.find(name);
    if (ops != c.by_fault_op.end()) {
      html += "<tr class=\"ops\"><td colspan=\"5\">" + OperatorChips(ops->second) + "</td></tr>\n";
    }
  }
  return html + "</table></div>\n";
}

std::string Percent(int64_t covered, uint64_t whole) {
  double percent = whole > 0 ? 100 * static_cast<double>(covered) / static_cast<double>(whole) : 0;
  return percent >= 0.1 ? fmt::format("{:.1f}", percent) : fmt::format("{:.2g}", percent);
}

std::string Growth(const CampaignData& d) {
  const Shard* longest = nullptr;
  for (const Shard& s : d.shards) {
    if (!longest || s.cases > longest->cases) longest = &s;
  }
  if (!longest || longest->growth.empty()) return "<p class=\"soft\">No case has run yet.</p>\n";
  std::vector<Series> series;
  for (int k = 0; k < kSequenceLengths; ++k) {
    Series s{k == 0 ? "1 operator" : std::to_string(k + 1) + " operators", {}};
    for (const Counts::GrowthPoint& p : longest->growth) {
      s.points.push_back({static_cast<double>(p.cases), static_cast<double>(p.sequences[k])});
    }
    series.push_back(std::move(s));
  }
  std::string html = "<figure>" + LogChart(series, "cases", "distinct sequences") + "</figure>\n";
  std::vector<uint64_t> feasible = FeasibleSequences(FeasiblePairs(), kSequenceLengths);
  html +=
      "<div class=\"scroll\"><table><tr><th>length</th><th class=\"n\">covered</th><th "
      "class=\"n\">feasible</th><th class=\"n\">share</th></tr>\n";
  for (int k = 0; k < kSequenceLengths; ++k) {
    uint64_t whole = feasible[k];
    int64_t covered = d.counts.sequences[k];
    html += fmt::format("<tr><td>{}</td>{}<td class=\"n\">{}</td><td class=\"n\">{} %</td></tr>\n",
                        k + 1, Cell(covered),
                        whole > INT64_MAX ? "many" : Grouped(static_cast<int64_t>(whole)),
                        Percent(covered, whole));
  }
  html += "</table></div>\n";
  if (d.shards.size() > 1) {
    html +=
        "<p class=\"soft\">The curve is that of the longest shard, the table counts the union of "
        "all.</p>\n";
  }
  return html;
}

// Source and target side by side; what can't be drawn is said.
std::string Drawings(const KeptFinding& f) {
  auto load = [&](const char* name) -> Result<Model> {
    std::string path = f.folder + "/" + name;
    std::string bytes = TRY(ReadFile(path, kMostDrawnBytes));
    return ParseModel(bytes, path, Limits::Small());
  };
  Result<Model> source = load("source.onnx"), target = load("target.onnx");
  if (!source.ok() || !target.ok()) {
    return "<p class=\"soft\">not drawn: " +
           Escape((source.ok() ? target : source).error().message, 200) + "</p>\n";
  }
  return PairDrawing(*source, *target);
}

std::string Steps(const KeptFinding& f) {
  Result<std::string> text = ReadFile(f.folder + "/steps.txt", kMostDrawnBytes);
  if (!text.ok() || text->empty()) return "";
  return "<details><summary>steps of the converter</summary><pre>" + Escape(*text, 6000) +
         "</pre></details>\n";
}

const char* KindMood(const std::string& kind) {
  return kind == "not_repaired" || kind == "repair_refused" ? "warn" : "bad";
}

struct GroupView {
  std::string signature, kind, what, replay;
  int64_t count = 0;
  std::vector<int64_t> cases;
  const KeptFinding* kept = nullptr;
};

std::vector<GroupView> Groups(const CampaignData& d) {
  std::vector<GroupView> views;
  for (const auto& [signature, g] : d.counts.groups) {
    GroupView v{signature, g.kind, g.what, "", g.count, g.cases, nullptr};
    for (const KeptFinding& k : d.findings) {
      if (!v.kept && k.signature == signature) v.kept = &k;
    }
    auto replay = d.replay.find(signature);
    if (v.kept && !v.kept->replay.empty())
      v.replay = v.kept->replay;
    else if (replay != d.replay.end())
      v.replay = replay->second;
    views.push_back(std::move(v));
  }
  const std::vector<FindingKind>& kinds = FindingKinds();
  auto rank = [&](const GroupView& v) {
    return std::find_if(kinds.begin(), kinds.end(),
                        [&](const FindingKind& k) { return k.name == v.kind; }) -
           kinds.begin();
  };
  std::stable_sort(views.begin(), views.end(), [&](const GroupView& a, const GroupView& b) {
    return std::tuple(rank(a), -a.count, a.signature) < std::tuple(rank(b), -b.count, b.signature);
  });
  return views;
}

std::string FindingHtml(const GroupView& v, bool drawn) {
  std::string cases;
  for (int64_t c : v.cases) cases += (cases.empty() ? "" : ", ") + std::to_string(c);
  if (v.count > static_cast<int64_t>(v.cases.size())) cases += ", …";
  std::string html = fmt::format(
      "<article class=\"finding\"><h3><span class=\"badge {}\">{}</span> {}</h3>\n<p "
      "class=\"soft\">{} · case {} · "
      "<span class=\"mono\">{}</span></p>\n",
      KindMood(v.kind), Escape(v.kind, 60), Escape(v.what, 400), Plural(v.count, "case", "cases"),
      cases, Escape(v.signature, 200));
  if (!v.replay.empty()) html += "<pre>" + Escape(v.replay) + "</pre>\n";
  if (v.kept) {
    html += "<p class=\"soft\">in <span class=\"mono\">" + Escape(v.kept->folder, 400) +
            "</span></p>\n";
    html += Steps(*v.kept);
    if (drawn) html += Drawings(*v.kept);
  }
  return html + "</article>\n";
}

std::string Findings(const CampaignData& d, size_t max_drawn) {
  std::vector<GroupView> views = Groups(d);
  if (views.empty()) return "<p class=\"good\">None.</p>\n";
  std::string html =
      "<p class=\"soft\">Cases with one signature probably have one cause and stand together. "
      "Nodes without a "
      "counterpart on the other side are coloured.</p>\n<div class=\"chips\">";
  for (const FindingKind& k : FindingKinds()) {
    auto it = d.counts.by_kind.find(k.name);
    if (it == d.counts.by_kind.end()) continue;
    html += fmt::format("<span class=\"chip {}\" title=\"{}\">{} {}</span>", KindMood(k.name),
                        Escape(k.meaning), Escape(k.name), Grouped(it->second));
  }
  html += "</div>\n";
  size_t drawn = 0;
  for (size_t i = 0; i < views.size() && i < kMostGroups; ++i) {
    bool draw = views[i].kept != nullptr && drawn < max_drawn;
    drawn += draw;
    html += FindingHtml(views[i], draw);
  }
  if (views.size() > kMostGroups) {
    html += "<p class=\"soft\">" +
            Plural(static_cast<int64_t>(views.size() - kMostGroups), "more group", "more groups") +
            " in summary.json</p>\n";
  }
  return html;
}

std::string CountTable(const std::map<std::string, int64_t>& counts, const std::string& what,
                       const std::string& number) {
  std::vector<std::pair<std::string, int64_t>> rows(counts.begin(), counts.end());
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string html = "<div class=\"scroll\"><table><tr><th>" + what + "</th><th class=\"n\">" +
                     number + "</th></tr>\n";
  for (const auto& [name, n] : rows)
    html += "<tr><td><code>" + Escape(name, 120) + "</code></td>" + Cell(n) + "</tr>\n";
  return html + "</table></div>\n";
}

std::string Throughput(const CampaignData& d) {
  std::string html =
      "<div class=\"scroll\"><table><tr><th>folder</th><th class=\"n\">cases</th><th "
      "class=\"n\">seconds</th>"
      "<th class=\"n\">cases per second</th><th>options</th></tr>\n";
  for (const Shard& s : d.shards) {
    std::string rate =
        s.seconds > 0 ? fmt::format("{:.1f}", static_cast<double>(s.cases) / s.seconds) : "–";
    html += fmt::format(
        "<tr><td class=\"mono\">{}</td>{}<td class=\"n\">{:.0f}</td><td class=\"n\">{}</td><td "
        "class=\"mono\">{}</td></tr>\n",
        Escape(s.folder, 300), Cell(s.cases), s.seconds, rate,
        Escape(s.header.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace), 600));
  }
  return html + "</table></div>\n";
}

}  // namespace

std::string ReportHtml(const CampaignData& d, size_t max_drawn) {
  const Counts& c = d.counts;
  std::string html = "<p class=\"soft\">assay</p>\n<h1>Campaign report</h1>\n<p class=\"lead\">" +
                     Headline(c) + "</p>\n";
  if (c.undecided + c.unjudged > 0) {
    html += fmt::format(
        "<p class=\"soft\">{} undecided by the verifier, {} not judged (the source can't be run "
        "here).</p>\n",
        Grouped(c.undecided), Grouped(c.unjudged));
  }
  for (const std::string& note : d.notes)
    html += "<p class=\"warn\">" + Escape(note, 400) + "</p>\n";
  html += Cards(d);
  html += "<h2>Fault classes</h2>\n" + ClassTable(c);
  html += "<h2>Operator-sequence coverage</h2>\n" + Growth(d);
  html += "<h2>Findings</h2>\n" + Findings(d, max_drawn);
  html += "<h2>Faults by operator</h2>\n" + FaultTable(c);
  if (!c.by_rewrite.empty())
    html += "<h2>Benign rewrites</h2>\n" + CountTable(c.by_rewrite, "rewrite", "applied");
  html += "<h2>Errors</h2>\n" + (c.errors.empty() ? std::string("<p class=\"good\">None.</p>\n")
                                                  : CountTable(c.errors, "phase: code", "cases"));
  html += "<h2>Throughput</h2>\n" + Throughput(d);
  return HtmlPage("assay: campaign report", html);
}

}  // namespace assay
