// assay conformance: runs test cases in the layout of the ONNX backend tests and compares.
#include <fmt/format.h>

#include <map>
#include <set>

#include "interp/exec.h"
#include "interp/onnx_io.h"
#include "interp/testcase.h"
#include "tools/command.h"
#include "tools/distribution.h"

namespace assay {
namespace {

struct Flags {
  std::string folder;
  double rtol = 1e-3, atol = 1e-5;
  int jobs = 1;
  bool quiet = false;
  JsonFlag json;
};

enum class Outcome { kPassed, kFailed, kUnsupported };

struct CaseResult {
  std::string name;  // path below the folder
  Outcome outcome = Outcome::kFailed;
  std::string reason;               // unless passed
  std::set<std::string> operators;  // of the model; when unsupported: the ones to blame, if known
};

struct Tally {
  int64_t passed = 0, failed = 0, unsupported = 0;
  void Add(Outcome o) {
    ++(o == Outcome::kPassed ? passed : o == Outcome::kFailed ? failed : unsupported);
  }
};

std::string OperatorName(const Node& n) { return (n.domain.empty() ? "" : n.domain + ".") + n.op; }

// Names of all operators of a model, or of those without a row only.
std::set<std::string> Operators(const Model& model, bool missing_only) {
  std::set<std::string> names;
  std::vector<const Graph*> work{&model.graph};
  while (!work.empty()) {
    const Graph* g = work.back();
    work.pop_back();
    for (const NodePtr& n : g->nodes) {
      if (!missing_only || !RowFor(model, *n).ok()) names.insert(OperatorName(*n));
      for (const Attribute& a : n->attrs) {
        if (auto sub = std::get_if<std::shared_ptr<const Graph>>(&a.value))
          work.push_back(sub->get());
      }
    }
  }
  return names;
}

// The model with its inputs declared as the data has them. Runners of the ONNX backend tests don't
// compare the two, and in release 1.12 they disagree here and there (test_castlike_*BFLOAT16*).
bool Redeclare(Model& model, const std::vector<Tensor>& inputs) {
  bool changed = false;
  size_t next = 0;
  for (ValueInfo& v : model.graph.inputs) {
    if (model.graph.FindInitializer(v.name)) continue;
    const Shape& shape = inputs[next++].shape();
    bool fits = !v.shape || v.shape->size() == shape.size();
    for (size_t d = 0; fits && v.shape && d < shape.size(); ++d) {
      int64_t declared = (*v.shape)[d].value;
      fits = declared < 0 || declared == shape[d];
    }
    if (fits) continue;
    v.shape = ValueInfo::Of(v.name, v.dtype, shape).shape;
    changed = true;
  }
  return changed;
}

Status RunDataSet(const Model& model, const Program& program, const std::string& folder,
                  const Flags& f) {
  constexpr double kSecondsPerRun = 120;
  DataSet data = TRY(LoadDataSet(folder, model));
  ExecOptions options;
  options.limits.seconds = kSecondsPerRun;
  Model redeclared = model;
  bool changed = Redeclare(redeclared, data.inputs);
  Result<Execution> ran =
      changed ? Run(redeclared, data.inputs, options) : program.Run(data.inputs, options);
  Execution run = TRY(std::move(ran));
  std::vector<bool> fixed(data.outputs.size(), true);
  if (Reseeded(redeclared, 0)) {
    std::string mismatch =
        TRY(DistributionMismatch(redeclared, data.inputs, options, data.outputs, &fixed));
    if (!mismatch.empty()) return Invalid(mismatch);
  }
  for (size_t j = 0; j < data.outputs.size(); ++j) {
    if (!fixed[j]) continue;
    std::string mismatch = Mismatch(run.outputs[j], data.outputs[j], f.rtol, f.atol);
    if (!mismatch.empty()) return Invalid(mismatch, "output '" + model.graph.outputs[j].name + "'");
  }
  return {};
}

Status RunCase(const std::string& folder, const Flags& f, std::set<std::string>* operators) {
  Model model = TRY(LoadModel(folder + "/model.onnx"));
  *operators = Operators(model, false);
  Result<Program> program = Program::Compile(model);
  if (!program.ok()) {
    std::set<std::string> missing = Operators(model, true);
    if (program.error().code == Code::kUnsupported && !missing.empty()) *operators = missing;
    return program.error();
  }
  std::vector<std::string> sets = FindDataSets(folder);
  if (sets.empty()) return Invalid("no test_data_set_<k> beside the model");
  for (const std::string& set : sets) TRY(RunDataSet(model, *program, set, f));
  return {};
}

CaseResult Judge(const std::string& folder, const Flags& f) {
  CaseResult r;
  r.name = folder.size() > f.folder.size() ? folder.substr(f.folder.size() + 1) : folder;
  Status s = RunCase(folder, f, &r.operators);
  if (s.ok()) {
    r.outcome = Outcome::kPassed;
  } else {
    r.outcome = s.error().code == Code::kUnsupported ? Outcome::kUnsupported : Outcome::kFailed;
    r.reason = s.error().ToString();
    size_t prefix = r.reason.find(folder + "/");  // the case names it already
    if (prefix != std::string::npos) r.reason.erase(prefix, folder.size() + 1);
  }
  return r;
}

nlohmann::json ToJson(const Tally& total, const std::map<std::string, Tally>& by_operator,
                      const std::vector<CaseResult>& results) {
  auto counts = [](const Tally& t) {
    return nlohmann::json{
        {"passed", t.passed}, {"failed", t.failed}, {"unsupported", t.unsupported}};
  };
  nlohmann::json doc = counts(total);
  doc["by_operator"] = nlohmann::json::object();
  for (const auto& [name, tally] : by_operator) doc["by_operator"][name] = counts(tally);
  doc["failures"] = doc["unsupported_cases"] = nlohmann::json::array();
  for (const CaseResult& r : results) {
    if (r.outcome == Outcome::kPassed) continue;
    auto& list = doc[r.outcome == Outcome::kFailed ? "failures" : "unsupported_cases"];
    list.push_back({{"case", r.name}, {"reason", r.reason}});
  }
  return doc;
}

void Print(std::FILE* out, const Tally& total, const std::map<std::string, Tally>& by_operator,
           const std::vector<CaseResult>& results) {
  fmt::print(out, "{:<28} {:>7} {:>7} {:>12}\n", "operator", "passed", "failed", "unsupported");
  for (const auto& [name, t] : by_operator) {
    fmt::print(out, "{:<28} {:>7} {:>7} {:>12}\n", OneLine(name), t.passed, t.failed,
               t.unsupported);
  }
  for (const CaseResult& r : results) {
    if (r.outcome == Outcome::kFailed)
      fmt::print(out, "FAILED {}: {}\n", OneLine(r.name), OneLine(r.reason));
  }
  fmt::print(out, "{} passed, {} failed, {} unsupported\n", total.passed, total.failed,
             total.unsupported);
}

Result<int> Execute(Flags f) {
  while (f.folder.size() > 1 && f.folder.back() == '/') f.folder.pop_back();
  std::vector<std::string> cases = TRY(FindCases(f.folder));
  if (cases.empty()) return Invalid("holds no model.onnx", f.folder);
  int64_t n = static_cast<int64_t>(cases.size());
  std::vector<CaseResult> results(cases.size());
  {
    Progress progress("cases", n, f.quiet);
    ParallelFor(f.jobs, n, [&](int64_t i) {
      results[i] = Judge(cases[i], f);
      progress.Step();
    });
  }
  Tally total;
  std::map<std::string, Tally> by_operator;
  for (const CaseResult& r : results) {
    total.Add(r.outcome);
    for (const std::string& o : r.operators) by_operator[o].Add(r.outcome);
  }
  Print(f.json.human(), total, by_operator, results);
  TRY(f.json.Write(ToJson(total, by_operator, results)));
  return total.failed == 0 ? exit_code::kFine : exit_code::kFinding;
}

Runner Setup(CLI::App& app) {
  auto f = std::make_shared<Flags>();
  app.add_option("folder", f->folder,
                 "tree of <case>/model.onnx with test_data_set_<k>/{input,output}_<j>.pb")
      ->required()
      ->type_name("DIR");
  app.add_option("--rtol", f->rtol, "relative tolerance of floating-point elements")
      ->capture_default_str();
  app.add_option("--atol", f->atol, "absolute tolerance")->capture_default_str();
  AddJobs(app, &f->jobs);
  AddQuiet(app, &f->quiet);
  f->json.Add(app);
  return [f] { return Execute(*f); };
}

}  // namespace

Command command_conformance() {
  return {
      "conformance", "run cases in the layout of the ONNX backend tests and compare their outputs",
      "Types, shapes and values must agree: floating-point elements within atol + rtol * "
      "|expected|\n"
      "(NaN equals NaN), everything else exactly. Outputs that are drawn at random are compared "
      "with\n"
      "64 runs with other seeds: type, shape, values that occur, and the mean within 5 standard "
      "deviations.\n"
      "A case that needs an operator, element type "
      "or value\n"
      "kind (sequence, optional) that isn't supported counts as unsupported, never as passed; "
      "in the\n"
      "table by operator it counts for the unsupported ones, other cases for every operator of "
      "their\n"
      "model. Exit 1 if a case failed.",
      Setup};
}

}  // namespace assay
