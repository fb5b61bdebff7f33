// assay run: runs a model.
#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "interp/exec.h"
#include "interp/npy.h"
#include "interp/onnx_io.h"
#include "interp/kernels_parallel.h"
#include "interp/testcase.h"
#include "tools/command.h"

namespace assay {
namespace {

struct Flags {
  std::string model, inputs, outputs;
  bool in_double = false, npy = false, finite = false;
  uint64_t seed = 0;
  int64_t extent = 2;
  int jobs = 1;
  JsonFlag json;
};

constexpr int64_t kShownElements = 8;

template <class T>
nlohmann::json Pair(std::complex<T> c) {
  return nlohmann::json::array({c.real(), c.imag()});
}

nlohmann::json ElementOf(const Tensor& t, int64_t i) {
  if (IsFloat(t.dtype())) return t.AsDouble(i);
  switch (t.dtype()) {
    case DType::kString:
      return t.strings()[i];
    case DType::kComplex64:
      return Pair(t.data<std::complex<float>>()[i]);
    case DType::kComplex128:
      return Pair(t.data<std::complex<double>>()[i]);
    case DType::kUint64:
      return t.data<uint64_t>()[i];
    default:
      return t.AsInt(i);
  }
}

std::string ElementText(const Tensor& t, int64_t i) {
  if (IsFloat(t.dtype())) return fmt::format("{:.6g}", t.AsDouble(i));
  return ElementOf(t, i).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool AllFinite(const Tensor& t) {
  for (int64_t i = 0; IsFloat(t.dtype()) && i < t.size(); ++i) {
    if (!std::isfinite(t.AsDouble(i))) return false;
  }
  return true;
}

// What was computed in double is shown and written in double, whatever the declared type.
Tensor Widened(const Tensor& t) {
  if (t.store() != Store::kDouble || t.dtype() == DType::kDouble) return t;
  constexpr Limits kNone{.elements = INT64_MAX, .bytes = INT64_MAX};
  Tensor wide = Tensor::Make(DType::kDouble, t.shape(), Store::kNative, kNone).value();
  std::copy_n(t.data<double>(), t.size(), wide.mutable_data<double>());
  return wide;
}

void Print(std::FILE* out, const ValueInfo& v, const Tensor& t) {
  std::string line = v.name + " " + t.TypeString() + " =";
  for (int64_t i = 0; i < std::min(t.size(), kShownElements); ++i) line += " " + ElementText(t, i);
  if (t.size() > kShownElements) line += " ...";
  fmt::print(out, "{}\n", OneLine(line));
}

nlohmann::json Describe(const ValueInfo& v, const Tensor& t) {
  nlohmann::json first = nlohmann::json::array();
  for (int64_t i = 0; i < std::min(t.size(), kShownElements); ++i) first.push_back(ElementOf(t, i));
  return {{"name", v.name},
          {"type", DTypeName(t.dtype())},
          {"shape", t.shape()},
          {"finite", AllFinite(t)},
          {"first", first}};
}

Status WriteOutputs(const Flags& f, const std::vector<ValueInfo>& values,
                    const std::vector<Tensor>& tensors) {
  if (!f.npy) return SaveTensors(f.outputs, "output", values, tensors);
  std::error_code failure;
  std::filesystem::create_directories(f.outputs, failure);
  if (failure) return Usage("can't be made: " + failure.message(), f.outputs);
  for (size_t j = 0; j < tensors.size(); ++j) {
    TRY(SaveNpy(tensors[j], f.outputs + "/" + NpyName(values[j].name)));
  }
  return {};
}

Result<Execution> RunModel(const Flags& f, const Model& model,
                           std::vector<std::string>* not_finite) {
  Program program = TRY(Program::Compile(model));
  Result<std::vector<Tensor>> inputs =
      f.inputs.empty() ? RandomInputs(model, f.seed, f.extent)
                       : LoadTensors(f.inputs, "input", model.graph.RequiredInputs());
  if (!inputs.ok()) return inputs.error();
  ThreadScope threads(f.jobs);
  ExecOptions options;
  if (f.in_double) options.store = Store::kDouble;
  if (f.finite) {
    options.after_node = [&](const Node& n, std::vector<Tensor>& values) {
      for (size_t i = 0; i < values.size() && i < n.outputs.size(); ++i) {
        if (values[i].defined() && !AllFinite(values[i])) not_finite->push_back(n.outputs[i]);
      }
    };
  }
  return program.Run(*inputs, options);
}

Result<int> Execute(const Flags& f) {
  Model model = TRY(LoadModel(f.model));
  std::vector<std::string> not_finite;
  Result<Execution> run = RunModel(f, model, &not_finite);
  if (!run.ok()) return run.error().In(f.model);

  nlohmann::json doc{{"outputs", nlohmann::json::array()}};
  std::vector<Tensor> tensors;
  for (size_t j = 0; j < run->outputs.size(); ++j) {
    tensors.push_back(Widened(run->outputs[j]));
    Print(f.json.human(), model.graph.outputs[j], tensors[j]);
    doc["outputs"].push_back(Describe(model.graph.outputs[j], tensors[j]));
  }
  if (!f.outputs.empty()) TRY(WriteOutputs(f, model.graph.outputs, tensors));
  if (f.finite) doc["not_finite"] = not_finite;
  for (const std::string& v : not_finite)
    fmt::print(f.json.human(), "not finite: {}\n", OneLine(v));
  TRY(f.json.Write(doc));
  return not_finite.empty() ? exit_code::kFine : exit_code::kFinding;
}

Runner Setup(CLI::App& app) {
  auto f = std::make_shared<Flags>();
  app.add_option("model", f->model, "the model, .onnx")->required()->type_name("MODEL");
  app.add_option("--inputs", f->inputs,
                 "read input_<j>.pb or <name>.npy from here; without it inputs are random")
      ->type_name("DIR");
  app.add_option("--outputs", f->outputs, "write output_<j>.pb here")->type_name("DIR");
  app.add_flag("--npy", f->npy, "write <name>.npy instead of output_<j>.pb");
  app.add_flag("--double", f->in_double,
               "compute floating-point values in double; outputs are double then");
  app.add_flag("--finite", f->finite,
               "exit 1 when a value of the main graph is NaN or infinite, and say which");
  app.add_option("--extent", f->extent,
                 "extent of symbolic and unknown dimensions of random inputs")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str()
      ->type_name("N");
  AddSeed(app, &f->seed);
  AddJobs(app, &f->jobs);
  f->json.Add(app);
  return [f] { return Execute(*f); };
}

}  // namespace

Command command_run() {
  return {"run", "run a model",
          "Prints name, type and first elements of each output. In the names of .npy files, "
          "characters of a\n"
          "tensor's name that don't belong there are '_'.",
          Setup};
}

}  // namespace assay
