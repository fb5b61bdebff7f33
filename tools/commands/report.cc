// assay report: the report of one or several campaign folders.
#include "fuzz/report.h"

#include <fmt/format.h>

#include "interp/onnx_io.h"
#include "tools/command.h"

namespace assay {
namespace {

struct Flags {
  std::vector<std::string> folders;
  std::string html;
  JsonFlag json;
};

void Print(const CampaignData& d, std::FILE* to) {
  const FaultTally& f = d.counts.faults;
  fmt::print(to, "{} cases in {} folders, {:.0f} s\n", d.counts.cases, d.shards.size(), d.seconds);
  fmt::print(to,
             "faults: {} injected, {} observable, {} detected, {} localized first, {} repaired\n",
             f.injected, f.observable, f.detected, f.localized_top1, f.repaired);
  fmt::print(to, "rewrites: {} applied, {} false alarms\n", d.counts.rewrites_applied,
             d.counts.false_alarms);
  fmt::print(to, "sequences:");
  for (int64_t n : d.counts.sequences) fmt::print(to, " {}", n);
  fmt::print(to, "\nfindings: {}\n", d.counts.findings);
  for (const auto& [signature, g] : d.counts.groups) {
    fmt::print(to, "  {} x {}: {}\n", g.count, g.kind, OneLine(g.what));
    auto replay = d.replay.find(signature);
    if (replay != d.replay.end()) fmt::print(to, "    {}\n", OneLine(replay->second));
  }
  for (const auto& [name, n] : d.counts.errors) fmt::print(to, "error {}: {}\n", OneLine(name), n);
}

Result<int> Execute(const Flags& f) {
  CampaignData data = TRY(ReadCampaigns(f.folders));
  for (const std::string& note : data.notes)
    fmt::print(stderr, "assay report: {}\n", OneLine(note));
  if (!f.html.empty()) TRY(WriteFile(f.html, ReportHtml(data)));
  TRY(f.json.Write(ReportJson(data)));
  Print(data, f.json.human());
  return exit_code::kFine;
}

Runner Setup(CLI::App& app) {
  auto f = std::make_shared<Flags>();
  app.add_option("folders", f->folders, "campaign folders; shards merge")->required();
  app.add_option("--html", f->html, "write the page to this file");
  f->json.Add(app);
  return [f] { return Execute(*f); };
}

constexpr char kDetails[] =
    R"(Reads the journals (a campaign may still be running), merges shards, and prints what was injected, detected and
repaired and every group of findings with the command that makes its first case again. The page of --html needs nothing
else: drawings, curves and style are inside. The same shard given twice counts once.)";

}  // namespace

Command command_report() { return {"report", "the report of campaign folders", kDetails, Setup}; }

}  // namespace assay
