// TopK (opset 1, 10, 11): the k largest (or smallest) elements along an axis, best first, and where
// they stood. Equal elements keep their order; NaN counts as larger than every number.
#include "interp/draw.h"
#include "interp/movement.h"

namespace assay {
namespace {

// k, an attribute in opset 1 and an input since 10.
Dim CountOf(RuleContext& c) {
  if (c.spec().since < 10) return c.Int("k");
  if (c.Ranked(1)) c.Require(Product(c.Dims(1)) == Dim(1), "K has one element");
  std::vector<int64_t> k;
  if (!c.KnownInts(1, &k)) return Dim::Unknown();
  return k.empty() ? Dim::Undefined() : Dim(k[0]);
}

void TopKRule(RuleContext& c) {
  Dim k = CountOf(c);
  c.Require(k >= Dim(0), "K is at least 0");
  if (!c.Ranked(0)) {
    c.OutUnranked(0, c.dtype(0));
    return c.OutUnranked(1, DType::kInt64);
  }
  int axis = c.Axis(c.IntValue("axis"), c.Rank(0));
  if (c.failed()) return;
  c.Require(k <= c.In(0, axis), "K is at most the extent of the axis");
  std::vector<Dim> out = c.Dims(0);
  out[axis] = k;
  c.Out(0, c.dtype(0), out);
  c.Out(1, DType::kInt64, out);
}

template <class T>
bool Before(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (b != b) return a == a;
  }
  return a < b;
}

template <class T>
void TopOfLine(const T* x, int64_t n, int64_t k, int64_t inner, bool largest,
               std::vector<int64_t>& order, T* y, int64_t* where) {
  for (int64_t i = 0; i < n; ++i) order[i] = i;
  std::partial_sort(order.begin(), order.begin() + k, order.begin() + n, [&](int64_t i, int64_t j) {
    T a = x[i * inner], b = x[j * inner];
    if (largest ? Before(b, a) : Before(a, b)) return true;
    if (largest ? Before(a, b) : Before(b, a)) return false;
    return i < j;
  });
  for (int64_t i = 0; i < k; ++i) {
    if (y) y[i * inner] = x[order[i] * inner];
    if (where) where[i * inner] = order[i];
  }
}

Status TopKKernel(KernelContext& c) {
  const Tensor& x = c.in(0);
  int rank = x.rank(), axis = static_cast<int>(c.Int("axis"));
  if (axis < 0) axis += rank;
  Tensor* values = TRY(c.Out(0));
  Tensor* where = TRY(c.Out(1));
  if (values->size() == 0) return {};
  int64_t outer = ElementCount(x.shape(), 0, axis), inner = ElementCount(x.shape(), axis + 1, rank);
  int64_t n = x.dim(axis), k = values->dim(axis);
  bool largest = c.spec().since < 11 || c.Int("largest") != 0;
  return VisitNumeric(x, [&](auto zero) -> Status {
    using T = decltype(zero);
    std::vector<int64_t> order(static_cast<size_t>(n));
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i = 0; i < inner; ++i) {
        int64_t to = o * k * inner + i;
        TopOfLine(c.data<T>(0) + o * n * inner + i, n, k, inner, largest, order,
                  values->mutable_data<T>() + to, where->mutable_data<int64_t>() + to);
      }
    }
    return {};
  });
}

bool DrawTopK(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.empty() || ElementsOfInput(d, 0) == 0) return false;
  Shape shape = d.shape(0);
  size_t axis = choices.Below(shape.size());
  int64_t k = DrawExtent(choices, shape[axis]);
  // The default, the last axis, counts from the back in every version.
  if (axis + 1 != shape.size() || choices.Chance(0.3)) {
    d.Set("axis",
          MaybeNegative(choices, d, static_cast<int64_t>(axis), static_cast<int>(shape.size())));
  }
  if (d.spec->since < 10)
    d.Set("k", k);
  else
    d.SetConstant(1, Tensor::Vector({k}));
  if (d.spec->since >= 11 && choices.Chance(0.4)) d.Set("largest", int64_t{0});
  d.outputs = 2;
  return true;
}

}  // namespace

std::vector<OpSpec> ops_topk() {
  OpSpec row = Op("TopK", 1)
                   .In("X", "T", kFloats16)
                   .Out("Values", "T", kFloats16)
                   .Out("Indices", "I", Bit(DType::kInt64))
                   .Int("axis", -1, {.lo = -1, .hi = 4})
                   .Rule(TopKRule)
                   .Eval(TopKKernel)
                   .Draw(DrawTopK)
                   .Traits(kDiscontinuous | kWithinInputs)
                   .Class(Accuracy::kExact);
  OpSpec with_attr = row;
  with_attr.Attr({"k", AttrType::kInt, true, std::nullopt, {.lo = 1, .hi = 16}});
  row.In("K", "", Bit(DType::kInt64));
  OpSpec v11 = row.Since(11)
                   .Types("T", kFloats16 | kInts)
                   .Int("largest", 1, {.lo = 0, .hi = 1})
                   .Int("sorted", 1, {.lo = 0, .hi = 1});
  v11.attrs[0].domain.lo = -4;
  return {with_attr, row.Since(10), v11, v11.Since(24).Types("T", kFloatsBf16 | kInts)};
}

}  // namespace assay
