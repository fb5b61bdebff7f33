#include "oracle/lab_snaps.h"

#include <algorithm>
#include <bit>

#include "interp/choices.h"
#include "oracle/constant_nodes.h"

namespace assay {

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

SnapPool::Match LabSnapper::OfLiteral(const Prepared& m, int v, const Reader& reader) {
  const PreparedNode& pn = m.nodes[reader.node];
  uint64_t key = Mix(m.structure[v] ^ Mix(pn.hash ^ static_cast<uint64_t>(reader.input + 1)));
  auto it = literals_.find(key);
  if (it == literals_.end())
    it = literals_.emplace(key, pool_.Find(*m.Literal(v), pn.node.get(), reader.input)).first;
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
  ConstantNodes nodes(m, Store::kDouble, limits_);
  for (size_t i = 0; i < m.names.size(); ++i) {
    int v = static_cast<int>(i);
    if (!m.constant[v] || readers[v].empty() || snaps.count(v) || pool_.IsSourceConstant(m.structure[v])) continue;
    SnapPool::Match match;
    if (const Tensor* held = m.Literal(v)) {
      if (!IsFloat(held->dtype())) continue;
      if (!literal.count(v)) match = OfLiteral(m, v, readers[v][0]);
      if (!match.found() && m.initializer[v] >= 0) foreign->push_back(v);
    } else if (!literal.count(v)) {
      match = OfComputed(m, v, readers[v][0], &nodes);
    }
    if (match.found()) snaps.emplace(v, std::move(match));
  }
  return snaps;
}

}  // namespace assay
