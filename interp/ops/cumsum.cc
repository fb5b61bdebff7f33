// CumSum (opset 11, 14) and CumProd (26): Y[.., i, ..] = sum (product) of X[.., j, ..] for j <= i
// (exclusive: j < i; reverse: from the end).
#include "interp/draw.h"
#include "interp/movement.h"

namespace assay {
namespace {

void CumSumRule(RuleContext& c) {
  if (c.Ranked(1)) c.Require(Product(c.Dims(1)) == Dim(1), "axis has one element");
  std::vector<int64_t> axis;
  if (c.Ranked(0)) c.Require(c.Rank(0) >= 1, "x has at least one axis");
  if (c.Ranked(0) && c.KnownInts(1, &axis) && !axis.empty()) c.Axis(axis[0], c.Rank(0));
  SameAsInput0(c);
}

struct AddFn {
  static constexpr int kStart = 0;
  template <class T>
  T operator()(T a, T b) const {
    return WrapAdd(a, b);
  }
};
struct MulFn {
  static constexpr int kStart = 1;
  template <class T>
  T operator()(T a, T b) const {
    return WrapMul(a, b);
  }
};

template <class Fn>
Status Cumulate(KernelContext& c) {
  const Tensor& x = c.in(0);
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  int64_t axis = c.in(1).AsInt(0);
  if (axis < 0) axis += x.rank();
  int at = static_cast<int>(axis);
  int64_t n = x.dim(at), inner = ElementCount(x.shape(), at + 1, x.rank()),
          outer = ElementCount(x.shape(), 0, at);
  bool exclusive = c.Int("exclusive") != 0, reverse = c.Int("reverse") != 0;
  return VisitNumeric(x, [&](auto zero) -> Status {
    using T = decltype(zero);
    std::vector<T> sum(static_cast<size_t>(inner));
    for (int64_t o = 0; o < outer; ++o) {
      std::fill(sum.begin(), sum.end(), T(Fn::kStart));
      for (int64_t k = 0; k < n; ++k) {
        int64_t row = (o * n + (reverse ? n - 1 - k : k)) * inner;
        const T* from = c.data<T>(0) + row;
        T* to = y->mutable_data<T>() + row;
        for (int64_t j = 0; j < inner; ++j) {
          T next = Fn()(sum[j], from[j]);
          to[j] = exclusive ? sum[j] : next;
          sum[j] = next;
        }
      }
    }
    return {};
  });
}

bool DrawCumSum(Choices& choices, Draft& d) {
  d.attrs.clear();
  int rank = static_cast<int>(d.inputs[0].dims.size());
  if (rank == 0) return false;
  // One that has something to add up: the others are all alike.
  int64_t axis = DrawAxis(choices, d, rank);
  if (d.concrete(0) && d.shape(0)[static_cast<size_t>(axis < 0 ? axis + rank : axis)] < 2)
    return false;
  d.SetConstant(1, Tensor::Ints({}, {axis}));
  if (choices.Chance(0.4)) d.Set("exclusive", int64_t{1});
  if (choices.Chance(0.4)) d.Set("reverse", int64_t{1});
  return true;
}

}  // namespace

std::vector<OpSpec> ops_cumsum() {
  constexpr DTypeSet k11 = Bit(DType::kFloat) | Bit(DType::kDouble) | kInts32_64;
  OpSpec row = Op("CumSum", 11)
                   .In("x", "T", k11)
                   .In("axis", "T2", kIndexInts)
                   .Out("y", "T", k11)
                   .Int("exclusive", 0, {.lo = 0, .hi = 1})
                   .Int("reverse", 0, {.lo = 0, .hi = 1})
                   .Rule(CumSumRule)
                   .Eval(Cumulate<AddFn>)
                   .Draw(DrawCumSum)
                   .Class(Accuracy::kReduction);
  OpSpec product = row.Since(26).Types("T", kFloatsBf16 | kInts32_64);
  product.name = "CumProd";
  product.Eval(Cumulate<MulFn>);
  // Growth that is repeated ends in overflow.
  product.Safe("x", {.lo = -2, .hi = 2}, SafeValues{});
  product.Example(
      "opset 26 graph(float[2,3] x) -> (y) { a = int64[] {1} y = CumProd(x, a) {reverse=1} }");
  return {row, row.Since(14).Types("T", kFloatsBf16 | kInts32_64), product};
}

}  // namespace assay
