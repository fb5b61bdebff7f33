// assay campaign: generate, convert, verify, repair, judge, many times in parallel.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "fuzz/campaign.h"
#include "tools/command.h"

namespace assay {
namespace {

struct Flags {
  CampaignOptions campaign;
  std::string shard;
  int64_t one_case = -1;
  int64_t command_megabytes = 0;
  bool no_repair = false, quiet = false;
  JsonFlag json;
};

const char kDetails[] =
    "Case I follows from --seed, I and the other flags alone; the results are the same bytes "
    "whatever --jobs is.\n"
    "DIR holds the journal, findings, summary.json and report.html (docs/campaigns.md). SIGINT and "
    "SIGTERM let the\n"
    "current cases finish, save and exit 130; --resume then goes on where the journal ends.\n"
    "\n"
    "CMD is a command line without a shell; {source}, {target}, {inputs}, {outputs} and {out} "
    "stand for paths.\n"
    "  --converter  reads {source}, writes {target}             (in place of the built-in buggy "
    "converter)\n"
    "  --verifier   exits 0 when {source} and {target} are equivalent, 1 when they differ\n"
    "  --repairer   reads {source} and {target}, writes {out}; exits 0 or 1\n"
    "  --runtime    reads {source} and input_<j>.pb in {inputs}, writes output_<j>.pb into "
    "{outputs}\n"
    "A crash, a hang, a missing or unreadable output file of theirs is a finding. Commands that "
    "stay alive,\n"
    "{worker} CMD, are not supported yet (exit 4).\n"
    "\n"
    "Exit codes: 0 nothing found, 1 findings, 130 interrupted.";

// ---- shards ----

// "I/N"; "auto" reads what an array job of Kubernetes or Slurm has set.
Status ParseShard(const std::string& text, CampaignOptions* options) {
  if (text.empty()) return {};
  std::string i, n;
  if (text == "auto") {
    auto env = [](const char* name) {
      const char* v = std::getenv(name);
      return std::string(v ? v : "");
    };
    i = env("JOB_COMPLETION_INDEX");
    n = env("JOB_COMPLETIONS");
    if (i.empty()) {
      i = env("SLURM_ARRAY_TASK_ID");
      n = env("SLURM_ARRAY_TASK_COUNT");
    }
    if (i.empty() || n.empty()) {
      return Usage(
          "--shard auto: set JOB_COMPLETION_INDEX and JOB_COMPLETIONS, or SLURM_ARRAY_TASK_ID and "
          "SLURM_ARRAY_TASK_COUNT");
    }
  } else {
    size_t slash = text.find('/');
    if (slash != std::string::npos) i = text.substr(0, slash), n = text.substr(slash + 1);
  }
  auto number = [](const std::string& s) {
    bool digits =
        !s.empty() && s.size() < 10 && s.find_first_not_of("0123456789") == std::string::npos;
    return digits ? std::atoll(s.c_str()) : -1;
  };
  options->shard = number(i);
  options->shards = number(n);
  if (options->shard < 0 || options->shards < 1 || options->shard >= options->shards) {
    return Usage("--shard wants I/N with 0 <= I < N; got '" + text + "'");
  }
  return {};
}

// ---- what people see ----

class LiveLine {
 public:
  explicit LiveLine(bool quiet) : quiet_(quiet), terminal_(isatty(STDERR_FILENO)) {}
  ~LiveLine() {
    if (printed_ && terminal_) std::fputs("\n", stderr);
  }
  void Show(const CampaignProgress& p) {
    constexpr std::chrono::seconds kLogEvery{5};
    auto now = std::chrono::steady_clock::now();
    bool first = last_ == std::chrono::steady_clock::time_point{};
    if (first) last_ = now, cases_ = p.counts.cases;
    bool end = p.counts.cases == p.total;
    if (quiet_ || (!terminal_ && !end && now - last_ < kLogEvery)) return;
    double pause = std::chrono::duration<double>(now - last_).count();
    if (pause > 0.5) {
      rate_ = static_cast<double>(p.counts.cases - cases_) / pause;
      last_ = now;
      cases_ = p.counts.cases;
    }
    const FaultTally& f = p.counts.faults;
    std::string total = p.total >= 0 ? fmt::format("/{}", p.total) : "";
    std::string line = fmt::format(
        "{:.0f} s  cases {}{}  {:.0f}/s  detected {}/{}  repaired {}/{}  false alarms {}  findings "
        "{}  sequences {}",
        p.seconds, p.counts.cases, total, rate_, f.detected, f.observable, f.repaired, f.observable,
        p.counts.false_alarms, p.counts.findings, p.counts.sequences[2]);
    std::fputs(((terminal_ ? "\r\033[K" : "") + line + (terminal_ ? "" : "\n")).c_str(), stderr);
    printed_ = true;
  }

 private:
  bool quiet_, terminal_, printed_ = false;
  std::chrono::steady_clock::time_point last_{};
  int64_t cases_ = 0;
  double rate_ = 0;
};

std::string Share(int64_t n, int64_t of) {
  return of ? fmt::format("{:.1f} %", 100.0 * static_cast<double>(n) / static_cast<double>(of))
            : "-";
}

void PrintRow(std::FILE* out, const std::string& name, const FaultTally& t) {
  fmt::print(out, "{:<10} {:>9} {:>11} {:>7} {:>11} {:>9} {:>8} {:>10} {:>8} {:>9} {:>8}\n", name,
             t.injected, t.observable, t.latent, t.equivalent, t.detected,
             Share(t.detected, t.observable), t.localized_top1,
             Share(t.localized_top1, t.observable), t.repaired, Share(t.repaired, t.observable));
}

void PrintSummary(std::FILE* out, const CampaignResult& r, const CampaignOptions& options) {
  const Counts& c = r.counts;
  fmt::print(out, "{} cases in {:.1f} s ({:.1f}/s), {} without a fault\n\n", c.cases, r.seconds,
             r.seconds > 0 ? static_cast<double>(c.cases) / r.seconds : 0, c.benign_cases);
  if (c.faults.injected > 0) {
    fmt::print(out, "{:<10} {:>9} {:>11} {:>7} {:>11} {:>9} {:>8} {:>10} {:>8} {:>9} {:>8}\n",
               "faults", "injected", "observable", "latent", "equivalent", "detected", "",
               "localized", "", "repaired", "");
    for (const auto& [name, t] : c.by_class) PrintRow(out, name, t);
    PrintRow(out, "all", c.faults);
    fmt::print(out, "\n");
  }
  fmt::print(out, "rewrites applied {}, false alarms {}, undecided {}, not judged {}\n",
             c.rewrites_applied, c.false_alarms, c.undecided, c.unjudged);
  fmt::print(out, "operator sequences of length 1..{}:", kSequenceLengths);
  for (int64_t n : c.sequences) fmt::print(out, " {}", n);
  fmt::print(out, "\n");
  for (const auto& [name, n] : c.errors) fmt::print(out, "errors: {} {}\n", OneLine(name), n);
  fmt::print(out, "findings {}\n", c.findings);
  constexpr size_t kShown = 20;
  size_t shown = 0;
  for (const auto& [signature, g] : c.groups) {
    if (++shown > kShown) break;
    fmt::print(out, "  {} x{}: {}\n    {}\n", g.kind, g.count, OneLine(g.what),
               ReplayCommand(options.cases, g.cases.at(0)));
  }
  if (c.groups.size() > kShown)
    fmt::print(out, "  ... and {} more kinds in summary.json\n", c.groups.size() - kShown);
  fmt::print(out, "report in {}\n", (std::filesystem::path(options.out) / "report.html").string());
}

// ---- running ----

Result<int> RunOneCase(const Flags& f) {
  const CampaignOptions& o = f.campaign;
  CaseCommands commands = TRY(CaseCommands::Of(o.cases));
  std::string scratch = (std::filesystem::path(o.out) / "scratch").string();
  CaseResult r = RunCase(o.cases, commands, f.one_case, scratch);
  std::FILE* out = f.json.human();
  std::string line = RecordLine(r.record);
  fmt::print(out, "{}\n", line);
  for (int p = 0; p < kPhases; ++p)
    fmt::print(out, "{} {:.2f} ms\n", PhaseName(static_cast<Phase>(p)),
               r.ms[static_cast<size_t>(p)]);
  // Without a finding the case is shown all the same.
  if (r.record.findings.empty() && r.record.nodes > 0) {
    CaseResult plain = r;
    plain.record.findings.push_back({"case", "case", "asked for"});
    fmt::print(out, "case in {}\n", TRY(SaveFinding(o.cases, plain, 0, o.out)));
  }
  for (size_t k = 0; k < r.record.findings.size(); ++k) {
    const FindingRecord& finding = r.record.findings[k];
    fmt::print(out, "{}: {}\n  in {}\n", finding.kind, OneLine(finding.what),
               TRY(SaveFinding(o.cases, r, k, o.out)));
  }
  TRY(f.json.Write(nlohmann::json::parse(line)));
  return r.record.findings.empty() ? exit_code::kFine : exit_code::kFinding;
}

// With --resume the folder's options hold; a flag that says otherwise is refused by the campaign.
Status TakeOptionsOfFolder(const CLI::App& app, Flags& f) {
  CampaignOptions& o = f.campaign;
  std::error_code failed;
  if (!o.resume || !std::filesystem::exists(std::filesystem::path(o.out) / "journal.jsonl", failed))
    return {};
  CampaignHeader h = TRY(ReadCampaignHeader(o.out));
  auto take = [&](const char* flag, auto& mine, const auto& theirs) {
    if (app.count(flag) == 0) mine = theirs;
  };
  take("--seed", o.cases.seed, h.cases.seed);
  take("--nodes", o.cases.nodes, h.cases.nodes);
  take("--faults", o.cases.max_faults, h.cases.max_faults);
  take("--rewrites", o.cases.max_rewrites, h.cases.max_rewrites);
  take("--no-repair", o.cases.repair, h.cases.repair);
  take("--profile", o.cases.profile, h.cases.profile);
  take("--converter", o.cases.converter, h.cases.converter);
  take("--verifier", o.cases.verifier, h.cases.verifier);
  take("--repairer", o.cases.repairer, h.cases.repairer);
  take("--runtime", o.cases.runtime, h.cases.runtime);
  take("--command-time", o.cases.command.seconds, h.cases.command.seconds);
  take("--command-memory", o.cases.command.bytes, h.cases.command.bytes);
  take("--shard", o.shard, h.shard);
  take("--shard", o.shards, h.shards);
  return {};
}

Result<int> Execute(const CLI::App& app, Flags& f) {
  CampaignOptions& o = f.campaign;
  TRY(ParseShard(f.shard, &o));
  o.cases.repair = !f.no_repair;
  if (f.command_megabytes > 0) o.cases.command.bytes = f.command_megabytes << 20;
  if (f.one_case >= 0) return RunOneCase(f);
  TRY(TakeOptionsOfFolder(app, f));
  CatchInterrupts();
  o.interrupted = [] { return Interrupted(); };
  Result<CampaignResult> r = [&] {
    LiveLine live(f.quiet);
    o.progress = [&](const CampaignProgress& p) { live.Show(p); };
    return RunCampaign(o);
  }();
  if (!r.ok()) return r.error();
  PrintSummary(f.json.human(), *r, o);
  TRY(f.json.Write(nlohmann::json(CountsJson(r->counts, r->seconds))));
  if (r->interrupted) return InterruptedError();
  return r->counts.findings > 0 ? exit_code::kFinding : exit_code::kFine;
}

void AddCaseFlags(CLI::App& app, Flags& f) {
  CaseOptions& c = f.campaign.cases;
  app.add_option("--nodes", c.nodes, "operators of a generated model, about")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--faults", c.max_faults, "most faults of a case; a third of the cases has none")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  app.add_option("--rewrites", c.max_rewrites, "most benign rewrites of a case")
      ->check(CLI::Range(0, 100))
      ->capture_default_str();
  app.add_option("--profile", c.profile, "of the generator, see assay generate --help")
      ->capture_default_str();
  app.add_flag("--no-repair", f.no_repair, "verify only");
  app.add_option("--converter", c.converter, "judge this converter")->type_name("CMD");
  app.add_option("--verifier", c.verifier, "judge this verifier")->type_name("CMD");
  app.add_option("--repairer", c.repairer, "judge this repairer")->type_name("CMD");
  app.add_option("--runtime", c.runtime, "compare this runtime with the interpreter")
      ->type_name("CMD");
  app.add_option("--command-time", c.command.seconds, "time limit of a CMD, in seconds")
      ->check(CLI::Range(0.01, 86400.0))
      ->capture_default_str()
      ->type_name("SECONDS");
  app.add_option("--command-memory", f.command_megabytes,
                 "memory limit of a CMD, in MiB (default 8192)")
      ->check(CLI::Range(1, 1 << 22))
      ->type_name("MIB");
}

Runner Setup(CLI::App& app) {
  auto f = std::make_shared<Flags>();
  CampaignOptions& o = f->campaign;
  app.add_option("--out", o.out, "the campaign's folder")->required()->type_name("DIR");
  app.add_option("--cases", o.limit,
                 "how many cases, those of all shards together (default: until interrupted)")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 50))
      ->type_name("N");
  app.add_option("--time", o.seconds, "stop after that long")
      ->check(CLI::Range(0.0, 1e9))
      ->type_name("SECONDS");
  AddCaseFlags(app, *f);
  app.add_flag("--resume", o.resume, "go on where the folder's journal ends");
  app.add_option("--shard", f->shard,
                 "do the cases whose index is I modulo N; auto: as an array job says")
      ->type_name("I/N");
  app.add_option("--case", f->one_case, "make this one case again and show it")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 50))
      ->type_name("I");
  app.add_option("--keep-findings", o.keep_findings, "folders of findings kept, three of a kind")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->capture_default_str()
      ->type_name("N");
  AddSeed(app, &o.cases.seed);
  AddJobs(app, &o.jobs);
  AddQuiet(app, &f->quiet);
  f->json.Add(app);
  return [f, &app] { return Execute(app, *f); };
}

}  // namespace

Command command_campaign() {
  return {"campaign", "generate, convert, verify, repair, judge, in parallel", kDetails, Setup};
}

}  // namespace assay
