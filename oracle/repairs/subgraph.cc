// Sub-graphs (CG, and whatever no smaller edit heals): a value in the diverged region is computed by the source's
// own nodes between it and the values that both models share.
#include "oracle/proposal.h"

#include <algorithm>

namespace assay {
namespace {

constexpr size_t kTargetValues = 10, kSourceValues = 6, kMostCopied = 12;

bool SameType(const RepairScene& scene, int sv, int tv, bool* same_shape) {
  const Tensor &a = scene.source.values[0][sv], &b = scene.target.values[0][tv];
  if (!a.defined() || a.dtype() != (b.defined() ? b.dtype() : a.dtype())) return false;
  *same_shape = b.defined() && a.shape() == b.shape();
  return *same_shape || !b.defined() || a.size() == b.size() || a.rank() == b.rank();
}

// Source values that the target lacks, nearest to `shared` values first.
std::vector<int> Missing(const RepairScene& scene) {
  std::vector<int> missing;
  for (size_t n = 0; n < scene.s().nodes.size(); ++n) {
    for (int o : scene.s().nodes[n].outputs) {
      if (o >= 0 && !scene.s().constant[o] && scene.alignment.target_of[o] < 0) missing.push_back(o);
    }
  }
  return missing;
}

void ProposePair(const RepairScene& scene, int sv, int tv, size_t most, std::vector<Proposal>* out,
                 Readers readers = Readers::kAll) {
  Proposal p;
  p.model = scene.t().model;
  std::vector<const Node*> copied;
  std::set<int> avoid;
  if (readers == Readers::kAll) avoid = DependentsOf(scene.t(), tv, scene.target_readers);
  Result<std::string> name = ImportSlice(scene, sv, avoid, &p.model, &copied, most);
  if (!name.ok() || (*name == scene.t().names[tv] && readers == Readers::kAll)) return;
  Prepared edited = scene.t();
  edited.model = std::move(p.model);
  p.model = Redirect(edited, tv, *name, readers);
  const PreparedNode& first = scene.node();
  int data = -1;
  for (int i : first.inputs) {
    if (i >= 0 && !scene.t().constant[i]) data = i;
  }
  bool layout = !copied.empty() && std::all_of(copied.begin(), copied.end(), [](const Node* n) { return IsLayoutOp(n->op); });
  std::string cls = ClassOf(scene, copied.empty() ? first.node->op : copied[0]->op, false, data);
  p.difference.cls = layout ? "TSS" : cls == "PP" ? "PP" : IsLayoutOp(first.node->op) ? "TSS" : "CG";
  p.difference.target_node = SiteName(*first.node);
  p.difference.source_node = copied.empty() ? "" : SiteName(*copied[0]);
  std::string ops;
  for (const Node* n : copied) ops += (ops.empty() ? "" : ", ") + n->op;
  p.difference.what = "sub-graph";
  p.difference.source_value = copied.empty() ? "reads '" + *name + "'" : ops;
  p.difference.target_value = first.node->op;
  p.what = copied.empty() ? "read '" + *name + "' instead of '" + scene.t().names[tv] + "'"
                          : "compute '" + scene.t().names[tv] + "' as the source does: " + ops;
  // Behind every edit of what is there: copies of the source come last.
  p.size = 4 + 2 * static_cast<int>(copied.size());
  out->push_back(std::move(p));
}

void Propose(const RepairScene& scene, std::vector<Proposal>* out) {
  std::vector<int> missing = Missing(scene);
  // Diverged values from the frontier on, along the readers.
  std::vector<int> values;
  std::set<int> seen;
  std::vector<int> work{scene.frontier};
  for (size_t at = 0; at < work.size() && values.size() < kTargetValues; ++at) {
    for (int o : scene.t().nodes[work[at]].outputs) {
      if (o < 0 || !seen.insert(o).second) continue;
      values.push_back(o);
      for (int r : scene.target_readers[o]) work.push_back(r);
    }
  }
  for (int tv : values) {
    size_t tried = 0;
    for (int pass = 0; pass < 2; ++pass) {
      for (int sv : missing) {
        bool same_shape = false;
        if (!SameType(scene, sv, tv, &same_shape) || same_shape != (pass == 0)) continue;
        if (++tried > kSourceValues) break;
        ProposePair(scene, sv, tv, kMostCopied, out);
      }
    }
    // The value may be one the target has elsewhere (two nodes in the wrong order, an edge rewired).
    for (int i : scene.node().inputs) {
      int sv = i >= 0 ? scene.alignment.source_of[i] : -1;
      if (sv < 0) continue;
      for (int reader : scene.source_readers[sv]) {
        for (int o : scene.s().nodes[reader].outputs) {
          bool same_shape = false;
          if (o >= 0 && scene.alignment.target_of[o] >= 0 && SameType(scene, o, tv, &same_shape)) {
            ProposePair(scene, o, tv, kMostCopied, out);
          }
        }
      }
    }
  }
  // Last of all: the graph outputs themselves, from the nearest shared values.
  for (int i : scene.alignment.unequal) {
    if (i >= static_cast<int>(scene.t().outputs.size()) || i >= static_cast<int>(scene.s().outputs.size())) continue;
    ProposePair(scene, scene.s().outputs[i], scene.t().outputs[i], SIZE_MAX, out, Readers::kOutputs);
  }
}

}  // namespace

RepairStrategy repair_subgraph() {
  return {"subgraph", "CG", "A diverged value is computed by the source's nodes from values that both models share.", Propose};
}

}  // namespace assay
