// OneHot (opset 9, 11): Y[.., d, ..] = values[1] where indices[..] = d, else values[0]; the new
// axis of extent `depth` stands at `axis`. Negative indices count from depth; one outside [-depth,
// depth) switches nothing on.
#include "interp/draw.h"
#include "interp/movement.h"

namespace assay {
namespace {

// Indices of this magnitude have been hashed, not counted: see OneHotIndex.
constexpr int64_t kHashed = int64_t{1} << 20;

constexpr DTypeSet kNumbers = kFloats16 | kInts;

void OneHotRule(RuleContext& c) {
  if (c.Ranked(1)) c.Require(Product(c.Dims(1)) == Dim(1), "depth has one element");
  if (c.Ranked(2))
    c.Require(c.Rank(2) == 1 && (c.In(2, 0) == Dim(2)) != Truth::kFalse, "values is [off, on]");
  if (!c.Ranked(0)) return c.OutUnranked(0, c.dtype(2));
  c.Require(c.Rank(0) >= 1, "indices has at least one axis");
  int axis = c.Axis(c.IntValue("axis"), c.Rank(0) + 1);
  std::vector<double> depth;
  Dim extent = Dim::Unknown();
  if (c.KnownReals(1, &depth) && !depth.empty()) {
    bool fits = depth[0] >= 0 && depth[0] < 0x1p62;
    c.Require(fits, "depth is at least 0");
    extent = fits ? Dim(static_cast<int64_t>(depth[0])) : Dim(0);
  }
  std::vector<Dim> out = c.Dims(0);
  out.insert(out.begin() + axis, extent);
  c.Out(0, c.dtype(2), out);
}

// Index i of the input as a place in [0, depth), or -1. A fraction is cut off, as a conversion to
// int64 does. In the field an integer that depends on data is a hash: it wraps around, lest every
// such value look alike.
int64_t OneHotIndex(const Tensor& t, int64_t i, int64_t depth, bool field) {
  int64_t v = t.AsInt(i);
  if (field && (IsFloat(t.dtype()) || v >= kHashed || v <= -kHashed)) {
    double real = t.AsDouble(i);
    if (IsFloat(t.dtype()) && FieldContext::current()->Real(real, &real) &&
        std::fabs(real) < static_cast<double>(kHashed)) {
      v = static_cast<int64_t>(real);
    } else {
      v = ((v % depth) + depth) % depth;
    }
  }
  if (v < 0) v += depth;
  return v >= 0 && v < depth ? v : -1;
}

Status OneHotKernel(KernelContext& c) {
  const Tensor& indices = c.in(0);
  std::vector<double> real;
  if (!RealsOf(c.in(1), &real)) return Unsupported("depth has no value in this domain");
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  int rank = y->rank(), axis = static_cast<int>(c.Int("axis"));
  if (axis < 0) axis += rank;
  int64_t depth = y->dim(axis), inner = ElementCount(y->shape(), axis + 1, rank);
  return VisitBytes(*y, [&](auto zero) -> Status {
    using T = decltype(zero);
    const T* values = ElementsOf<T>(c.in(2));
    T* to = MutableElementsOf<T>(*y);
    std::fill_n(to, y->size(), values[0]);
    for (int64_t i = 0; i < indices.size(); ++i) {
      int64_t on = OneHotIndex(indices, i, depth, c.store() == Store::kField);
      if (on >= 0) to[(i / inner * depth + on) * inner + i % inner] = values[1];
    }
    return {};
  });
}

bool DrawOneHot(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!IsInt(d.inputs[0].dtype)) return false;  // other numbers seldom count
  if (!d.concrete(0)) Ask(d, 0, d.inputs[0].dtype, {DrawExtent(choices, 6)});
  if (d.inputs[0].dims.empty()) return false;
  int rank = static_cast<int>(d.inputs[0].dims.size());
  int64_t depth = choices.Between(1, 6);
  if (ElementsOfInput(d, 0) * depth > d.max_elements || ElementsOfInput(d, 0) == 0) return false;
  d.Set("axis", choices.Between(-rank - 1, rank));
  d.SetConstant(1, choices.Chance(0.5) ? Tensor::Vector({depth}) : Tensor::Ints({}, {depth}));
  DType dtype = d.inputs.size() > 2 && d.inputs[2].dtype != DType::kUndefined ? d.inputs[2].dtype
                                                                              : DType::kFloat;
  Tensor values = RandomConstant(choices, dtype, {2});
  if (IsFloat(dtype) && choices.Chance(0.6)) {
    values.Set(0, 0);
    values.Set(1, 1);
  }
  d.SetConstant(2, values);
  return true;
}

}  // namespace

std::vector<OpSpec> ops_one_hot() {
  OpSpec row = Op("OneHot", 9)
                   .In("indices", "T1", kNumbers)
                   .In("depth", "T2", kNumbers)
                   .In("values", "T3", kAll7)
                   .Out("output", "T3", kAll7)
                   .Parameter("depth")
                   .Int("axis", -1, {.lo = -4, .hi = 4})
                   .Rule(OneHotRule)
                   .Eval(OneHotKernel)
                   .Draw(DrawOneHot)
                   .Traits(kMovesData | kDiscontinuous)
                   .Class(Accuracy::kExact);
  return {row, row.Since(11)};
}

}  // namespace assay
