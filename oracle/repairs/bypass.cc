// Nodes that the source does not have (TSS: a Transpose too many; PP: preprocessing applied twice; CG): the
// readers of the frontier node, or of a short chain behind it, read its operand instead.
#include "oracle/proposal.h"

namespace assay {
namespace {

constexpr int kLongestChain = 6;

bool SameTypes(const RepairScene& scene, int a, int b) {
  for (const std::vector<Tensor>& context : scene.target.values) {
    if (!context[a].defined() || !context[b].defined() || context[a].dtype() != context[b].dtype()) return false;
    if (context[a].shape() != context[b].shape()) return false;
  }
  return true;
}

// The chain without its computing nodes: a Transpose that a converter put between them stays.
void ProposeKeepingLayout(const RepairScene& scene, const std::vector<int>& chain, std::vector<Proposal>* out) {
  const Prepared& t = scene.t();
  std::vector<int> computing;
  for (int n : chain) {
    if (!IsLayoutOp(t.nodes[n].node->op)) computing.push_back(n);
  }
  if (computing.size() < 2 || computing.size() == chain.size() || computing.back() != chain.back()) return;
  Prepared edited = t;
  for (int n : computing) {
    const PreparedNode& pn = t.nodes[n];
    int data = -1;
    for (int i : pn.inputs) {
      if (i >= 0 && !t.constant[i]) data = i;
    }
    if (data < 0 || !SameTypes(scene, data, pn.outputs[0])) return;
    edited.model = Redirect(edited, pn.outputs[0], t.names[data]);
  }
  const Node& first = *t.nodes[computing[0]].node;
  Proposal p;
  p.model = std::move(edited.model);
  p.difference.cls = ClassOf(scene, first.op, false, t.nodes[computing[0]].inputs[0]);
  if (p.difference.cls == "LH") p.difference.cls = "CG";
  p.difference.target_node = SiteName(first);
  p.difference.what = "extra nodes from " + first.op + " on";
  p.difference.source_value = "absent";
  p.difference.target_value = first.op;
  p.what = "remove " + std::to_string(computing.size()) + " computing nodes that the source does not have";
  p.size = static_cast<int>(computing.size());
  out->push_back(std::move(p));
}

void Propose(const RepairScene& scene, std::vector<Proposal>* out) {
  const Prepared& t = scene.t();
  const PreparedNode& first = scene.node();
  for (int in : first.inputs) {
    if (in < 0 || t.constant[in]) continue;
    int at = scene.frontier;
    std::vector<int> chain;
    for (int length = 1; length <= kLongestChain && at >= 0; ++length) {
      const PreparedNode& last = t.nodes[at];
      if (last.outputs.empty() || last.outputs[0] < 0) break;
      int value = last.outputs[0];
      if (scene.alignment.source_of[value] >= 0) break;
      chain.push_back(at);
      if (SameTypes(scene, in, value)) {
        Proposal p;
        p.model = Redirect(t, value, t.names[in]);
        p.difference.cls = ClassOf(scene, first.node->op, false, in);
        if (p.difference.cls == "LH") p.difference.cls = "CG";
        p.difference.target_node = SiteName(*first.node);
        p.difference.what = length == 1 ? "extra " + first.node->op : "extra nodes " + first.node->op + " to " + last.node->op;
        p.difference.source_value = "absent";
        p.difference.target_value = first.node->op;
        p.what = "remove the " + std::to_string(length) + " node(s) that the source does not have";
        p.size = 1 + length / 2;
        out->push_back(std::move(p));
      }
      ProposeKeepingLayout(scene, chain, out);
      const std::vector<int>& readers = scene.target_readers[value];
      at = readers.size() == 1 ? readers[0] : -1;
    }
  }
}

}  // namespace

RepairStrategy repair_bypass() {
  return {"bypass", "TSS PP CG", "Readers of nodes that the source does not have read past them.", Propose};
}

}  // namespace assay
