#include "oracle/latent.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "oracle/metric.h"
#include "oracle/probes.h"

namespace assay {
namespace {

// What both models make of it, by nodes that are not the same in both or that read another
// constant.
std::vector<ValueInfo> EditedValues(const Model& target, const Model& fixed) {
  std::set<NodePtr> kept(target.graph.nodes.begin(), target.graph.nodes.end());
  std::unordered_map<std::string, uint64_t> constants;
  for (const Initializer& i : target.graph.initializers) constants[i.name] = i.value.ContentHash();
  std::set<std::string> other;
  for (const Initializer& i : fixed.graph.initializers) {
    auto had = constants.find(i.name);
    if (had == constants.end() || had->second != i.value.ContentHash()) other.insert(i.name);
  }
  Result<Inference> known = Infer(target);
  std::vector<ValueInfo> values;
  for (const NodePtr& n : fixed.graph.nodes) {
    bool edited = !kept.count(n) || std::any_of(n->inputs.begin(), n->inputs.end(),
                                                [&](const auto& i) { return other.count(i) > 0; });
    for (size_t o = 0; edited && known.ok() && o < n->outputs.size(); ++o) {
      auto type = known->types.find(n->outputs[o]);
      if (type == known->types.end() || IsList(type->second.dtype)) continue;
      values.push_back({n->outputs[o], DType::kUndefined, std::nullopt, {}});
    }
  }
  return values;
}

bool SameInputs(const Model& a, const Model& b) {
  std::vector<ValueInfo> x = a.graph.RequiredInputs(), y = b.graph.RequiredInputs();
  return std::equal(x.begin(), x.end(), y.begin(), y.end(), [](const auto& i, const auto& j) {
    return i.name == j.name && i.dtype == j.dtype;
  });
}

}  // namespace

bool ShowsInPlace(const Model& target, const Model& fixed, uint64_t seed, const Limits& limits) {
  std::vector<ValueInfo> values = EditedValues(target, fixed);
  if (values.empty() || !SameInputs(target, fixed)) return true;
  Model before = target, after = fixed;
  before.graph.outputs = after.graph.outputs = values;
  Result<Yardstick> yardstick = Yardstick::Of(before);
  Result<Program> program = Program::Compile(after);
  if (!yardstick.ok() || !program.ok()) return true;
  MetricOptions metric{seed, limits};
  for (int k = 0; k < kProbeKinds; ++k) {
    Result<MeasuredProbe> at = MeasureProbe(*yardstick, k, seed, metric);
    if (!at.ok()) continue;
    Comparison c = CompareTarget(at->reference, *program, at->probe.inputs, limits);
    if (c.beyond() && at->reference.Tells(c, at->probe.moderate)) return true;
  }
  return false;
}

}  // namespace assay
