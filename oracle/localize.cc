#include "oracle/localize.h"

#include <algorithm>

namespace assay {

Alignment Align(const Trace& source, const Trace& target) {
  const Prepared& s = *source.model;
  const Prepared& t = *target.model;
  Alignment a;
  a.source_of.assign(t.names.size(), -1);
  a.permuted_of.assign(t.names.size(), -1);
  a.target_of.assign(s.names.size(), -1);
  std::unordered_map<uint64_t, int> ordered, multiset, in_target;
  for (size_t v = 0; v < s.names.size(); ++v) {
    const Signature& g = source.signature[v];
    if (!g.defined()) continue;
    ordered.emplace(g.ordered, static_cast<int>(v));
    multiset.emplace(g.multiset, static_cast<int>(v));
  }
  for (size_t v = 0; v < t.names.size(); ++v) {
    const Signature& g = target.signature[v];
    if (!g.defined()) continue;
    in_target.emplace(g.ordered, static_cast<int>(v));
    if (auto it = ordered.find(g.ordered); it != ordered.end()) a.source_of[v] = it->second;
    else if (auto m = multiset.find(g.multiset); m != multiset.end()) a.permuted_of[v] = m->second;
  }
  for (size_t v = 0; v < s.names.size(); ++v) {
    if (!source.signature[v].defined()) continue;
    if (auto it = in_target.find(source.signature[v].ordered); it != in_target.end()) a.target_of[v] = it->second;
  }

  std::vector<uint64_t> want = source.OutputKeys(), got = target.OutputKeys();
  for (size_t i = 0; i < std::max(want.size(), got.size()); ++i) {
    if (i >= want.size() || i >= got.size() || want[i] != got[i] || got[i] == 0) a.unequal.push_back(static_cast<int>(i));
  }
  a.diverged.assign(t.nodes.size(), 0);
  std::vector<int> work;
  auto visit = [&](int node) {
    if (node >= 0 && !a.diverged[node]) {
      a.diverged[node] = 1;
      ++a.region;
      work.push_back(node);
    }
  };
  for (int i : a.unequal) {
    if (i < static_cast<int>(t.outputs.size())) visit(t.producer[t.outputs[i]]);
  }
  // What is computed from constants departs too: a converter may have frozen what depends on the inputs.
  auto departs = [&](int v) { return v >= 0 && t.producer[v] >= 0 && a.source_of[v] < 0; };
  while (!work.empty()) {
    int n = work.back();
    work.pop_back();
    for (int i : t.nodes[n].inputs) {
      if (departs(i)) visit(t.producer[i]);
    }
  }
  for (size_t n = 0; n < t.nodes.size(); ++n) {
    if (!a.diverged[n]) continue;
    const std::vector<int>& in = t.nodes[n].inputs;
    // A constant that departs is a cause; so may be the node that reads it.
    auto open = [&](int v) { return departs(v) && !t.constant[v]; };
    if (std::none_of(in.begin(), in.end(), open)) a.frontier.push_back(static_cast<int>(n));
  }
  return a;
}

}  // namespace assay
