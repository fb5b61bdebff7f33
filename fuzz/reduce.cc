#include "fuzz/reduce.h"

#include <algorithm>
#include <cmath>

namespace assay {

#define ENTRY(stem) std::vector<Transform> reductions_##stem();
#include "fuzz_reductions.inc"
#undef ENTRY

const std::vector<Transform>& AllReductions() {
  static const std::vector<Transform> table = [] {
    std::vector<Transform> all;
    auto add = [&](std::vector<Transform> rows) {
      for (Transform& r : rows) {
        CHECK(r.promise == Promise::kShrinks);
        all.push_back(std::move(r));
      }
    };
#define ENTRY(stem) add(reductions_##stem());
#include "fuzz_reductions.inc"
#undef ENTRY
    std::sort(all.begin(), all.end(), [](const Transform& a, const Transform& b) {
      return std::tie(a.cls, a.name) < std::tie(b.cls, b.name);
    });
    return all;
  }();
  return table;
}

const Transform* FindReduction(const std::string& name) {
  for (const Transform& t : AllReductions()) {
    if (t.name == name) return &t;
  }
  return nullptr;
}

Transform ReductionRow(std::string name, int order, std::string doc, std::string example) {
  CHECK(order >= 0 && order < 10);
  Transform row;
  row.name = std::move(name);
  row.promise = Promise::kShrinks;
  row.cls = "reduction " + std::to_string(order);
  row.doc = std::move(doc);
  row.example = std::move(example);
  return row;
}

std::string ModelSize::ToString() const {
  return std::to_string(nodes) + (nodes == 1 ? " node, " : " nodes, ") + std::to_string(elements) +
         (elements == 1 ? " element" : " elements");
}

namespace {

constexpr double kSmallInteger = 8;

int64_t DetailOf(const Tensor& t) {
  if (!IsFloat(t.dtype())) return 0;
  int64_t detail = 0;
  for (int64_t i = 0; i < t.size(); ++i) {
    double v = t.AsDouble(i);
    bool small = std::fabs(v) <= kSmallInteger && v == std::floor(v);
    detail += v == 0 ? 0 : v == 1 ? 1 : small ? 2 : 3;
  }
  return detail;
}

}  // namespace

ModelSize SizeOf(const Model& model) {
  const Graph& g = model.graph;
  ModelSize size;
  size.nodes = static_cast<int64_t>(g.nodes.size());
  size.ports = static_cast<int64_t>(g.inputs.size() + g.outputs.size() + g.initializers.size());
  for (const Initializer& i : g.initializers) {
    size.elements += i.value.size();
    size.detail += DetailOf(i.value);
  }
  for (const ValueInfo& v : g.inputs) {
    if (v.Static()) size.elements += std::max<int64_t>(0, ElementCount(v.StaticShape()));
  }
  for (const NodePtr& n : g.nodes) size.attributes += static_cast<int64_t>(n->attrs.size());
  return size;
}

bool IsPlainInitializer(const Graph& graph, const std::string& value) {
  return !value.empty() && graph.FindInitializer(value) && !graph.FindInput(value);
}

Tensor Prefix(const Tensor& tensor, int axis, int64_t extent) {
  CHECK(axis >= 0 && axis < tensor.rank() && extent <= tensor.dim(axis));
  Shape shape = tensor.shape();
  int64_t outer = 1, inner = 1, before = shape[axis];
  for (int i = 0; i < axis; ++i) outer *= shape[i];
  for (int i = axis + 1; i < tensor.rank(); ++i) inner *= shape[i];
  shape[axis] = extent;
  Tensor out =
      Tensor::Make(tensor.dtype(), shape, tensor.store()).value();  // smaller than one that exists
  for (int64_t o = 0; o < outer; ++o) {
    int64_t from = o * before * inner, to = o * extent * inner, count = extent * inner;
    if (tensor.dtype() == DType::kString) {
      std::copy_n(tensor.strings().begin() + from, count, out.mutable_strings().begin() + to);
    } else {
      int64_t bytes = tensor.element_bytes();
      std::copy_n(tensor.raw() + from * bytes, count * bytes, out.mutable_raw() + to * bytes);
    }
  }
  return out;
}

ValueInfo Declared(const std::string& value, const TypeInfo* type) {
  ValueInfo v{value, DType::kUndefined, std::nullopt, {}};
  if (!type) return v;
  v.dtype = type->dtype;
  if (!type->ranked) return v;
  v.shape.emplace();
  for (const Dim& d : type->dims) v.shape->push_back({d.known() ? d.value() : -1, {}});
  return v;
}

}  // namespace assay
