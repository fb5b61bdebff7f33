#include "oracle/constant_nodes.h"

namespace assay {

const Tensor* ConstantNodes::Value(int v) {
  for (int n : NodesBefore(v)) {
    if (!done_.insert(n).second) continue;
    const PreparedNode& pn = m_.nodes[n];
    std::vector<Tensor> out = Evaluate(pn);
    for (size_t o = 0; o < pn.outputs.size() && o < out.size(); ++o) {
      if (pn.outputs[o] >= 0) values_.emplace(pn.outputs[o], std::move(out[o]));
    }
  }
  auto it = values_.find(v);
  return it == values_.end() ? nullptr : &it->second;
}

std::set<int> ConstantNodes::NodesBefore(int v) const {
  std::set<int> nodes;
  std::vector<int> work{m_.producer[v]};
  while (!work.empty()) {
    int n = work.back();
    work.pop_back();
    if (n < 0 || !nodes.insert(n).second) continue;
    for (int i : m_.nodes[n].inputs) {
      if (i >= 0) work.push_back(m_.producer[i]);
    }
  }
  return nodes;
}

std::vector<Tensor> ConstantNodes::Evaluate(const PreparedNode& pn) const {
  std::vector<Tensor> held;
  std::vector<const Tensor*> args;
  held.reserve(pn.inputs.size());
  for (int i : pn.inputs) {
    auto it = values_.find(i);
    if (i >= 0 && it == values_.end() && m_.initializer[i] < 0) return {};
    if (i >= 0) held.push_back(it != values_.end() ? it->second : m_.Initial(i).To(store_));
    args.push_back(i >= 0 ? &held.back() : nullptr);
  }
  Result<std::vector<Tensor>> out =
      EvalNode(*pn.row, *pn.node, args, store_, limits_, m_.model.Opset(pn.node->domain));
  return out.ok() ? std::move(*out) : std::vector<Tensor>{};
}

}  // namespace assay
