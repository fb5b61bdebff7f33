#include "oracle/lab_snaps.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "interp/choices.h"

namespace assay {
namespace {
// Values of the constants that a model computes, in double, as far as they can be computed.
std::unordered_map<int, Tensor> ComputedConstants(const Prepared& m, const Limits& limits) {
  std::unordered_map<int, Tensor> values;
  for (const PreparedNode& pn : m.nodes) {
    if (!pn.constant) continue;
    std::vector<Tensor> held;
    std::vector<const Tensor*> args;
    held.reserve(pn.inputs.size());
    bool known = true;
    for (int i : pn.inputs) {
      if (i < 0) {
        args.push_back(nullptr);
        continue;
      }
      auto it = values.find(i);
      known = known && (it != values.end() || m.initializer[i] >= 0);
      if (!known) break;
      held.push_back(it != values.end() ? it->second : m.Initial(i).To(Store::kDouble));
      args.push_back(&held.back());
    }
    if (!known) continue;
    Result<std::vector<Tensor>> out =
        EvalNode(*pn.row, *pn.node, args, Store::kDouble, limits, m.model.Opset(pn.node->domain));
    for (size_t o = 0; out.ok() && o < pn.outputs.size(); ++o) {
      if (pn.outputs[o] >= 0) values.emplace(pn.outputs[o], (*out)[o]);
    }
  }
  return values;
}

}  // namespace

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

void LabSnapper::SnapNormalizations(const Prepared& m, const Readers& readers, LabSnaps* snaps) {
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

SnapPool::Match LabSnapper::OfComputed(const Prepared& m, const Tensor& value, int depth, const Reader& reader) {
  SnapPool::Match match = pool_.FindComputed(value, depth);
  // Weights that were only moved, as behind a Transpose, are still told by the node that reads them.
  const Node& node = *m.nodes[reader.node].node;
  if (!match.found() && IsFloat(value.dtype()) && ViewWeights(node, reader.input, value.shape()))
    match = pool_.Find(value, &node, reader.input);
  return match;
}

LabSnaps LabSnapper::Of(const Prepared& m, std::vector<int>* foreign) {
  LabSnaps snaps;
  Readers readers = ReadersOfConstants(m);
  SnapNormalizations(m, readers, &snaps);
  std::optional<std::unordered_map<int, Tensor>> computed;
  for (size_t i = 0; i < m.names.size(); ++i) {
    int v = static_cast<int>(i);
    if (!m.constant[v] || readers[v].empty() || snaps.count(v) || pool_.IsSourceConstant(m.structure[v])) continue;
    SnapPool::Match match;
    if (m.initializer[v] >= 0) {
      if (!IsFloat(m.Initial(v).dtype())) continue;
      match = OfInitializer(m, v, readers[v][0]);
      if (!match.found()) foreign->push_back(v);
    } else {
      if (!computed) computed = ComputedConstants(m, limits_);
      auto it = computed->find(v);
      if (it == computed->end()) continue;
      match = OfComputed(m, it->second, static_cast<int>(computed->size()), readers[v][0]);
    }
    if (match.found()) snaps.emplace(v, std::move(match));
  }
  return snaps;
}

}  // namespace assay
