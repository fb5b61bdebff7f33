// Operands (CG, TSS, PP: a node lost or rewired before this one): the frontier node reads what its counterpart
// reads, the missing source nodes copied in.
#include "oracle/proposal.h"

#include <algorithm>

namespace assay {
namespace {

constexpr size_t kMostCopied = 12;  // a residual block

std::string ClassOfCopies(const RepairScene& scene, const std::vector<const Node*>& copied, int data) {
  bool layout = !copied.empty() && std::all_of(copied.begin(), copied.end(), [](const Node* n) { return IsLayoutOp(n->op); });
  if (layout) return "TSS";
  if (!copied.empty() && ClassOf(scene, copied[0]->op, false, data) == "PP") return "PP";
  return "CG";
}

// `attributes_too`: the lost node was merged into this one's attributes (a Pad into pads).
void ProposeAt(const RepairScene& scene, bool attributes_too, std::vector<Proposal>* out) {
  const PreparedNode& tn = scene.node();
  const Prepared& s = scene.s();
  std::set<int> avoid;
  for (int o : tn.outputs) {
    if (o < 0) continue;
    std::set<int> d = DependentsOf(scene.t(), o, scene.target_readers);
    avoid.insert(d.begin(), d.end());
  }
  for (int c : scene.Counterparts(scene.frontier, 6)) {
    const PreparedNode& sn = s.nodes[c];
    if (sn.inputs.size() != tn.inputs.size()) continue;
    if (attributes_too && (sn.row != tn.row || sn.hash == tn.hash)) continue;
    Proposal p;
    p.model = scene.t().model;
    auto node = std::make_shared<Node>(*tn.node);
    std::vector<const Node*> copied;
    int rewired = 0, data = -1;
    bool fits = true;
    for (size_t i = 0; i < sn.inputs.size() && fits; ++i) {
      if (scene.SameOperand(tn, i, sn, i)) continue;
      // The name of a captured value, behind the inputs, stands in a body.
      if (sn.inputs[i] < 0 || tn.inputs[i] < 0 || i >= node->inputs.size()) {
        fits = false;
        break;
      }
      // A constant that is a fold of the source's stays as it is.
      if (scene.t().constant[tn.inputs[i]] && s.constant[sn.inputs[i]]) continue;
      data = scene.t().constant[tn.inputs[i]] ? data : tn.inputs[i];
      Result<std::string> name = ImportSlice(scene, sn.inputs[i], avoid, &p.model, &copied, kMostCopied);
      fits = name.ok();
      if (fits) node->inputs[i] = *name;
      ++rewired;
    }
    if (!fits || rewired == 0) continue;
    if (attributes_too) node->attrs = sn.node->attrs;
    for (NodePtr& n : p.model.graph.nodes) {
      if (n == tn.node) n = node;
    }
    p.difference.cls = ClassOfCopies(scene, copied, data);
    p.difference.target_node = SiteName(*tn.node);
    p.difference.source_node = copied.empty() ? SiteName(*sn.node) : SiteName(*copied[0]);
    p.difference.what = copied.empty() ? "operands" : "missing " + copied[0]->op;
    p.difference.source_value = copied.empty() ? "other operands" : copied[0]->op;
    p.difference.target_value = copied.empty() ? "rewired operands" : "absent";
    p.what = copied.empty() ? "reconnect operands as in the source"
                            : "insert " + std::to_string(copied.size()) + " missing node(s), " + copied[0]->op + " first";
    if (attributes_too) p.what += ", and take the attributes";
    p.size = static_cast<int>(copied.size()) + rewired + (attributes_too ? 1 : 0);
    out->push_back(std::move(p));
  }
}

// At the frontier node, and at diverged nodes a few steps behind it: what lies between may not belong there.
void Propose(const RepairScene& scene, std::vector<Proposal>* out) {
  constexpr int kSteps = 2;
  std::vector<int> level{scene.frontier};
  std::set<int> seen{scene.frontier};
  for (int step = 0; step <= kSteps; ++step) {
    std::vector<int> next;
    for (int n : level) {
      RepairScene there = scene.At(n);
      size_t first = out->size();
      for (bool attributes_too : {false, true}) ProposeAt(there, attributes_too, out);
      // The nearer to the frontier the better: an edit further on leaves dead nodes behind.
      for (size_t i = first; i < out->size(); ++i) (*out)[i].size += 2 * step;
      for (int o : scene.t().nodes[n].outputs) {
        if (o < 0) continue;
        for (int r : scene.target_readers[o]) {
          if (scene.alignment.diverged[r] && seen.insert(r).second) next.push_back(r);
        }
      }
    }
    level = std::move(next);
  }
}

}  // namespace

RepairStrategy repair_operand() {
  return {"operand", "CG TSS PP", "The frontier node reads the operands of its counterpart, missing nodes copied in.", Propose};
}

}  // namespace assay
