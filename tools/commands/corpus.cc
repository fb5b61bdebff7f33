// assay corpus: the regression corpus. Each sub-verb is a function of the flags.
#include <fmt/format.h>

#include <filesystem>
#include <set>

#include "corpus/replay.h"
#include "corpus/sequences.h"
#include "corpus/store.h"
#include "fuzz/seed_corpus.h"
#include "interp/onnx_io.h"
#include "interp/testcase.h"
#include "interp/text.h"
#include "tools/command.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

struct Flags {
  std::string folder;
  std::vector<std::string> names;  // a case, or source and target (add); ids (show, replay)
  std::string id, note, expect, steps, inputs, junit;
  int max_length = 3;
  int jobs = 1;
  uint64_t seed = 0;
  double seconds = ReplayOptions{}.repair_seconds;
  bool repair = true, dry_run = false, quiet = false;
  JsonFlag json;
};

ReplayOptions ReplayWith(const Flags& f) {
  ReplayOptions o;
  o.seed = f.seed;
  o.repair = f.repair;
  o.repair_seconds = f.seconds;
  return o;
}

// The stored cases that were asked for, all without ids.
Result<std::vector<StoredCase>> Chosen(const Flags& f) {
  std::vector<StoredCase> all = TRY(ListEntries(f.folder)), chosen;
  std::set<std::string> wanted(f.names.begin(), f.names.end());
  for (const StoredCase& c : all) {
    if (f.names.empty() || wanted.erase(c.id) > 0) chosen.push_back(c);
  }
  if (!wanted.empty()) return Usage("no entry '" + *wanted.begin() + "'", f.folder);
  return chosen;
}

Result<Entry> EntryToAdd(const Flags& f) {
  if (f.names.size() == 1) {
    Entry entry = TRY(LoadCase(f.names[0]));
    entry.id = f.id;
    return entry;
  }
  Entry entry;
  entry.id = f.id;
  entry.source = TRY(LoadModel(f.names[0]));
  entry.target = TRY(LoadModel(f.names[1]));
  if (!f.steps.empty()) {
    std::string text = TRY(ReadFile(f.steps, kMaxEntryBytes));
    entry.steps = TRY(ParseSteps(text, f.steps));
  }
  if (!f.inputs.empty()) {
    entry.inputs.push_back(
        TRY(LoadTensors(f.inputs, "input", entry.source.graph.RequiredInputs())));
  }
  return entry;
}

Result<int> Add(const Flags& f) {
  Entry entry = TRY(EntryToAdd(f));
  if (!f.note.empty()) entry.note = f.note;
  if (!f.expect.empty()) {
    entry.expected = TRY(Expectation::Parse(f.expect));
  } else {
    Outcome outcome = TRY(ReplayCase(entry, ReplayWith(f)));
    entry.expected = outcome.found;
  }
  entry.id = TRY(AddEntry(f.folder, entry));
  TRY(f.json.Write({{"id", entry.id}, {"expected", entry.expected.ToString()}}));
  fmt::print(f.json.human(), "{}\n", OneLine(IndexLine(entry)));
  return exit_code::kFine;
}

nlohmann::json Describe(const Entry& e) {
  return {{"id", e.id},
          {"expected", e.expected.ToString()},
          {"faults", FaultsOf(e)},
          {"rewrites", RewritesOf(e)},
          {"steps", e.steps.size()},
          {"input_sets", e.inputs.size()},
          {"source_nodes", e.source.graph.nodes.size()},
          {"target_nodes", e.target.graph.nodes.size()},
          {"note", e.note}};
}

Result<int> List(const Flags& f) {
  std::vector<StoredCase> cases = TRY(ListEntries(f.folder));
  nlohmann::json list = nlohmann::json::array();
  std::vector<std::string> lines;
  for (const StoredCase& c : cases) {
    Entry e = TRY(LoadCase(c.path));
    list.push_back(Describe(e));
    lines.push_back(IndexLine(e));
  }
  TRY(f.json.Write({{"entries", list}}));
  for (const std::string& line : lines) fmt::print(f.json.human(), "{}\n", OneLine(line));
  fmt::print(stderr, "{} entries\n", cases.size());
  return exit_code::kFine;
}

Result<int> Show(const Flags& f) {
  std::vector<StoredCase> cases = TRY(Chosen(f));
  for (const StoredCase& c : cases) {
    Entry e = TRY(LoadCase(c.path));
    fmt::print("# {}\n# expected: {}\n", e.id, e.expected.ToString());
    if (!e.note.empty()) fmt::print("# note: {}\n", OneLine(e.note));
    for (const Step& s : e.steps) fmt::print("# step: {}\n", OneLine(s.ToString()));
    for (size_t s = 0; s < e.inputs.size(); ++s) {
      for (size_t j = 0; j < e.inputs[s].size(); ++j) {
        fmt::print("# input {} {}: {}\n", s, j, TensorText(e.inputs[s][j], 32));
      }
    }
    fmt::print("# source\n{}# target\n{}\n", ToText(e.source), ToText(e.target));
  }
  return exit_code::kFine;
}

Result<int> Replay(const Flags& f) {
  CatchInterrupts();
  std::vector<StoredCase> cases = TRY(Chosen(f));
  std::vector<ReplayResult> results(cases.size());
  Progress progress("entries", static_cast<int64_t>(cases.size()), f.quiet);
  ParallelFor(f.jobs, static_cast<int64_t>(cases.size()), [&](int64_t i) {
    results[i] = ReplayEntry(cases[i], ReplayWith(f));
    progress.Step();
  });
  if (Interrupted()) return InterruptedError();
  int64_t failed = 0;
  nlohmann::json list = nlohmann::json::array();
  for (const ReplayResult& r : results) {
    failed += !r.passed;
    list.push_back({{"id", r.id},
                    {"passed", r.passed},
                    {"expected", r.expected.ToString()},
                    {"found", r.outcome ? r.outcome->found.ToString() : "error"},
                    {"why", r.outcome ? r.outcome->why : r.error}});
    if (!r.passed) fmt::print(f.json.human(), "{}\n", OneLine(ResultLine(r)));
  }
  if (!f.junit.empty()) TRY(WriteFile(f.junit, JUnitXml("assay.corpus", results)));
  TRY(f.json.Write({{"entries", results.size()}, {"failed", failed}, {"results", list}}));
  fmt::print(f.json.human(), "{} of {} entries as expected\n",
             static_cast<int64_t>(results.size()) - failed, results.size());
  return failed == 0 ? exit_code::kFine : exit_code::kFinding;
}

Result<int> Prune(const Flags& f) {
  std::vector<StoredCase> cases = TRY(ListEntries(f.folder));
  std::vector<Entry> entries;
  for (const StoredCase& c : cases) {
    Entry e = TRY(LoadCase(c.path));
    entries.push_back(std::move(e));
  }
  std::vector<std::string> redundant = TRY(Redundant(entries, f.max_length));
  if (!f.dry_run) {
    for (const std::string& id : redundant) TRY(RemoveEntry(f.folder, id));
  }
  TRY(f.json.Write({{"kept", entries.size() - redundant.size()}, {"removed", redundant}}));
  for (const std::string& id : redundant) fmt::print(f.json.human(), "{}\n", id);
  fmt::print(stderr, "{} of {} entries {}\n", redundant.size(), entries.size(),
             f.dry_run ? "could be removed" : "removed");
  return exit_code::kFine;
}

Result<int> Seed(const Flags& f) {
  CatchInterrupts();
  std::vector<SeedTask> tasks = SeedTasks();
  if (!f.names.empty()) {
    std::erase_if(tasks, [&](const SeedTask& t) {
      return std::find(f.names.begin(), f.names.end(), t.name) == f.names.end();
    });
    if (tasks.empty()) return Usage("no fault, rewrite or task of these names");
  }
  SeedOptions options;
  options.seed = f.seed;
  std::vector<std::optional<Result<Entry>>> made(tasks.size());
  Progress progress("cases", static_cast<int64_t>(tasks.size()), f.quiet);
  ParallelFor(f.jobs, static_cast<int64_t>(tasks.size()), [&](int64_t i) {
    made[i] = MakeSeed(tasks[i], options);
    progress.Step(1, tasks[i].name);
  });
  if (Interrupted()) return InterruptedError();
  int64_t missing = 0;
  for (std::optional<Result<Entry>>& m : made) {
    if (!m->ok()) {
      ++missing;
      fmt::print(stderr, "assay corpus seed: {}\n", OneLine(m->error().ToString()));
      continue;
    }
    TRY(PutEntry(f.folder, **m, /*replace=*/true));
    fmt::print(f.json.human(), "{}\n", OneLine(IndexLine(**m)));
  }
  if (missing < static_cast<int64_t>(tasks.size())) TRY(WriteIndex(f.folder));
  TRY(f.json.Write({{"made", static_cast<int64_t>(tasks.size()) - missing}, {"missing", missing}}));
  return exit_code::kFine;
}

Result<int> Index(const Flags& f) {
  TRY(WriteIndex(f.folder));
  return exit_code::kFine;
}

using Verb = Result<int> (*)(const Flags&);

CLI::App* SubVerb(CLI::App& app, const std::string& name, const std::string& help,
                  const std::shared_ptr<Flags>& f, const std::shared_ptr<Verb>& chosen, Verb verb) {
  CLI::App* sub = app.add_subcommand(name, help);
  sub->add_option("folder", f->folder, "the corpus")->required();
  sub->callback([chosen, verb] { *chosen = verb; });
  return sub;
}

void AddReplayFlags(CLI::App* sub, Flags* f) {
  sub->add_flag("!--no-repair", f->repair, "verdicts alone");
  sub->add_option("--repair-seconds", f->seconds, "most time for one repair")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  AddSeed(*sub, &f->seed);
}

Runner Setup(CLI::App& app) {
  auto f = std::make_shared<Flags>();
  auto chosen = std::make_shared<Verb>(nullptr);
  app.require_subcommand(1);
  CLI::App* add =
      SubVerb(app, "add", "adds a finding's folder, an entry, or a pair of models", f, chosen, Add);
  add->add_option("case", f->names, "CASE, or SOURCE TARGET")->required()->expected(1, 2);
  add->add_option("--id", f->id, "name of the entry (default: from its steps and content)");
  add->add_option("--note", f->note, "one line for people");
  add->add_option("--expect", f->expect,
                  "what replay must find, e.g. \"different healed\" (default: what it finds now)");
  add->add_option("--steps", f->steps, "steps file of a pair");
  add->add_option("--inputs", f->inputs, "folder of inputs of a pair");
  AddReplayFlags(add, f.get());
  CLI::App* list = SubVerb(app, "list", "one line an entry", f, chosen, List);
  CLI::App* show = SubVerb(app, "show", "steps, inputs and both graphs as text", f, chosen, Show);
  show->add_option("ids", f->names, "entries (default: all)");
  CLI::App* replay =
      SubVerb(app, "replay", "verifies, repairs and judges again; exit 1 when a verdict changed", f,
              chosen, Replay);
  replay->add_option("ids", f->names, "entries (default: all)");
  replay->add_option("--junit", f->junit, "write the results as JUnit XML");
  AddReplayFlags(replay, f.get());
  AddJobs(*replay, &f->jobs);
  AddQuiet(*replay, &f->quiet);
  CLI::App* prune =
      SubVerb(app, "prune", "keeps a small set with the same sequences, faults and rewrites", f,
              chosen, Prune);
  prune->add_option("--max-length", f->max_length, "longest operator sequence that counts")
      ->check(CLI::Range(1, SequenceSet::kLongest))
      ->capture_default_str();
  prune->add_flag("--dry-run", f->dry_run, "only name what would go");
  CLI::App* seed =
      SubVerb(app, "seed", "makes a minimised case of every fault and rewrite", f, chosen, Seed);
  seed->add_option("names", f->names, "only these");
  AddSeed(*seed, &f->seed);
  AddJobs(*seed, &f->jobs);
  AddQuiet(*seed, &f->quiet);
  SubVerb(app, "index", "writes index.txt anew", f, chosen, Index);
  for (CLI::App* sub : {add, list, replay, prune, seed}) f->json.Add(*sub);
  return [f, chosen] { return (*chosen)(*f); };
}

constexpr char kDetails[] =
    R"(An entry is one file DIR/<id>.case.zst: source, target, the steps between them, inputs and what replay must find
(docs/formats.md). DIR/index.txt has a line for each, for people and for diffs; every change writes it anew.
'assay corpus VERB --help' says the flags of each.)";

}  // namespace

Command command_corpus() { return {"corpus", "the regression corpus", kDetails, Setup}; }

}  // namespace assay
