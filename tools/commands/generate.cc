// assay generate: random models, or a known architecture with freshly drawn weights.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <mutex>
#include <set>

#include "corpus/sequence_list.h"
#include "gen/corner_inputs.h"
#include "gen/fresh_weights.h"
#include "gen/profiles.h"
#include "gen/recipe.h"
#include "interp/exec.h"
#include "interp/onnx_io.h"
#include "interp/testcase.h"
#include "tools/command.h"

namespace assay {
namespace {

constexpr int kMaxInputSets = 1000;

using Clock = std::chrono::steady_clock;
double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Flags {
  int64_t count = 0, first = 0;  // 0: one, or as many as there are sequences
  Recipe recipe;
  std::string from, out, sequence, sequences;
  std::vector<std::string> lists;
  std::vector<std::vector<std::string>>
      wanted;  // the sequences: model i begins with number i, and over again
  int jobs = 1;
  bool quiet = false;
  CornerOptions corners;
  JsonFlag json;
};

// What one model adds to the summary. Each worker writes its own entries.
struct Made {
  double ms = 0;
  int64_t nodes = 0, bytes = 0;
  bool planted = false;
  std::optional<Error> error;
};

std::string CaseFolder(const std::string& out, int64_t index) {
  return fmt::format("{}/{:06}", out, index);
}

Result<Generated> MakeRandom(const Flags& f, const GenOptions& options, int64_t index) {
  Recipe recipe = f.recipe;
  recipe.index = static_cast<uint64_t>(index);
  if (f.wanted.empty()) return Make(recipe, options);
  recipe.sequence = f.wanted[recipe.index % f.wanted.size()];
  GenOptions with = options;
  with.sequence = recipe.sequence;
  return Make(recipe, with);
}

Result<Generated> MakeFrom(const Flags& f, const Model& architecture, int64_t index) {
  uint64_t seed = MixSeeds(f.recipe.seed, static_cast<uint64_t>(index));
  Generated g;
  g.model = TRY(FreshWeights(architecture, seed));
  g.model.metadata[kRecipeKey] =
      fmt::format("assay generate --from {} --seed {} --first {} --count 1",
                  std::filesystem::path(f.from).filename().string(), f.recipe.seed, index);
  if (f.out.empty()) return g;
  g.inputs = TRY(RandomInputs(g.model, seed, 1));
  Execution run = TRY(Run(g.model, g.inputs));
  g.outputs = std::move(run.outputs);
  return g;
}

// test_data_set_1 and so on.
Status SaveCorners(const Flags& f, int64_t index, const std::string& folder, const Generated& g) {
  if (f.corners.sets == 0) return {};
  uint64_t seed = MixSeeds(f.recipe.seed, static_cast<uint64_t>(index));
  int k = 0;
  for (const DataSet& set : CornerInputs(g.model, g.inputs, seed, f.corners)) {
    std::string data = fmt::format("{}/test_data_set_{}", folder, ++k);
    TRY(SaveTensors(data, "input", g.model.graph.RequiredInputs(), set.inputs));
    TRY(SaveTensors(data, "output", g.model.graph.outputs, set.outputs));
  }
  return {};
}

template <class MakeFn>
Status MakeOne(const Flags& f, int64_t index, MakeFn&& make, Made* made) {
  Clock::time_point start = Clock::now();
  Generated g = TRY(make(index));
  made->planted = g.planted;
  made->nodes = static_cast<int64_t>(g.model.graph.nodes.size());
  if (f.out.empty()) {
    std::string bytes = TRY(SerializeModel(g.model));
    made->bytes = static_cast<int64_t>(bytes.size());
    made->ms = Since(start) * 1e3;
    return {};
  }
  made->ms = Since(start) * 1e3;
  std::string folder = CaseFolder(f.out, index);
  TRY(SaveCase(folder, g.model, {g.inputs, std::move(g.outputs)}));
  return SaveCorners(f, index, folder, g);
}

template <class MakeFn>
Result<int> MakeAll(const Flags& f, MakeFn&& make) {
  std::vector<Made> made(static_cast<size_t>(f.count));
  Clock::time_point start = Clock::now();
  {
    Progress progress("models", f.count, f.quiet);
    ParallelFor(f.jobs, f.count, [&](int64_t i) {
      Status s = MakeOne(f, f.first + i, make, &made[i]);
      if (!s.ok()) made[i].error = s.error().In("model " + std::to_string(f.first + i));
      progress.Step();
    });
  }
  double seconds = Since(start), ms = 0;
  int64_t models = 0, nodes = 0, bytes = 0;
  if (Interrupted()) return InterruptedError();
  for (Made& m : made) {
    if (m.error) return *std::move(m.error);
    ++models;
    nodes += m.nodes;
    bytes += m.bytes;
    ms += m.ms;
  }
  double per_model = models ? ms / static_cast<double>(models) : 0;
  std::string where =
      f.out.empty() ? fmt::format("{} bytes serialised", bytes) : "written to " + f.out;
  fmt::print(f.json.human(), "{} models, {} nodes, {:.3f} s, {:.3f} ms a model, {}\n", models,
             nodes, seconds, per_model, where);
  std::set<std::string> planted, missing;
  for (int64_t i = 0; i < (f.wanted.empty() ? 0 : f.count); ++i) {
    const auto& sequence = f.wanted[static_cast<size_t>(f.first + i) % f.wanted.size()];
    (made[i].planted ? planted : missing).insert(fmt::format("{}", fmt::join(sequence, ">")));
  }
  for (const std::string& s : planted) missing.erase(s);
  if (!f.wanted.empty()) {
    fmt::print(f.json.human(), "{} of {} sequences planted\n", planted.size(),
               planted.size() + missing.size());
    for (const std::string& s : missing) fmt::print(f.json.human(), "not planted: {}\n", s);
  }
  TRY(f.json.Write({{"models", models},
                    {"seconds", seconds},
                    {"ms_per_model", per_model},
                    {"nodes", nodes},
                    {"bytes", bytes},
                    {"seed", f.recipe.seed},
                    {"planted", planted.size()},
                    {"not_planted", missing},
                    {"out", f.out}}));
  return exit_code::kFine;
}

// Fills `wanted`; the number of models is that of the sequences unless it was given.
Status ReadSequences(Flags* f) {
  std::string text = f->sequence.empty() ? TRY(ReadFile(f->sequences)) : f->sequence;
  SequenceList list =
      TRY(SequenceList::Parse(text, f->sequence.empty() ? f->sequences : "--sequence", f->lists));
  for (const std::string& s : list.Missing()) f->wanted.push_back(SplitSequence(s));
  if (f->count == 0) f->count = static_cast<int64_t>(f->wanted.size());
  return {};
}

Result<int> Execute(Flags& f) {
  if (!f.sequence.empty() || !f.sequences.empty()) TRY(ReadSequences(&f));
  if (f.count == 0) f.count = 1;
  if (f.count < 1) return Usage("--count is at least 1");
  if (f.first < 0) return Usage("--first is not negative");
  if (f.corners.sets < 0 || f.corners.sets > kMaxInputSets)
    return Usage(fmt::format("--input-sets is 0 to {}", kMaxInputSets));
  CatchInterrupts();
  if (!f.from.empty()) {
    Model architecture = TRY(LoadModel(f.from));
    return MakeAll(f, [&](int64_t i) { return MakeFrom(f, architecture, i); });
  }
  GenOptions options = TRY(OptionsOf(f.recipe));
  return MakeAll(f, [&](int64_t i) { return MakeRandom(f, options, i); });
}

Runner Setup(CLI::App& app) {
  auto f = std::make_shared<Flags>();
  app.add_option("--count", f->count,
                 "number of models (default: 1, or one for each of --sequences)")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  app.add_option("--nodes", f->recipe.nodes, "operators of each model, about")
      ->type_name("K")
      ->capture_default_str();
  app.add_option("--opset", f->recipe.opset, "operator set of ai.onnx, 7 to 26")
      ->type_name("V")
      ->capture_default_str();
  app.add_option("--ops", f->recipe.ops, "only these operators")
      ->delimiter(',')
      ->type_name("A,B,..");
  app.add_option("--exclude", f->recipe.exclude, "all but these operators")
      ->delimiter(',')
      ->type_name("A,B,..");
  std::string names;
  for (const Profile& p : AllProfiles()) names += "\n" + p.name + ": " + p.doc;
  app.add_option("--profile", f->recipe.profile, "a named set of options: " + names)
      ->type_name("NAME");
  app.add_option("--sequences", f->sequences,
                 "a list of operator sequences (as coverage --against reads it): model i begins "
                 "with number i, "
                 "each operator reading what the one before it makes")
      ->type_name("FILE");
  app.add_option("--list", f->lists, "of --sequences, only the lists of these names")
      ->delimiter(',')
      ->type_name("A,B,..");
  app.add_option("--sequence", f->sequence, "one such sequence, for all models")
      ->type_name("A>B>..");
  app.add_option("--capability", f->recipe.capability,
                 "only operators and element types that this file lists (docs/formats.md)")
      ->type_name("FILE");
  app.add_flag("--swarm", f->recipe.swarm,
               "each model draws its own subset of operators, types and motifs");
  app.add_flag("--dynamic", f->recipe.dynamic,
               "symbolic dimensions, where the model works for other extents too");
  app.add_option("--input-sets", f->corners.sets,
                 "further test data at corners: zeros, ties, denormals, large numbers, ..")
      ->type_name("N")
      ->capture_default_str();
  app.add_flag("--not-finite", f->corners.not_finite, "NaN and infinities in every other such set");
  app.add_option("--from", f->from, "draw weights for this architecture instead")
      ->type_name("MODEL");
  app.add_option("--first", f->first,
                 "number of the first model; model i of a seed is always the same")
      ->type_name("I")
      ->capture_default_str();
  app.add_option("--out", f->out, "folder for the models; without it they are only made and timed")
      ->type_name("DIR");
  AddSeed(app, &f->recipe.seed);
  AddJobs(app, &f->jobs);
  AddQuiet(app, &f->quiet);
  f->json.Add(app);
  return [f] { return Execute(*f); };
}

}  // namespace

Command command_generate() {
  return {
      "generate", "makes random valid models, or draws weights for an architecture",
      "Each model goes to DIR/<number>/model.onnx with test_data_set_0/{input,output}_<j>.pb "
      "beside it, the\n"
      "layout of the ONNX backend tests; the outputs are the interpreter's. All intermediate "
      "values are finite.\n"
      "Operators whose domain is limited (Sqrt, Log, Asin, divisors) may bring a guard that is "
      "not in --ops:\n"
      "Abs, Add, Clip, Softplus, Sigmoid, Relu, Tanh or Sin. The model's metadata says how to "
      "make it again.\n"
      "--input-sets writes test_data_set_1 and so on; sets on which an intermediate is not finite "
      "are "
      "left out, but\n"
      "with --not-finite NaN and infinities are asked for.\n"
      "JSON keys: models, seconds, ms_per_model, nodes, bytes, seed, planted, not_planted, out.",
      Setup};
}

}  // namespace assay
