#include "oracle/prepared.h"

#include "interp/functions.h"
#include "interp/hash.h"

namespace assay {
namespace {

uint64_t HashString(uint64_t h, const std::string& s) {
  return HashBytes(Mix(h ^ s.size()), s.data(), s.size());
}

uint64_t HashAttr(uint64_t h, const AttrValue& v) {
  h = Mix(h ^ v.index());
  return std::visit(
      [&](const auto& x) -> uint64_t {
        using T = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, float>)
          return HashBytes(h, &x, sizeof(x));
        else if constexpr (std::is_same_v<T, std::string>)
          return HashString(h, x);
        else if constexpr (std::is_same_v<T, std::vector<int64_t>> ||
                           std::is_same_v<T, std::vector<float>>)
          return HashBytes(h, x.data(), x.size() * sizeof(x[0]));
        else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          for (const std::string& s : x) h = HashString(h, s);
          return h;
        } else if constexpr (std::is_same_v<T, Tensor>)
          return Mix(h ^ x.ContentHash());
        else if constexpr (std::is_same_v<T, Opaque>)
          return HashString(h, x.bytes);
        else
          return HashBytes(h, &x, sizeof(void*));  // a subgraph: by identity
      },
      v);
}

// Attributes in an order that the file's does not matter to; absent ones hash like their defaults.
uint64_t HashNode(const OpSpec& row, const Node& node) {
  uint64_t h = Mix(reinterpret_cast<uintptr_t>(&row));
  for (const AttrSpec& a : row.attrs) {
    const AttrValue* v = node.Find(a.name);
    if (!v && a.otherwise) v = &*a.otherwise;
    if (v) h = HashAttr(HashString(h, a.name), *v);
  }
  for (size_t i = 0; i < node.inputs.size(); ++i) h = Mix(h ^ (node.inputs[i].empty() ? 3 : 5));
  for (size_t i = 0; i < node.outputs.size(); ++i) h = Mix(h ^ (node.outputs[i].empty() ? 7 : 11));
  return h;
}

// Equal for equal tensors, whether a Constant node or an initializer holds them.
uint64_t HashConstant(const Prepared& p, const PreparedNode& pn, size_t output) {
  const AttrValue* value = pn.node->op == "Constant" ? pn.node->Find("value") : nullptr;
  if (value && std::holds_alternative<Tensor>(*value)) return std::get<Tensor>(*value).ContentHash();
  uint64_t h = Mix(pn.hash ^ output);
  for (int i : pn.inputs) h = Mix(h ^ (i < 0 ? 1 : p.structure[i]));
  return h | 1;
}

}  // namespace

Result<std::shared_ptr<const Prepared>> Prepared::Of(const Model& model) {
  if (NeedsInlining(model)) return Of(TRY(Inlined(model)));
  auto p = std::make_shared<Prepared>();
  p->model = model;
  const Graph& g = p->model.graph;
  auto add = [&](const std::string& name) {
    auto [it, fresh] = p->number.emplace(name, static_cast<int>(p->names.size()));
    if (fresh) {
      p->names.push_back(name);
      p->initializer.push_back(-1);
      p->content.push_back(0);
      p->structure.push_back(0);
      p->producer.push_back(-1);
      p->constant.push_back(0);
    }
    return it->second;
  };
  for (const ValueInfo& v : g.RequiredInputs()) {
    if (v.dtype == DType::kUndefined) return Unsupported("input '" + v.name + "' is not a tensor");
    p->inputs.push_back(add(v.name));
  }
  for (size_t i = 0; i < g.initializers.size(); ++i) {
    int v = add(g.initializers[i].name);
    p->initializer[v] = static_cast<int>(i);
    p->content[v] = p->structure[v] = g.initializers[i].value.ContentHash();
    p->constant[v] = 1;
  }
  std::vector<NodePtr> order = TRY(Sorted(g));
  for (const NodePtr& n : order) {
    const OpSpec* row = TRY(RowFor(model, *n));
    PreparedNode pn{n, row, {}, {}, 0, true};
    for (const std::string& i : OperandsOf(*n)) {
      auto it = p->number.find(i);
      if (!i.empty() && it == p->number.end())
        return Invalid("nothing makes input '" + i + "'", NodeLabel(*n));
      pn.inputs.push_back(i.empty() ? -1 : it->second);
      if (!i.empty() && !p->constant[it->second]) pn.constant = false;
    }
    if (pn.row->Has(kNondeterministic)) pn.constant = false;
    pn.hash = HashNode(*pn.row, *n);
    for (const std::string& o : n->outputs) {
      int v = o.empty() ? -1 : add(o);
      pn.outputs.push_back(v);
      if (v >= 0) {
        p->producer[v] = static_cast<int>(p->nodes.size());
        p->constant[v] = pn.constant;
        if (pn.constant) p->structure[v] = HashConstant(*p, pn, pn.outputs.size() - 1);
      }
    }
    p->nodes.push_back(std::move(pn));
  }
  for (const ValueInfo& o : g.outputs) {
    auto it = p->number.find(o.name);
    if (it == p->number.end()) return Invalid("nothing makes graph output '" + o.name + "'");
    p->outputs.push_back(it->second);
  }
  return std::shared_ptr<const Prepared>(p);
}

std::vector<std::vector<int>> Prepared::Readers() const {
  std::vector<std::vector<int>> readers(names.size());
  for (size_t n = 0; n < nodes.size(); ++n) {
    for (int i : nodes[n].inputs) {
      if (i >= 0 && (readers[i].empty() || readers[i].back() != static_cast<int>(n)))
        readers[i].push_back(static_cast<int>(n));
    }
  }
  return readers;
}

const Tensor* Prepared::Literal(int value) const {
  if (initializer[value] >= 0) return &Initial(value);
  int maker = producer[value];
  if (maker < 0 || nodes[maker].node->op != "Constant" || !nodes[maker].node->domain.empty()) return nullptr;
  const AttrValue* held = nodes[maker].node->Find("value");
  return held ? std::get_if<Tensor>(held) : nullptr;
}

}  // namespace assay
