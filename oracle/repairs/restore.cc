// Nodes that were lost (CG, TSS): the source's node is put back behind the value that it read, and all diverged
// readers of that value read the node instead, whatever they are spelled as.
#include <algorithm>

#include "oracle/proposal.h"

namespace assay {
namespace {

constexpr size_t kMostCopied = 3;

// The model in which the diverged readers of target value `from` read `to`; what the edit brought in does not.
Model RedirectDiverged(const RepairScene& scene, const Model& edited, int from, const std::string& to) {
  Model out = edited;
  const std::string& name = scene.t().names[from];
  for (int reader : scene.target_readers[from]) {
    if (!scene.alignment.diverged[reader]) continue;
    const NodePtr& old = scene.t().nodes[reader].node;
    auto node = std::make_shared<Node>(*old);
    std::replace(node->inputs.begin(), node->inputs.end(), name, to);
    std::replace(out.graph.nodes.begin(), out.graph.nodes.end(), old, NodePtr(node));
  }
  return out;
}

void Propose(const RepairScene& scene, std::vector<Proposal>* out) {
  const Prepared &s = scene.s(), &t = scene.t();
  for (int in : scene.node().inputs) {
    int shared = in >= 0 && !t.constant[in] ? scene.alignment.source_of[in] : -1;
    if (shared < 0) continue;
    uint64_t value = scene.source.signature[shared].ordered;
    // Values of those readers see what the edit makes: they can't be used to make it.
    std::set<int> avoid;
    for (int reader : scene.target_readers[in]) {
      for (int o : t.nodes[reader].outputs) {
        if (o < 0 || !scene.alignment.diverged[reader]) continue;
        std::set<int> behind = DependentsOf(t, o, scene.target_readers);
        avoid.insert(behind.begin(), behind.end());
      }
    }
    for (const PreparedNode& lost : s.nodes) {
      bool reads = std::any_of(lost.inputs.begin(), lost.inputs.end(), [&](int i) {
        return i >= 0 && scene.source.signature[i].defined() && scene.source.signature[i].ordered == value;
      });
      int made = lost.outputs.empty() ? -1 : lost.outputs[0];
      if (!reads || lost.constant || made < 0 || scene.alignment.target_of[made] >= 0) continue;
      Proposal p;
      p.model = t.model;
      std::vector<const Node*> copied;
      Result<std::string> name = ImportSlice(scene, made, avoid, &p.model, &copied, kMostCopied);
      if (!name.ok() || copied.empty()) continue;
      p.model = RedirectDiverged(scene, p.model, in, *name);
      p.difference.cls = IsLayoutOp(copied[0]->op) ? "TSS" : "CG";
      p.difference.target_node = SiteName(*scene.node().node);
      p.difference.source_node = SiteName(*lost.node);
      p.difference.what = "missing " + lost.node->op;
      p.difference.source_value = lost.node->op;
      p.difference.target_value = "absent";
      p.what = "put the missing " + lost.node->op + " back behind '" + t.names[in] + "'";
      p.size = 2 + static_cast<int>(copied.size());
      out->push_back(std::move(p));
    }
  }
}

}  // namespace

RepairStrategy repair_restore() {
  return {"restore", "CG TSS", "A lost node is put back, and all diverged readers of what it read read it.", Propose};
}

}  // namespace assay
