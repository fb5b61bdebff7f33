#include "oracle/lab_literals.h"

#include <set>

namespace assay {
namespace {

constexpr int64_t kLiteralElements = 16;  // constants this small may be bounds and keep their order
constexpr size_t kLiterals = 4096;

void AddLiterals(const Tensor& t, std::vector<double>* out) {
  if (!IsFloat(t.dtype()) || t.size() > kLiteralElements) return;
  for (int64_t i = 0; i < t.size() && out->size() < kLiterals; ++i) {
    out->push_back(t.AsDouble(i));
    out->push_back(-t.AsDouble(i));
  }
}

// Operators that compare their operands with constants, or read a real number off one. Only such constants keep
// their order: the fewer there are, the further they lie apart and the likelier a moved bound shows.
bool ReadsOrder(const std::string& op) {
  static const std::set<std::string> kOps = {
      "Clip",  "Max",     "Min",  "Greater", "Less",  "GreaterOrEqual",  "LessOrEqual",   "Equal", "ThresholdedRelu",
      "Shrink", "Cast",   "CastLike", "Floor", "Ceil", "Round",          "QuantizeLinear", "Mod",  "DynamicQuantizeLinear",
      "TopK",  "ArgMax",  "ArgMin", "MaxPool", "ReduceMax", "ReduceMin", "Hardmax", "Sign", "Concat", "Pad", "Where"};
  return kOps.count(op) > 0;
}

}  // namespace

void CollectLiterals(const Model& m, std::vector<double>* out) {
  const Graph& g = m.graph;
  std::unordered_map<std::string, const Tensor*> constants;
  for (const Initializer& i : g.initializers) constants[i.name] = &i.value;
  for (const NodePtr& n : g.nodes) {
    for (const Attribute& a : n->attrs) {
      auto t = std::get_if<Tensor>(&a.value);
      if (n->op == "Constant" && t) constants[n->outputs[0]] = t;
    }
  }
  std::unordered_map<std::string, int> made = g.Producers();
  for (const NodePtr& n : g.nodes) {
    if (n->op == "HardSwish") out->push_back(6);
    if (n->op == "HardSigmoid") out->push_back(1.0 / static_cast<double>(n->Float("alpha", 0.2f)));
    if (!ReadsOrder(n->op)) continue;
    for (const Attribute& a : n->attrs) {
      if (auto f = std::get_if<float>(&a.value)) out->push_back(*f);
    }
    for (std::string input : n->inputs) {
      // Back through what only moves elements.
      constexpr int kSteps = 8;
      for (int step = 0; step < kSteps && !constants.count(input) && made.count(input); ++step) {
        const Node& maker = *g.nodes[made[input]];
        if (maker.inputs.empty()) break;
        input = maker.inputs[0];
      }
      auto it = constants.find(input);
      if (it != constants.end()) AddLiterals(*it->second, out);
    }
  }
}

}  // namespace assay
