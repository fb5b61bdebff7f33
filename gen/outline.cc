#include "gen/outline.h"

#include <algorithm>

#include "interp/functions.h"

namespace assay {
namespace {

constexpr const char* kDomain = "assay.local";
constexpr int64_t kFirstIrWithFunctions = 8;
constexpr size_t kMostSteps = 6;

// May the node stand in a function? ONNX Runtime 1.30 writes out MeanVarianceNormalization as a
// function of its own, and within another one loses the attributes of that one's constants.
bool MayMove(const Node& n) {
  if (n.op == "MeanVarianceNormalization") return false;
  return std::none_of(n.attrs.begin(), n.attrs.end(), [](const Attribute& a) {
    return std::holds_alternative<std::shared_ptr<const Graph>>(a.value);
  });
}

void AddOnce(const std::string& name, std::vector<std::string>* names) {
  if (std::find(names->begin(), names->end(), name) == names->end()) names->push_back(name);
}

// Nodes [first, last) as a function: what they read from outside are its inputs, what others read
// of them its outputs.
Function FunctionOf(const Graph& g, size_t first, size_t last, const std::string& name) {
  Function f;
  f.domain = kDomain;
  f.name = name;
  std::vector<std::string> made, read_elsewhere;
  for (size_t n = first; n < last; ++n) {
    for (const std::string& i : g.nodes[n]->inputs) {
      if (!i.empty() && std::find(made.begin(), made.end(), i) == made.end()) AddOnce(i, &f.inputs);
    }
    for (const std::string& o : g.nodes[n]->outputs) {
      if (!o.empty()) made.push_back(o);
    }
    f.steps.push_back({g.nodes[n], {}});
  }
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    if (n >= first && n < last) continue;
    for (std::string& r : ReadBy(*g.nodes[n])) read_elsewhere.push_back(std::move(r));
  }
  for (const ValueInfo& o : g.outputs) read_elsewhere.push_back(o.name);
  for (const std::string& m : made) {
    if (std::find(read_elsewhere.begin(), read_elsewhere.end(), m) != read_elsewhere.end())
      f.outputs.push_back(m);
  }
  return f;
}

}  // namespace

bool OutlineFunction(Choices& choices, Model* model) {
  Graph& g = model->graph;
  if (g.nodes.size() < 2 || model->ir_version < kFirstIrWithFunctions || model->functions)
    return false;
  // Nodes are in topological order, so that no path leaves a run and comes back.
  size_t first = choices.Below(g.nodes.size() - 1), last = first;
  size_t most = first + 1 + choices.Below(kMostSteps);
  while (last < std::min(most, g.nodes.size()) && MayMove(*g.nodes[last])) ++last;
  if (last - first < 2) return false;
  Function f = FunctionOf(g, first, last, "Block");
  if (f.outputs.empty() || f.inputs.empty()) return false;
  f.opsets = model->opsets;
  NodePtr call = MakeNode(f.name, f.inputs, f.outputs, {}, "call_" + f.name, kDomain);
  g.nodes.erase(g.nodes.begin() + static_cast<int64_t>(first),
                g.nodes.begin() + static_cast<int64_t>(last));
  g.nodes.insert(g.nodes.begin() + static_cast<int64_t>(first), std::move(call));
  model->opsets[kDomain] = 1;
  DefineFunctions(model, {std::move(f)});
  return true;
}

}  // namespace assay
