// Constants (WB, and the constant operands that are hyperparameters): the frontier node reads its counterpart's.
#include "oracle/proposal.h"

#include <algorithm>

namespace assay {
namespace {

int Uses(const Prepared& m, uint64_t content) {
  int uses = 0;
  for (const PreparedNode& n : m.nodes) {
    uses += static_cast<int>(std::count_if(n.inputs.begin(), n.inputs.end(), [&](int i) { return i >= 0 && m.content[i] == content; }));
  }
  return uses;
}

// Would putting source constant `b` in the place of `a` lose one that the target rightly has? Where a block is dropped,
// the weights of the next one stand in its place: they are the source's, and those of the block are gone.
bool BelongsElsewhere(const RepairScene& scene, int a, int b) {
  constexpr int64_t kTelling = 64;  // elements; a few numbers may be the same by chance
  if (a < 0 || b < 0 || scene.t().initializer[a] < 0 || scene.s().initializer[b] < 0) return false;
  if (scene.t().Initial(a).size() < kTelling) return false;
  uint64_t has = scene.t().content[a], wants = scene.s().content[b];
  int uses = Uses(scene.s(), has);
  return uses > 0 && uses == Uses(scene.t(), has) && Uses(scene.t(), wants) == 0;
}

void Propose(const RepairScene& scene, std::vector<Proposal>* out) {
  constexpr int kUnlikely = 12;  // nodes of a missing block that is tried before
  const PreparedNode& tn = scene.node();
  const Prepared &s = scene.s(), &t = scene.t();
  for (int c : scene.Counterparts(scene.frontier)) {
    const PreparedNode& sn = s.nodes[c];
    if (sn.row != tn.row) continue;
    std::vector<size_t> differing;
    size_t arity = std::max(tn.inputs.size(), sn.inputs.size());
    for (size_t i = 0; i < arity; ++i) {
      int a = i < tn.inputs.size() ? tn.inputs[i] : -1, b = i < sn.inputs.size() ? sn.inputs[i] : -1;
      bool constants = (a < 0 || t.constant[a]) && (b < 0 || s.constant[b]);
      if (constants && !scene.SameOperand(tn, i, sn, i)) differing.push_back(i);
    }
    if (differing.empty()) continue;
    // `attributes_too`: a converter that mistakes one often mistakes the other.
    auto propose = [&](const std::vector<size_t>& set, bool attributes_too) {
      Proposal p;
      p.model = t.model;
      auto node = std::make_shared<Node>(*tn.node);
      node->inputs.resize(std::max(node->inputs.size(), sn.node->inputs.size()));
      bool fits = true;
      std::string data_class;
      for (size_t i : set) {
        fits = fits && i < node->inputs.size();  // behind them are captured values
        if (!fits) break;
        int b = i < sn.inputs.size() ? sn.inputs[i] : -1, a = i < tn.inputs.size() ? tn.inputs[i] : -1;
        std::string name;
        if (BelongsElsewhere(scene, a, b)) p.size = kUnlikely;
        if (b >= 0) {
          Result<std::string> imported = s.initializer[b] >= 0 ? ImportConstant(scene, b, &p.model)
                                                               : ImportSlice(scene, b, {}, &p.model, nullptr, 8);
          fits = fits && imported.ok();
          if (imported.ok()) name = *imported;
        }
        node->inputs[i] = name;
        std::string formal = "input " + std::to_string(i) + " (" + tn.row->InputAt(static_cast<int>(i)).name + ")";
        auto text = [](const Prepared& m, int v) {
          return v < 0 ? std::string("absent") : m.initializer[v] >= 0 ? TensorText(m.Initial(v)) : "computed by '" + m.names[v] + "'";
        };
        p.difference.what += (p.difference.what.empty() ? "" : ", ") + formal;
        p.difference.source_value += (p.difference.source_value.empty() ? "" : "; ") + text(s, b);
        p.difference.target_value += (p.difference.target_value.empty() ? "" : "; ") + text(t, a);
        p.what += (p.what.empty() ? "" : "; ") + std::string("restore ") + formal + " from the source";
      }
      if (!fits) return;
      while (!node->inputs.empty() && node->inputs.back().empty()) node->inputs.pop_back();
      if (attributes_too) {
        node->attrs = sn.node->attrs;
        p.what += "; take its attributes too";
        p.difference.what += ", attributes";
      }
      int data = -1;
      for (int i : tn.inputs) {
        if (i >= 0 && !t.constant[i]) data = i;
      }
      p.difference.cls = ClassOf(scene, tn.node->op, true, data);
      p.difference.target_node = SiteName(*tn.node);
      p.difference.source_node = SiteName(*sn.node);
      for (NodePtr& n : p.model.graph.nodes) {
        if (n == tn.node) n = node;
      }
      p.size += static_cast<int>(set.size()) - 1 + (attributes_too ? 1 : 0);
      out->push_back(std::move(p));
    };
    if (differing.size() > 1) {
      for (size_t i : differing) propose({i}, false);
    }
    propose(differing, false);
    if (sn.hash != tn.hash && tn.node->outputs.size() == sn.node->outputs.size()) propose(differing, true);
  }
}

}  // namespace

RepairStrategy repair_weight() {
  return {"weight", "WB LH", "The frontier node reads the constants of its counterpart in the source.", Propose};
}

}  // namespace assay
