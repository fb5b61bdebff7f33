// Operators whose output extents depend on data: Compress (opset 9, 11), NonZero (9, 13) and Unique
// (11).
#include <numeric>

#include "interp/draw.h"
#include "interp/movement.h"

namespace assay {
namespace {

// ---- Compress: the slices of an axis (of the flattened X without one) where condition holds

void CompressRule(RuleContext& c) {
  if (c.Ranked(1)) c.Require(c.Rank(1) == 1, "condition has one axis");
  Dim kept = Dim::Unknown();
  if (const Tensor* condition = c.Value(1)) {
    const uint8_t* on = condition->data<uint8_t>();
    kept = Dim(condition->size() - std::count(on, on + condition->size(), uint8_t{0}));
  }
  bool flat = !c.HasAttr("axis");
  if (!c.Ranked(0)) {
    if (flat)
      c.Out(0, c.dtype(0), {kept});
    else
      c.OutUnranked(0, c.dtype(0));
    return;
  }
  int axis = flat ? 0 : c.Axis(c.IntValue("axis"), c.Rank(0));
  if (c.failed()) return;
  Dim whole = flat ? Product(c.Dims(0)) : c.In(0, axis);
  if (c.Ranked(1)) c.Require(c.In(1, 0) <= whole, "condition is no longer than the axis");
  std::vector<Dim> out = flat ? std::vector<Dim>(1) : c.Dims(0);
  out[axis] = kept;
  c.Out(0, c.dtype(0), out);
}

Status CompressKernel(KernelContext& c) {
  const Tensor& x = c.in(0);
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  bool flat = !c.HasAttr("axis");
  int rank = x.rank(), axis = flat ? 0 : static_cast<int>(c.Int("axis"));
  if (axis < 0) axis += rank;
  int64_t outer = flat ? 1 : ElementCount(x.shape(), 0, axis),
          inner = flat ? 1 : ElementCount(x.shape(), axis + 1, rank);
  int64_t plane = flat ? x.size() : x.dim(axis) * inner, at = 0;
  const uint8_t* on = c.data<uint8_t>(1);
  return VisitBytes(x, [&](auto zero) -> Status {
    using T = decltype(zero);
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i = 0; i < c.in(1).size(); ++i) {
        if (!on[i]) continue;
        std::copy_n(ElementsOf<T>(x) + o * plane + i * inner, inner, MutableElementsOf<T>(*y) + at);
        at += inner;
      }
    }
    return {};
  });
}

bool DrawCompress(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.empty() || ElementsOfInput(d, 0) == 0) return false;
  Shape shape = d.shape(0);
  int64_t n = ElementsOfInput(d, 0);
  if (choices.Chance(0.7) || n > 64) {
    size_t axis = choices.Below(shape.size());
    d.Set("axis",
          MaybeNegative(choices, d, static_cast<int64_t>(axis), static_cast<int>(shape.size())));
    n = shape[axis];
  }
  Tensor condition = RandomConstant(choices, DType::kBool, {n});
  condition.Set(static_cast<int64_t>(choices.Below(static_cast<uint64_t>(n))),
                1);  // never an empty output
  d.SetConstant(1, condition);
  return true;
}

// ---- NonZero: the coordinates [rank, count] of the elements that are not 0

void NonZeroRule(RuleContext& c) {
  if (!c.Ranked(0)) return c.Out(0, DType::kInt64, {Dim::Unknown(), Dim::Unknown()});
  Dim most = Product(c.Dims(0));
  c.Out(0, DType::kInt64,
        {Dim(std::max(1, c.Rank(0))), Dim(0, most.defined() ? most.hi() : Dim::kMax)});
}

// f(T{}) for every type; bool is a byte.
template <class F>
Status VisitComparable(const Tensor& t, F&& f) {
  if (t.dtype() == DType::kComplex64) return f(std::complex<float>{});
  if (t.dtype() == DType::kComplex128) return f(std::complex<double>{});
  if (t.dtype() == DType::kBool) return f(uint8_t{});
  if (t.dtype() == DType::kString) return f(std::string{});
  return VisitNumeric(t, f);
}

Status NonZeroKernel(KernelContext& c) {
  const Tensor& x = c.in(0);
  std::vector<int64_t> found;
  auto scan = [&](auto zero) -> Status {
    using T = decltype(zero);
    const T* data = ElementsOf<T>(x);
    for (int64_t i = 0; i < x.size(); ++i) {
      if (!(data[i] == T{})) found.push_back(i);
    }
    return {};
  };
  TRY(VisitComparable(x, scan));
  int64_t rank = std::max(1, x.rank()), count = static_cast<int64_t>(found.size());
  Tensor* y = TRY(c.Out(0, {rank, count}));
  int64_t* to = y->mutable_data<int64_t>();
  for (int64_t i = 0; i < count; ++i) {
    int64_t left = found[i];
    for (int64_t a = rank; a-- > 0;) {
      int64_t extent = x.rank() > 0 ? x.dim(static_cast<int>(a)) : 1;
      to[a * count + i] = left % extent;
      left /= extent;
    }
  }
  return {};
}

// How many are left depends on the elements, so these are constants: what a generated graph
// computes has extents that are known. Few values, some of them 0, most of them more than once.
bool DrawElements(Choices& choices, Draft& d) {
  Shape shape = {DrawExtent(choices, 6)};
  while (shape.size() < 3 && choices.Chance(0.5)) shape.push_back(DrawExtent(choices, 6));
  if (d.concrete(0)) shape = d.shape(0);
  if (shape.empty() || ElementCount(shape) == 0) return false;
  DType type = d.inputs[0].dtype;
  Tensor t = type == DType::kString || type == DType::kBool
                 ? RandomConstant(choices, type, shape)
                 : IntegerConstant(choices, type, shape, IsSigned(type) ? -2 : 0, 3);
  d.SetConstant(0, t);
  return true;
}

bool DrawNonZero(Choices& choices, Draft& d) {
  d.attrs.clear();
  // As many columns as elements at most.
  return DrawElements(choices, d) &&
         (!d.concrete(0) || ElementsOfInput(d, 0) * static_cast<int64_t>(d.inputs[0].dims.size()) <=
                                d.max_elements);
}

// ---- Unique: the distinct slices of an axis (elements without one), where each first stood, which
// one each input slice is, and how often each occurs

void UniqueRule(RuleContext& c) {
  bool flat = !c.HasAttr("axis");
  if (!c.Ranked(0)) {
    if (flat)
      c.Out(0, c.dtype(0), {Dim::Unknown()});
    else
      c.OutUnranked(0, c.dtype(0));
    for (int i = 1; i < 4; ++i) c.Out(i, DType::kInt64, {Dim::Unknown()});
    return;
  }
  int axis = flat ? 0 : c.Axis(c.IntValue("axis"), c.Rank(0));
  if (c.failed()) return;
  Dim whole = flat ? Product(c.Dims(0)) : c.In(0, axis);
  c.Require(whole.defined() ? Truth::kTrue : Truth::kFalse, "the element count is finite");
  if (c.failed()) return;
  std::vector<Dim> out = flat ? std::vector<Dim>(1) : c.Dims(0);
  Dim distinct(0, whole.hi());
  out[axis] = distinct;
  c.Out(0, c.dtype(0), out);
  c.Out(1, DType::kInt64, {distinct});
  c.Out(2, DType::kInt64, {whole});
  c.Out(3, DType::kInt64, {distinct});
}

template <class T>
int Compare(const T& a, const T& b) {
  if constexpr (std::is_floating_point_v<T>) {  // NaN equals NaN and is larger than every number
    if (a != a || b != b) return (a != a) - (b != b);
  }
  if (a < b) return -1;
  return b < a ? 1 : 0;
}
template <class T>
int Compare(const std::complex<T>& a,
            const std::complex<T>& b) {  // by the real part, then the imaginary one
  int order = Compare(a.real(), b.real());
  return order ? order : Compare(a.imag(), b.imag());
}

// X as [outer, n, inner]: slice i is X[:, i, :].
struct Slices {
  int64_t outer = 1, n = 0, inner = 1;
};

// Groups of equal slices in ascending order; within a group the slices ascend.
template <class T>
std::vector<std::vector<int64_t>> GroupSlices(const T* x, const Slices& s) {
  auto compare = [&](int64_t i, int64_t j) {
    for (int64_t o = 0; o < s.outer; ++o) {
      const T *a = x + (o * s.n + i) * s.inner, *b = x + (o * s.n + j) * s.inner;
      for (int64_t k = 0; k < s.inner; ++k) {
        if (int order = Compare(a[k], b[k])) return order;
      }
    }
    return 0;
  };
  std::vector<int64_t> order(static_cast<size_t>(s.n));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t i, int64_t j) { return compare(i, j) < 0; });
  std::vector<std::vector<int64_t>> groups;
  for (int64_t i : order) {
    if (groups.empty() || compare(groups.back()[0], i) != 0) groups.emplace_back();
    groups.back().push_back(i);
  }
  return groups;
}

Status WriteUnique(KernelContext& c, const std::vector<std::vector<int64_t>>& groups,
                   const Slices& s, int axis, bool flat) {
  int64_t count = static_cast<int64_t>(groups.size());
  Shape shape = flat ? Shape{count} : c.in(0).shape();
  shape[axis] = count;
  Tensor* y = TRY(c.Out(0, shape));
  std::vector<int64_t> inverse(static_cast<size_t>(s.n));
  for (int64_t g = 0; g < count; ++g) {
    TRY(CopyWalk(c.in(0),
                 {{s.outer, s.inner},
                  {s.n * s.inner, 1},
                  {count * s.inner, 1},
                  groups[g][0] * s.inner,
                  g * s.inner},
                 *y));
    for (int64_t i : groups[g]) inverse[i] = g;
  }
  for (int i = 1; i < 4; ++i) {
    if (!c.WantsOutput(i)) continue;
    Tensor* t = TRY(c.Out(i, {i == 2 ? s.n : count}));
    int64_t* to = t->mutable_data<int64_t>();
    if (i == 2) std::copy(inverse.begin(), inverse.end(), to);
    for (int64_t g = 0; g < count && i != 2; ++g)
      to[g] = i == 1 ? groups[g][0] : static_cast<int64_t>(groups[g].size());
  }
  return {};
}

Status UniqueKernel(KernelContext& c) {
  const Tensor& x = c.in(0);
  bool flat = !c.HasAttr("axis");
  int axis = flat ? 0 : static_cast<int>(c.Int("axis"));
  if (axis < 0) axis += x.rank();
  Slices s{1, x.size(), 1};
  if (!flat)
    s = {ElementCount(x.shape(), 0, axis), x.dim(axis),
         ElementCount(x.shape(), axis + 1, x.rank())};
  // Slices without elements: all are equal, and there may be more of them than memory.
  if (x.size() == 0 && s.n > 0) return Unsupported("Unique over slices without elements");
  std::vector<std::vector<int64_t>> groups;
  TRY(VisitComparable(x, [&](auto zero) -> Status {
    groups = GroupSlices(ElementsOf<decltype(zero)>(x), s);
    return {};
  }));
  if (c.Int("sorted") == 0) std::sort(groups.begin(), groups.end());  // by first occurrence
  return WriteUnique(c, groups, s, axis, flat);
}

bool DrawUnique(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!DrawElements(choices, d)) return false;
  if (choices.Chance(0.4))
    d.Set("axis", DrawAxis(choices, d, static_cast<int>(d.inputs[0].dims.size())));
  if (choices.Chance(0.3)) d.Set("sorted", int64_t{0});
  d.outputs = static_cast<int>(choices.Between(1, 4));
  return true;
}

}  // namespace

std::vector<OpSpec> ops_compress() {
  std::vector<OpSpec> rows;
  OpSpec compress = Op("Compress", 9)
                        .In("input", "T", kAll7)
                        .In("condition", "T1", Bit(DType::kBool))
                        .Out("output", "T", kAll7)
                        .Attr({"axis", AttrType::kInt, false, std::nullopt, {.lo = 0, .hi = 4}})
                        .Rule(CompressRule)
                        .Eval(CompressKernel)
                        .Draw(DrawCompress)
                        .Traits(kMovesData | kWithinInputs)
                        .Class(Accuracy::kExact);
  rows.push_back(compress);
  compress.attrs[0].domain.lo = -4;
  rows.push_back(compress.Since(11));
  OpSpec nonzero = Op("NonZero", 9)
                       .In("X", "T", kAll7)
                       .Out("Y", "", Bit(DType::kInt64))
                       .Rule(NonZeroRule)
                       .Eval(NonZeroKernel)
                       .Draw(DrawNonZero)
                       .Traits(kDiscontinuous)
                       .Class(Accuracy::kExact);
  rows.push_back(nonzero);
  rows.push_back(nonzero.Since(13).Types("T", kAll13));
  rows.push_back(Op("Unique", 11)
                     .In("X", "T", kAll7)
                     .Out("Y", "T", kAll7)
                     .Out("indices", "", Bit(DType::kInt64), Arity::kOptional)
                     .Out("inverse_indices", "", Bit(DType::kInt64), Arity::kOptional)
                     .Out("counts", "", Bit(DType::kInt64), Arity::kOptional)
                     .Attr({"axis", AttrType::kInt, false, std::nullopt, {.lo = -4, .hi = 4}})
                     .Int("sorted", 1, {.lo = 0, .hi = 1})
                     .Rule(UniqueRule)
                     .Eval(UniqueKernel)
                     .Draw(DrawUnique)
                     .Traits(kDiscontinuous)
                     .Class(Accuracy::kExact));
  return rows;
}

}  // namespace assay
