#include "tests/dependence.h"

#include <cmath>
#include <set>

namespace assay {
namespace {

constexpr int kWays = 6;
// Operators whose further integer operands are shapes, axes, bounds and the like.
const std::set<std::string> kSaysHow = {"Slice",
                                        "Pad",
                                        "Squeeze",
                                        "Unsqueeze",
                                        "Reshape",
                                        "Expand",
                                        "Tile",
                                        "Resize",
                                        "Split",
                                        "TopK",
                                        "CumSum",
                                        "OneHot",
                                        "ReduceSum",
                                        "ReduceMean",
                                        "ReduceMax",
                                        "ReduceMin",
                                        "ReduceProd",
                                        "ReduceL1",
                                        "ReduceL2",
                                        "ReduceLogSum",
                                        "ReduceLogSumExp",
                                        "ReduceSumSquare",
                                        "CenterCropPad"};

double Moved(double v, int way, int64_t i) {
  // Half of the elements up, half down; the last two ways the other way round.
  double sign = (Mix(static_cast<uint64_t>(i)) & 1) == (way >= 4) ? 1 : -1;
  switch (way) {
    case 0:
      return v + sign * (0.01 + 0.01 * std::fabs(v));
    case 1:
    case 4:
      return v * (sign > 0 ? 1.5 : 0.6);
    case 2:
    case 5:
      return v + sign;
    default:
      return -v + 0.5 * sign;
  }
}

// `t` (stored for a run in double) with other elements; undefined when there are none.
Tensor Changed(const Tensor& t, int way) {
  if (t.dtype() == DType::kString || t.size() == 0) return {};
  Tensor out = t.Clone();
  for (int64_t i = 0; i < t.size(); ++i) {
    double v = t.AsDouble(i);
    if (IsFloat(t.dtype()))
      out.Set(i, Moved(v, way, i));
    else if (t.dtype() == DType::kBool)
      out.Set(i, way == 0 || (Mix(static_cast<uint64_t>(i) + way) & 1) != 0 ? 1 - v : v);
    else
      out.Set(i, way == 0 ? v + 1 : way == 1 ? v - 1 : v + static_cast<double>(i % way) + 1);
  }
  return out;
}

bool Differ(const Tensor& a, const Tensor& b) {
  constexpr double kRounding = 1e-11;
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return true;
  if (!IsFloat(a.dtype())) return !a.Identical(b);
  for (int64_t i = 0; i < a.size(); ++i) {
    double x = a.AsDouble(i), y = b.AsDouble(i);
    if (!(std::fabs(x - y) <= kRounding * std::max(1.0, std::fabs(x)))) return true;
  }
  return false;
}

// Constants that say how and not what: values that rules read (shapes, axes), types, training.
std::set<std::string> Parameters(const Model& model) {
  std::set<std::string> names;
  for (const NodePtr& n : model.graph.nodes) {
    for (size_t i = 0; i < n->inputs.size(); ++i) {
      const Initializer* w = model.graph.FindInitializer(n->inputs[i]);
      bool integers = w && (IsInt(w->value.dtype()) || w->value.dtype() == DType::kBool);
      bool says_how = (i > 0 || n->op == "Range") &&
                      (n->op == "CastLike" || n->op == "Dropout" || n->op == "Trilu" ||
                       n->op == "Range" || (integers && kSaysHow.count(n->op) > 0));
      if (w && says_how) names.insert(w->name);
    }
  }
  return names;
}

}  // namespace

std::vector<std::string> IdleLeaves(const Model& model, const std::vector<Tensor>& inputs) {
  Program program = Program::Compile(model).value();
  ExecOptions options;
  options.store = Store::kDouble;
  std::vector<Tensor> outputs = program.Run(inputs, options).value().outputs;
  auto noticed = [&](const std::vector<Tensor>& given) {
    Result<Execution> run = program.Run(given, options);
    if (!run.ok()) return true;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (Differ(outputs[i], run->outputs[i])) return true;
    }
    return false;
  };
  std::vector<std::string> idle;
  for (size_t i = 0; i < inputs.size(); ++i) {
    bool matters = false;
    for (int way = 0; way < kWays && !matters; ++way) {
      std::vector<Tensor> given = inputs;
      given[i] = Changed(inputs[i].To(Store::kDouble), way);
      matters = !given[i].defined() || noticed(given);
    }
    if (!matters) idle.push_back(model.graph.inputs[i].name);
  }
  std::set<std::string> parameters = Parameters(model);
  for (const Initializer& w : model.graph.initializers) {
    if (parameters.count(w.name)) continue;
    bool matters = false;
    for (int way = 0; way < kWays && !matters; ++way) {
      Tensor changed = Changed(w.value.To(Store::kDouble), way);
      std::map<std::string, Tensor> overrides = {{w.name, changed}};
      options.overrides = &overrides;
      matters = !changed.defined() || noticed(inputs);
    }
    options.overrides = nullptr;
    if (!matters) idle.push_back(w.name);
  }
  return idle;
}

}  // namespace assay
