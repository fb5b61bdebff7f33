// assay verify: the four-step verification of a target against its source.
#include <fmt/format.h>

#include "interp/onnx_io.h"
#include "oracle/verify.h"
#include "tools/command.h"
#include "tools/pair_inputs.h"
#include "tools/verify_page.h"

namespace assay {
namespace {

struct Flags {
  std::string source, target, inputs, labels, html;
  uint64_t seed = 0;
  int jobs = 1, samples = 4;
  double rtol = -1, atol = -1;
  bool quiet = false;
  JsonFlag json;
};

Result<int> Execute(const Flags& f) {
  Model source = TRY(LoadModel(f.source));
  Model target = TRY(LoadModel(f.target));
  VerifyOptions options;
  options.seed = f.seed;
  options.jobs = f.jobs;
  options.samples = f.samples;
  if (f.rtol >= 0) options.rtol = f.rtol;
  if (f.atol >= 0) options.atol = f.atol;
  if (!f.inputs.empty()) options.inputs = TRY(LoadInputSets(f.inputs, source));
  if (!f.labels.empty()) options.labels = TRY(LoadLabels(f.labels));
  Result<Verification> v = Verify(source, target, options);
  if (!v.ok()) return v.error().In(f.source + " and " + f.target);
  TRY(f.json.Write(nlohmann::json::parse(VerificationJson(*v))));
  if (!f.html.empty()) TRY(WriteFile(f.html, VerificationPage(source, target, f.source, f.target, *v)));
  fmt::print(f.json.human(), "{}", VerificationText(*v));
  return v->verdict == Verdict::kEquivalent ? exit_code::kFine : exit_code::kFinding;
}

Runner Setup(CLI::App& app) {
  auto f = std::make_shared<Flags>();
  app.add_option("source", f->source, "the model before conversion")->required();
  app.add_option("target", f->target, "the model after conversion")->required();
  app.add_option("--inputs", f->inputs, "folder of input_<j>.pb or .npy, or of test_data_set_<k> folders");
  app.add_option("--labels", f->labels, "text file with the true class of each input set, one a line");
  app.add_option("--samples", f->samples, "random input sets when none are given")->check(CLI::Range(1, 1000));
  app.add_option("--rtol", f->rtol, "accept this mean relative error instead of the rounding bound")->check(CLI::NonNegativeNumber);
  app.add_option("--atol", f->atol, "accept this absolute error instead of the rounding bound")->check(CLI::NonNegativeNumber);
  app.add_option("--html", f->html, "write a page to this file");
  AddSeed(app, &f->seed);
  AddJobs(app, &f->jobs);
  AddQuiet(app, &f->quiet);
  f->json.Add(app);
  return [f] { return Execute(*f); };
}

}  // namespace

Command command_verify() {
  return {"verify", "does the target compute what the source computes?",
          "Four steps (Lee et al. 2023): architecture with hyperparameters and weights, by proof in a finite field where\n"
          "possible; accuracy as label agreement; error (MAPE, largest, margin over the rounding bound); time.\n"
          "Exit 0: equivalent. Exit 1: different or undecided. Names of nodes and values do not matter, the order of\n"
          "inputs and outputs does.",
          Setup};
}

}  // namespace assay
