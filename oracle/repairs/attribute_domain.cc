// Attributes of nodes that the source has no counterpart of (LH, TSS): a LayerNormalization spelled out as ReduceMean,
// Sub, Pow, ... has reductions and transposes of its own. Other axes and other permutations of equal result type are
// tried on the frontier node and a few diverged nodes behind it.
#include <algorithm>
#include <numeric>

#include "oracle/proposal.h"

namespace assay {
namespace {

constexpr int kSteps = 3;
constexpr int kMostRank = 4;

void Add(const RepairScene& scene, int node, const std::string& attr, const std::vector<int64_t>& value, std::vector<Proposal>* out) {
  const PreparedNode& tn = scene.t().nodes[node];
  auto edited = std::make_shared<Node>(*tn.node);
  edited->Set(attr, value);
  Proposal p;
  p.difference.cls = IsLayoutOp(tn.node->op) ? "TSS" : "LH";
  p.difference.target_node = SiteName(*tn.node);
  p.difference.what = attr;
  p.difference.source_value = AttrText(value);
  p.difference.target_value = AttrText(tn.node->Ints(attr));
  p.what = "set " + attr + " to " + AttrText(value);
  p.model = ReplaceNode(scene.t(), node, edited);
  p.size = 2;
  out->push_back(std::move(p));
}

void ProposeAt(const RepairScene& scene, int node, std::vector<Proposal>* out) {
  const PreparedNode& tn = scene.t().nodes[node];
  int x = tn.inputs.empty() ? -1 : tn.inputs[0];
  if (x < 0 || !scene.target.values[0][x].defined()) return;
  const Shape& shape = scene.target.values[0][x].shape();
  int rank = static_cast<int>(shape.size());
  if (rank == 0 || rank > kMostRank) return;
  // Where the source has such a node, its attributes are the ones to try.
  const std::vector<PreparedNode>& source = scene.s().nodes;
  if (std::any_of(source.begin(), source.end(), [&](const PreparedNode& n) { return n.row == tn.row; })) return;
  if (tn.row->FindAttr("axes") && tn.node->op.starts_with("Reduce")) {
    for (int set = 1; set < (1 << rank); ++set) {
      std::vector<int64_t> axes;
      for (int a = 0; a < rank; ++a) {
        if (set & (1 << a)) axes.push_back(a);
      }
      Add(scene, node, "axes", axes, out);
    }
  } else if (tn.node->op == "Transpose") {
    Shape now = scene.target.values[0][tn.outputs[0]].defined() ? scene.target.values[0][tn.outputs[0]].shape() : Shape{};
    std::vector<int64_t> perm(static_cast<size_t>(rank));
    std::iota(perm.begin(), perm.end(), 0);
    do {
      bool same_type = now.size() == perm.size() && perm != tn.node->Ints("perm");
      for (size_t i = 0; same_type && i < perm.size(); ++i) same_type = shape[static_cast<size_t>(perm[i])] == now[i];
      if (same_type) Add(scene, node, "perm", perm, out);
    } while (std::next_permutation(perm.begin(), perm.end()));
  }
}

void Propose(const RepairScene& scene, std::vector<Proposal>* out) {
  std::vector<int> level{scene.frontier};
  std::set<int> seen{scene.frontier};
  for (int step = 0; step <= kSteps; ++step) {
    std::vector<int> next;
    for (int n : level) {
      ProposeAt(scene, n, out);
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

RepairStrategy repair_attribute_domain() {
  return {"attribute_domain", "LH TSS", "Other axes and permutations for nodes that the source spells otherwise.", Propose};
}

}  // namespace assay
