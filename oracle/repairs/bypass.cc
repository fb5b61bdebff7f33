// Nodes that the source does not have (TSS: a Transpose too many; PP: preprocessing applied twice; CG): the
// readers of the frontier node, or of a short chain behind it, read its operand instead.
#include "oracle/proposal.h"

namespace assay {
namespace {

constexpr int kLongestChain = 6;

// A value of unknown type (its maker does not run) may have any.
bool SameTypes(const RepairScene& scene, int a, int b) {
  for (const std::vector<Tensor>& context : scene.target.values) {
    if (context[a].defined() && !context[b].defined()) continue;
    if (!context[a].defined() || context[a].dtype() != context[b].dtype()) return false;
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

// Readers of `value`, and of what equals it (a converter may have duplicated the node), read `in`.
void ProposePast(const RepairScene& scene, int in, int last_node, int value, int length, std::vector<Proposal>* out) {
  const Prepared& t = scene.t();
  const Node &first = *scene.node().node, &last = *t.nodes[last_node].node;
  Prepared edited = t;
  uint64_t signature = scene.target.signature[value].ordered;
  for (size_t v = 0; v < t.names.size(); ++v) {
    bool equal = static_cast<int>(v) == value ||
                 (scene.target.signature[v].defined() && scene.target.signature[v].ordered == signature);
    if (equal && SameTypes(scene, in, static_cast<int>(v))) edited.model = Redirect(edited, static_cast<int>(v), t.names[in]);
  }
  Proposal p;
  p.model = std::move(edited.model);
  p.difference.cls = ClassOf(scene, first.op, false, in);
  if (p.difference.cls == "LH") p.difference.cls = "CG";
  p.difference.target_node = SiteName(first);
  p.difference.what = length == 1 ? "extra " + first.op : "extra nodes " + first.op + " to " + last.op;
  p.difference.source_value = "absent";
  p.difference.target_value = first.op;
  p.what = "remove the " + std::to_string(length) + " node(s) that the source does not have";
  p.size = 1 + length / 2;
  out->push_back(std::move(p));
}

// The diverged nodes that lie behind the frontier node, nearest first, with their distance.
std::vector<std::pair<int, int>> Behind(const RepairScene& scene) {
  constexpr size_t kMost = 12;
  std::vector<std::pair<int, int>> found{{scene.frontier, 1}};
  std::set<int> seen{scene.frontier};
  for (size_t at = 0; at < found.size() && found.size() < kMost; ++at) {
    auto [node, length] = found[at];
    for (int o : scene.t().nodes[node].outputs) {
      if (o < 0 || length == kLongestChain) continue;
      for (int r : scene.target_readers[o]) {
        if (scene.alignment.diverged[r] && seen.insert(r).second) found.push_back({r, length + 1});
      }
    }
  }
  return found;
}

void Propose(const RepairScene& scene, std::vector<Proposal>* out) {
  const Prepared& t = scene.t();
  for (int in : scene.node().inputs) {
    if (in < 0 || t.constant[in]) continue;
    std::set<uint64_t> tried;
    for (auto [node, length] : Behind(scene)) {
      int value = t.nodes[node].outputs.empty() ? -1 : t.nodes[node].outputs[0];
      if (value < 0 || scene.alignment.source_of[value] >= 0 || !SameTypes(scene, in, value)) continue;
      const Signature& signature = scene.target.signature[value];
      if (signature.defined() && !tried.insert(signature.ordered).second) continue;
      ProposePast(scene, in, node, value, length, out);
    }
    int at = scene.frontier;
    std::vector<int> chain;
    for (int length = 1; length <= kLongestChain && at >= 0; ++length) {
      const PreparedNode& last = t.nodes[at];
      if (last.outputs.empty() || last.outputs[0] < 0 || scene.alignment.source_of[last.outputs[0]] >= 0) break;
      chain.push_back(at);
      ProposeKeepingLayout(scene, chain, out);
      const std::vector<int>& readers = scene.target_readers[last.outputs[0]];
      at = readers.size() == 1 ? readers[0] : -1;
    }
  }
}

}  // namespace

RepairStrategy repair_bypass() {
  return {"bypass", "TSS PP CG", "Readers of nodes that the source does not have read past them.", Propose};
}

}  // namespace assay
