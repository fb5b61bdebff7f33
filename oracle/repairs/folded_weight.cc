// Folded constants (WB): a target constant that is neither the source's nor a fold of the source's within rounding
// takes the value that a correct fold has, in the target's own form. The bias of the node follows its weights.
#include <algorithm>
#include <cmath>

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

// A constant whose elements are, in order, near those of a source constant under whatever shape: a drift.
void ProposeNearest(const RepairScene& scene, int target_node, size_t input, std::vector<Proposal>* out) {
  constexpr double kNear = 0.1;  // mean distance over mean magnitude
  const PreparedNode& tn = scene.t().nodes[target_node];
  int v = tn.inputs[input];
  const std::vector<int>& foreign = scene.target.foreign;
  if (std::find(foreign.begin(), foreign.end(), v) == foreign.end()) return;
  const Tensor& t = scene.t().Initial(v);
  for (size_t s = 0; s < scene.s().names.size(); ++s) {
    if (scene.s().initializer[s] < 0) continue;
    const Tensor& c = scene.s().Initial(static_cast<int>(s));
    if (c.size() != t.size() || c.dtype() != t.dtype()) continue;
    double distance = 0, magnitude = 0;
    for (int64_t k = 0; k < c.size(); ++k) {
      distance += std::fabs(c.AsDouble(k) - t.AsDouble(k));
      magnitude += std::fabs(c.AsDouble(k));
    }
    if (!(distance <= kNear * magnitude)) continue;
    Proposal p;
    p.model = scene.t().model;
    std::string formal = "input " + std::to_string(input) + " (" + tn.row->InputAt(static_cast<int>(input)).name + ")";
    p.difference.cls = "WB";
    p.difference.target_node = SiteName(*tn.node);
    p.difference.what = formal;
    p.difference.source_value = TensorText(c);
    p.difference.target_value = TensorText(t);
    p.what = "restore the elements of " + formal + " from the source";
    p.model.graph.SetInitializer(scene.t().names[v], c.Reshaped(t.shape()));
    out->push_back(std::move(p));
  }
}

// The numbers that formulas are spelled with; a drifted one among the nodes behind the frontier goes back to the
// nearest of these or of the source's own scalars.
void ProposeLiterals(const RepairScene& scene, std::vector<Proposal>* out) {
  constexpr int kSteps = 4;
  constexpr double kNear = 0.2;  // of the magnitude; a literal further away is tried later
  std::vector<double> literals = {0, 1, -1, 0.5, -0.5, 2, 3, 6, 1.0 / 6, 0.7071067811865476, 1.4142135623730951};
  for (size_t v = 0; v < scene.s().names.size(); ++v) {
    if (scene.s().initializer[v] < 0) continue;
    const Tensor& t = scene.s().Initial(static_cast<int>(v));
    if (IsFloat(t.dtype()) && t.size() == 1) literals.push_back(t.AsDouble(0));
  }
  std::vector<int> level{scene.frontier};
  std::set<int> seen{scene.frontier};
  for (int step = 0; step <= kSteps; ++step) {
    std::vector<int> next;
    for (int n : level) {
      const PreparedNode& tn = scene.t().nodes[n];
      for (size_t i = 0; i < tn.inputs.size(); ++i) {
        int v = tn.inputs[i];
        if (v < 0 || scene.t().initializer[v] < 0) continue;
        const Tensor& t = scene.t().Initial(v);
        ProposeNearest(scene, n, i, out);
        if (!IsFloat(t.dtype()) || t.size() != 1) continue;
        for (double literal : literals) {
          double off = std::fabs(literal - t.AsDouble(0));
          if (off == 0) continue;
          bool near = off <= kNear * std::max(std::fabs(literal), 1e-30);
          Tensor value = t.Clone();
          value.Set(0, literal);
          if (value.Identical(t)) continue;
          Proposal p;
          p.model = scene.t().model;
          std::string formal = "input " + std::to_string(i) + " (" + tn.row->InputAt(static_cast<int>(i)).name + ")";
          p.difference.cls = "WB";
          p.difference.target_node = SiteName(*tn.node);
          p.difference.what = formal;
          p.difference.source_value = TensorText(value);
          p.difference.target_value = TensorText(t);
          p.what = "set " + formal + " to " + TensorText(value);
          p.size = near ? 1 : 3;
          p.model.graph.SetInitializer(scene.t().names[v], std::move(value));
          out->push_back(std::move(p));
        }
      }
      for (int o : tn.outputs) {
        if (o < 0) continue;
        for (int r : scene.target_readers[o]) {
          if (scene.alignment.diverged[r] && seen.insert(r).second) next.push_back(r);
        }
      }
    }
    level = std::move(next);
  }
}

void ProposeAll(const RepairScene& scene, std::vector<Proposal>* out) {
  Propose(scene, out);
  ProposeLiterals(scene, out);
}

}  // namespace

RepairStrategy repair_folded_weight() {
  return {"folded_weight", "WB", "A constant takes the value that a correct fold of the source's constants has.", ProposeAll};
}

}  // namespace assay
