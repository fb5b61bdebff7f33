// Folded constants (WB): a target constant that is neither the source's nor a fold of the source's within rounding
// takes the value that a correct fold has, in the target's own form. The bias of the node follows its weights.
#include <algorithm>

#include "oracle/proposal.h"

namespace assay {
namespace {

constexpr size_t kCandidates = 4;

void Propose(const RepairScene& scene, std::vector<Proposal>* out) {
  const Prepared& t = scene.t();
  const PreparedNode& tn = scene.node();
  struct Constant {
    size_t input;
    std::vector<SnapPool::Match> candidates;
  };
  std::vector<Constant> foreign;
  for (size_t i = 0; i < tn.inputs.size(); ++i) {
    int v = tn.inputs[i];
    if (v < 0 || std::find(scene.target.foreign.begin(), scene.target.foreign.end(), v) == scene.target.foreign.end()) continue;
    foreign.push_back({i, scene.pool.Candidates(t.Initial(v), tn.node.get(), static_cast<int>(i), kCandidates)});
  }
  if (foreign.empty()) return;
  auto propose = [&](const std::vector<std::pair<size_t, SnapPool::Match>>& set) {
    Proposal p;
    p.model = t.model;
    for (const auto& [input, match] : set) {
      int v = tn.inputs[input];
      Result<Tensor> value = scene.pool.Rounded(match, t.Initial(v));
      if (!value.ok()) return;
      std::string formal = "input " + std::to_string(input) + " (" + tn.row->InputAt(static_cast<int>(input)).name + ")";
      p.difference.what += (p.difference.what.empty() ? "" : ", ") + formal;
      p.difference.source_value += (p.difference.source_value.empty() ? "" : "; ") + TensorText(*value);
      p.difference.target_value += (p.difference.target_value.empty() ? "" : "; ") + TensorText(t.Initial(v));
      p.what += (p.what.empty() ? "" : "; ") + std::string("set ") + formal + " to what the source's constants fold to";
      p.model.graph.SetInitializer(t.names[v], std::move(*value));
    }
    p.difference.cls = "WB";
    p.difference.target_node = SiteName(*tn.node);
    p.size = static_cast<int>(set.size());
    out->push_back(std::move(p));
  };
  for (const Constant& c : foreign) {
    for (const SnapPool::Match& m : c.candidates) propose({{c.input, m}});
  }
  if (foreign.size() == 2) {
    for (const SnapPool::Match& a : foreign[0].candidates) {
      for (const SnapPool::Match& b : foreign[1].candidates) propose({{foreign[0].input, a}, {foreign[1].input, b}});
    }
  }
}

}  // namespace

RepairStrategy repair_folded_weight() {
  return {"folded_weight", "WB", "A constant takes the value that a correct fold of the source's constants has.", Propose};
}

}  // namespace assay
