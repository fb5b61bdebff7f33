// assay repair: localizes the faults of a target and heals them by the smallest edits found.
#include <fmt/format.h>

#include "interp/onnx_io.h"
#include "oracle/repair.h"
#include "tools/command.h"
#include "tools/pair_inputs.h"

namespace assay {
namespace {

struct Flags {
  std::string source, target, out, inputs;
  uint64_t seed = 0;
  int jobs = 1, max_edits = 32;
  double seconds = 600;
  bool quiet = false;
  JsonFlag json;
};

Result<int> Execute(const Flags& f) {
  Model source = TRY(LoadModel(f.source));
  Model target = TRY(LoadModel(f.target));
  RepairOptions options;
  options.seed = f.seed;
  options.jobs = f.jobs;
  options.max_edits = f.max_edits;
  options.seconds = f.seconds;
  if (!f.inputs.empty()) options.verify.inputs = TRY(LoadInputSets(f.inputs, source));
  Result<Repair> r = RepairTarget(source, target, options);
  if (!r.ok()) return r.error().In(f.source + " and " + f.target);
  TRY(SaveModel(r->fixed, f.out));
  TRY(f.json.Write(nlohmann::json::parse(RepairJson(*r))));
  fmt::print(f.json.human(), "{}", RepairText(*r));
  return r->verdict == Verdict::kEquivalent ? exit_code::kFine : exit_code::kFinding;
}

Runner Setup(CLI::App& app) {
  auto f = std::make_shared<Flags>();
  app.add_option("source", f->source, "the model before conversion")->required();
  app.add_option("target", f->target, "the model after conversion")->required();
  app.add_option("--out", f->out, "where the repaired target goes")->required();
  app.add_option("--inputs", f->inputs, "folder of input_<j>.pb or .npy for the verification");
  app.add_option("--max-edits", f->max_edits, "stop after this many edits")->check(CLI::Range(0, 1000));
  app.add_option("--time", f->seconds, "stop after this many seconds with the best target so far")->check(CLI::PositiveNumber);
  AddSeed(app, &f->seed);
  AddJobs(app, &f->jobs);
  AddQuiet(app, &f->quiet);
  f->json.Add(app);
  return [f] { return Execute(*f); };
}

}  // namespace

Command command_repair() {
  return {"repair", "heals a target by the smallest edits that make it equal to its source",
          "Edits are tried where the target first departs from the source and kept only when the region that differs\n"
          "shrinks. The target is edited, never replaced. Exit 0: the repaired target is equivalent. Exit 1: it is not;\n"
          "the best target found is written all the same.",
          Setup};
}

}  // namespace assay
