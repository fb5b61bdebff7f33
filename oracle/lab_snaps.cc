#include "oracle/lab_snaps.h"

#include <algorithm>
#include <bit>
#include <set>

#include "interp/choices.h"

namespace assay {

// Evaluates what a model computes from constants, in double, as it is asked for.
class ConstantNodes {
 public:
  ConstantNodes(const Prepared& m, const Limits& limits) : m_(m), limits_(limits) {}

  // Null where it can't be computed.
  const Tensor* Value(int v) {
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
  // How many nodes compute it.
  int Depth(int v) const { return static_cast<int>(NodesBefore(v).size()); }

 private:
  std::set<int> NodesBefore(int v) const {  // in topological order
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
  // Empty where the node does not run.
  std::vector<Tensor> Evaluate(const PreparedNode& pn) const {
    std::vector<Tensor> held;
    std::vector<const Tensor*> args;
    held.reserve(pn.inputs.size());
    for (int i : pn.inputs) {
      auto it = values_.find(i);
      if (i >= 0 && it == values_.end() && m_.initializer[i] < 0) return {};
      if (i >= 0) held.push_back(it != values_.end() ? it->second : m_.Initial(i).To(Store::kDouble));
      args.push_back(i >= 0 ? &held.back() : nullptr);
    }
    Result<std::vector<Tensor>> out =
        EvalNode(*pn.row, *pn.node, args, Store::kDouble, limits_, m_.model.Opset(pn.node->domain));
    return out.ok() ? std::move(*out) : std::vector<Tensor>{};
  }

  const Prepared& m_;
  const Limits& limits_;
  std::set<int> done_;
  std::unordered_map<int, Tensor> values_;
};

// Constants that something else than a constant reads: what the target computes from its constants counts by value.
LabSnapper::Readers LabSnapper::ReadersOfConstants(const Prepared& m) const {
  Readers readers(m.names.size());
  for (size_t n = 0; n < m.nodes.size(); ++n) {
    const PreparedNode& pn = m.nodes[n];
    for (size_t i = 0; i < pn.inputs.size() && !pn.constant; ++i) {
      if (pn.inputs[i] >= 0 && m.constant[pn.inputs[i]])
        readers[pn.inputs[i]].push_back({static_cast<int>(n), static_cast<int>(i)});
    }
  }
  // A constant of its own that only constants read is still a rounded one.
  for (size_t n = 0; n < m.nodes.size(); ++n) {
    for (int v : m.nodes[n].inputs) {
      if (v >= 0 && m.nodes[n].constant && readers[v].empty() && Own(m, v))
        readers[v].push_back({static_cast<int>(n), -1});
    }
  }
  return readers;
}

void LabSnapper::SnapNormalizations(const Prepared& m, const Readers& readers, LabSnaps* snaps,
                                    std::set<int>* literal) {
  for (const PreparedNode& pn : m.nodes) {
    if (pn.node->op != "BatchNormalization" || !pn.node->domain.empty() || pn.constant ||
        pn.inputs.size() < 5)
      continue;
    std::vector<int> in(pn.inputs.begin() + 1, pn.inputs.begin() + 5);
    bool given = std::all_of(in.begin(), in.end(), [&](int v) { return v >= 0 && m.Literal(v); });
    if (!given || std::none_of(in.begin(), in.end(), [&](int v) { return Own(m, v); }) ||
        readers[in[0]].size() > 1 || readers[in[1]].size() > 1)
      continue;
    float epsilon = pn.node->Float("epsilon", 1e-5f);
    uint64_t key = std::bit_cast<uint32_t>(epsilon);
    for (int v : in) key = Mix(key ^ m.Literal(v)->ContentHash());
    auto it = normalizations_.find(key);
    if (it == normalizations_.end()) {
      it = normalizations_
               .emplace(key, pool_.FindNormalization(*m.Literal(in[0]), *m.Literal(in[1]), *m.Literal(in[2]),
                                                     *m.Literal(in[3]), epsilon))
               .first;
    }
    if (!it->second.first.found()) continue;
    snaps->emplace(in[0], it->second.first);
    snaps->emplace(in[1], it->second.second);
    literal->insert({in[2], in[3]});
  }
}

SnapPool::Match LabSnapper::OfInitializer(const Prepared& m, int v, const Reader& reader) {
  const PreparedNode& pn = m.nodes[reader.node];
  uint64_t key = Mix(m.content[v] ^ Mix(pn.hash ^ static_cast<uint64_t>(reader.input + 1)));
  auto it = initializers_.find(key);
  if (it == initializers_.end())
    it = initializers_.emplace(key, pool_.Find(m.Initial(v), pn.node.get(), reader.input)).first;
  return it->second;
}

SnapPool::Match LabSnapper::OfComputed(const Prepared& m, int v, const Reader& reader, ConstantNodes* nodes) {
  const PreparedNode& pn = m.nodes[reader.node];
  uint64_t key = Mix(m.structure[v] ^ Mix(pn.hash ^ static_cast<uint64_t>(reader.input + 1)));
  if (auto it = computed_.find(key); it != computed_.end()) return it->second;
  SnapPool::Match match;
  if (const Tensor* value = nodes->Value(v)) {
    match = pool_.FindComputed(*value, nodes->Depth(v));
    // Weights that were only moved, as behind a Transpose, are still told by the node that reads them.
    if (!match.found() && IsFloat(value->dtype()) && ViewWeights(*pn.node, reader.input, value->shape()))
      match = pool_.Find(*value, pn.node.get(), reader.input);
  }
  return computed_.emplace(key, std::move(match)).first->second;
}

LabSnaps LabSnapper::Of(const Prepared& m, std::vector<int>* foreign) {
  LabSnaps snaps;
  Readers readers = ReadersOfConstants(m);
  // Mean and variance beside a scale and a bias that were solved for their very values.
  std::set<int> literal;
  SnapNormalizations(m, readers, &snaps, &literal);
  ConstantNodes nodes(m, limits_);
  for (size_t i = 0; i < m.names.size(); ++i) {
    int v = static_cast<int>(i);
    if (!m.constant[v] || readers[v].empty() || snaps.count(v) || pool_.IsSourceConstant(m.structure[v])) continue;
    SnapPool::Match match;
    if (m.initializer[v] >= 0) {
      if (!IsFloat(m.Initial(v).dtype())) continue;
      if (!literal.count(v)) match = OfInitializer(m, v, readers[v][0]);
      if (!match.found()) foreign->push_back(v);
    } else if (!literal.count(v)) {
      match = OfComputed(m, v, readers[v][0], &nodes);
    }
    if (match.found()) snaps.emplace(v, std::move(match));
  }
  return snaps;
}

}  // namespace assay
