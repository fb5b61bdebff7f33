#include "fuzz/seed_corpus.h"

#include <algorithm>

#include "corpus/replay.h"
#include "fuzz/convert.h"
#include "fuzz/edit.h"
#include "fuzz/minimize.h"
#include "fuzz/tables.h"
#include "gen/graph_gen.h"
#include "interp/onnx_io.h"
#include "interp/text.h"
#include "oracle/judge.h"

namespace assay {
namespace {

constexpr int kExampleTries = 6;
constexpr int kSeveral = 8;        // cases with several faults
constexpr int kLeastRewrites = 2;  // that stay in such a case
constexpr size_t kPlain =
    2;  // a target of so few nodes is healed by an edit of attributes or constants
constexpr size_t kRoomy = 8;  // nodes of a target in which a healed sub-graph is an edit
constexpr double kNoClock =
    1e9;  // budgets count tries, so that the same seed gives the same entries

uint64_t HashName(const std::string& name) {
  uint64_t h = name.size();
  for (unsigned char c : name) h = Mix(h ^ c);
  return h;
}

// What is kept while a case shrinks.
struct Signature {
  Expectation found;
  bool differs = false;  // by the judge
  bool operator==(const Signature&) const = default;
};

// Injective functions behind each floating-point output, so that what differed before still does.
Model WithTail(Model m) {
  static const char* const kTail[] = {"Neg", "Sigmoid", "Neg", "Tanh"};
  Graph& g = m.graph;
  for (ValueInfo& out : g.outputs) {
    if (!IsFloat(out.dtype)) continue;
    for (const char* op : kTail) {
      std::string next = out.name + "_" + std::to_string(g.nodes.size());
      g.nodes.push_back(MakeNode(op, {out.name}, {next}, {}, next));
      out.name = next;
    }
  }
  return m;
}

class Seeder {
 public:
  Seeder(const SeedTask& task, const SeedOptions& options)
      : task_(task), options_(options), seed_(MixSeeds(options.seed, HashName(task.name))) {}

  Result<Entry> Run() {
    std::optional<Entry> best;
    Signature kept;
    int best_score = -1;
    for (int i = 0; i < options_.sources && best_score < 3; ++i) {
      std::optional<Entry> e = Draw(i);
      if (!e) continue;
      Result<Signature> s = Of(*e);
      if (!s.ok()) continue;
      int score = Score(*s);
      if (score <= best_score) continue;
      best_score = score;
      best = std::move(e);
      kept = *s;
    }
    if (!best) return Unsupported("no model with a site for it was found", task_.name);
    size_t least_nodes = 0;
    auto interesting = [&](const Entry& e) {
      if (e.target.graph.nodes.size() < least_nodes || !HasItsSteps(e)) return false;
      Result<Signature> s = Of(e);
      return s.ok() && *s == kept;
    };
    MinimizeOptions minimize;
    minimize.max_tries = options_.minimize_tries;
    minimize.seconds = kNoClock;
    minimize.seed = seed_;
    minimize.limits = options_.limits;
    Minimized m = TRY(Minimize(*best, interesting, minimize));
    if (m.entry.target.graph.nodes.size() > kPlain) {
      // What needs more nodes to be healed lies on the judge's border between an edit and a new
      // graph.
      least_nodes = std::min(kRoomy, best->target.graph.nodes.size());
      m = TRY(Minimize(*best, interesting, minimize));
    }
    m.entry.id = task_.name;
    m.entry.expected = kept.found;
    m.entry.note = Note();
    return m.entry;
  }

 private:
  bool several() const { return task_.kind == SeedTask::Kind::kSeveral; }

  // The i-th source: the row's example, the example with more behind it (so that a repair is an
  // edit and not a whole new graph), then generated models, every other one rich in the operators
  // concerned.
  std::optional<Model> Source(int i, Choices& choices) const {
    const Transform* row = FindTransform(task_.name);
    if (i < kExampleTries && row && !row->example.empty()) {
      Result<Model> example = ParseText(row->example, task_.name);
      if (!example.ok()) return std::nullopt;
      return i % 2 == 0 ? std::move(*example) : WithTail(std::move(*example));
    }
    static const char* const kProfiles[] = {"default", "cnn", "float"};
    Result<GenOptions> gen = GenOptions::Profile(kProfiles[i / 2 % 3]);
    if (!gen.ok()) return std::nullopt;
    gen->nodes = several() ? 8 : 4 + i % 5;
    if (row && i % 2 == 0) gen->ops = OperatorsOf(*row);
    Result<Model> model = Generate(choices, *gen);
    if (!model.ok()) return std::nullopt;
    return std::move(*model);
  }

  static std::vector<std::string> OperatorsOf(const Transform& row) {
    std::vector<std::string> ops = {"Add", "Mul", "Sigmoid", "Concat", "Transpose"};
    for (const std::string& op : Fields(row.ops, ',')) {
      if (KnownOp("", op)) ops.push_back(op);
    }
    return ops;
  }

  // The i-th source converted; nothing when it does not serve.
  std::optional<Entry> Draw(int i) {
    Choices choices(MixSeeds(seed_, static_cast<uint64_t>(i)));
    std::optional<Model> source = Source(i, choices);
    if (!source) return std::nullopt;
    Entry e;
    e.source = std::move(*source);
    Result<std::vector<Tensor>> inputs = RandomInputs(e.source, seed_);
    if (inputs.ok()) e.inputs = {std::move(*inputs)};
    Result<Conversion> c = Convert(e.source, HowToConvert(i), choices);
    if (!c.ok()) return std::nullopt;
    e.target = std::move(c->target);
    e.steps = std::move(c->steps);
    if (!HasItsSteps(e)) return std::nullopt;
    return e;
  }

  ConvertOptions HowToConvert(int i) const {
    ConvertOptions o;
    o.limits = options_.limits;
    if (several()) {
      o.faults = 2;
      o.rewrites = 4;
    } else if (task_.kind == SeedTask::Kind::kFault) {
      o.fault_names = {task_.name};
      o.rewrites = i % 3;
    } else {
      o.rewrite_names = {task_.name};
    }
    return o;
  }

  bool HasItsSteps(const Entry& e) const {
    auto count = [&](auto&& wanted) {
      return std::count_if(e.steps.begin(), e.steps.end(),
                           [&](const Step& s) { return wanted(s.transform); });
    };
    if (!several()) {
      Result<std::string> a = SerializeModel(e.source), b = SerializeModel(e.target);
      return count([&](const std::string& t) { return t == task_.name; }) > 0 && a.ok() && b.ok() &&
             *a != *b;
    }
    bool rewritten = count([](const std::string& t) {
                       return IsRewriteName(t) && t != "B27" && t != "B28";
                     }) >= kLeastRewrites;
    return rewritten && count([](const std::string& t) { return !IsRewriteName(t); }) >= 2;
  }

  Result<Signature> Of(const Entry& e) const {
    ReplayOptions replay;
    replay.repair_seconds = kNoClock;
    replay.limits = options_.limits;
    Outcome outcome = TRY(ReplayCase(e, replay));
    JudgeOptions judge;
    judge.limits = options_.limits;
    Judgement judged = TRY(JudgePair(e.source, e.target, judge));
    return Signature{outcome.found, judged.differs};
  }

  // 3: as it should be.
  int Score(const Signature& s) const {
    if (task_.kind == SeedTask::Kind::kRewrite)
      return s.found.verdict == Verdict::kEquivalent && !s.differs ? 3 : 0;
    if (s.found.verdict != Verdict::kDifferent) return 0;
    return 1 + s.differs + (s.differs && s.found.healed == true);
  }

  std::string Note() const {
    const Transform* row = FindTransform(task_.name);
    return row ? row->doc : "several faults under rewrites";
  }

  const SeedTask& task_;
  const SeedOptions& options_;
  uint64_t seed_;
};

}  // namespace

std::vector<SeedTask> SeedTasks() {
  std::vector<SeedTask> tasks;
  for (const Transform& t : AllFaults()) tasks.push_back({SeedTask::Kind::kFault, t.name});
  for (const Transform& t : AllRewrites()) tasks.push_back({SeedTask::Kind::kRewrite, t.name});
  for (int i = 1; i <= kSeveral; ++i)
    tasks.push_back({SeedTask::Kind::kSeveral, "several-" + std::to_string(i)});
  return tasks;
}

Result<Entry> MakeSeed(const SeedTask& task, const SeedOptions& options) {
  return Seeder(task, options).Run();
}

}  // namespace assay
