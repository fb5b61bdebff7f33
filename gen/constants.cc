#include "gen/constants.h"

#include <algorithm>

namespace assay {
namespace {

constexpr double kNodes = 0.04;  // of all constants
constexpr int kFirstWithNumbers = 12;

bool Allowed(const GenOptions& options) {
  auto listed = [](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), "Constant") != names.end();
  };
  return (options.ops.empty() || listed(options.ops)) && !listed(options.exclude);
}

// Numbers and strings may stand in an attribute of their own (Constant, opset 12). The sparse form
// is left out: nothing here makes sparse tensors, and few runtimes read them.
void SetValue(const Tensor& t, bool as_tensor, Node* node) {
  if (as_tensor || t.rank() > 1) return node->Set("value", t);
  bool one = t.rank() == 0;
  if (t.dtype() == DType::kFloat) {
    std::vector<float> v(t.data<float>(), t.data<float>() + t.size());
    one ? node->Set("value_float", v[0]) : node->Set("value_floats", std::move(v));
  } else if (t.dtype() == DType::kInt64) {
    std::vector<int64_t> v = t.AsInts();
    one ? node->Set("value_int", v[0]) : node->Set("value_ints", std::move(v));
  } else if (t.dtype() == DType::kString) {
    one ? node->Set("value_string", t.strings()[0]) : node->Set("value_strings", t.strings());
  } else {
    node->Set("value", t);
  }
}

}  // namespace

int AddConstant(Choices& choices, GraphBuilder& builder, const GenOptions& options, Tensor t) {
  const OpSpec* spec = FindOp("", "Constant", builder.opset());
  // Before opset 9 a Constant is floating-point.
  bool fits = spec && Contains(spec->outputs[0].types, t.dtype()) &&
              (builder.opset() >= 9 || IsFloat(t.dtype()));
  double chance = options.ops.empty() ? kNodes : 0.5;
  if (fits && Allowed(options) && choices.Chance(chance)) {
    Node node;
    node.outputs = {"y"};
    SetValue(t, builder.opset() < kFirstWithNumbers || choices.Chance(0.5), &node);
    int id = builder.AddNode(*spec, std::move(node), {});
    if (id >= 0) return id;
  }
  return builder.AddConstant(std::move(t));
}

}  // namespace assay
