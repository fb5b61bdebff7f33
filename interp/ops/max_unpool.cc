// MaxUnpool (ONNX opset 9, 11): writes each element of X [N,C,D1..Dn] to where I says that it came
// from, zero elsewhere. I counts in the whole tensor whose spatial extents are stride * (D - 1) +
// kernel - pads.
//
// Surprise: output_shape, where given, only appends zeros at the end of each axis; indices still
// count in the extents above.
#include "interp/window.h"

namespace assay {
namespace {

// The shape in which indices count.
std::vector<Dim> IndexedShape(RuleContext& c) {
  std::vector<Dim> y = c.Dims(0);
  size_t axes = y.size() - 2;
  WindowDims w = ReadWindow(c, KernelDims(c, axes));
  for (size_t i = 0; i < axes; ++i) {
    c.Require(y[i + 2] >= Dim(1), "no spatial extent is 0");
    Dim out = (y[i + 2] - Dim(1)) * w.strides[i] + w.kernel[i] - w.pads[i] - w.pads[axes + i];
    c.Require(out >= Dim(1), "the pads leave an output");
    y[i + 2] = Max(Dim(1), out);
  }
  return y;
}

void Rule(RuleContext& c) {
  if (!c.Ranked(0)) return c.OutUnranked(0, c.dtype(0));
  int rank = c.Rank(0);
  c.Require(rank >= 3, "the input is [N,C,D1,..]");
  if (c.failed()) return;
  if (c.Ranked(1)) {
    c.Require(c.Rank(1) == rank, "the indices have the input's shape");
    for (int i = 0; i < rank; ++i)
      c.Require(c.In(0, i) == c.In(1, i), "the indices have the input's shape");
  }
  std::vector<Dim> indexed = IndexedShape(c);
  if (!c.Has(2)) return c.Out(0, c.dtype(0), std::move(indexed));
  std::vector<int64_t> given;
  if (!c.KnownInts(2, &given)) return c.Out(0, c.dtype(0), std::vector<Dim>(indexed.size()));
  c.Require(given.size() == indexed.size(), "output_shape has one entry for each axis");
  if (c.failed()) return;
  for (size_t i = 0; i < given.size(); ++i) {
    c.Require(i < 2 ? indexed[i] == Dim(given[i]) : indexed[i] <= Dim(given[i]),
              "output_shape holds the shape that kernel, strides and pads give");
  }
  c.Out(0, c.dtype(0), std::vector<Dim>(given.begin(), given.end()));
}

// Extents in which indices count, for shapes that the rule let pass.
Shape IndexedShape(const KernelContext& c) {
  Shape y = c.in(0).shape(), kernel = c.Ints("kernel_shape"), strides = c.Ints("strides"),
        pads = c.Ints("pads");
  for (size_t i = 0, axes = kernel.size(); i < axes; ++i) {
    y[i + 2] = (y[i + 2] - 1) * (strides.empty() ? 1 : strides[i]) + kernel[i];
    if (!pads.empty()) y[i + 2] -= pads[i] + pads[axes + i];
  }
  return y;
}

Status Eval(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  Shape indexed = IndexedShape(c), strides = Strides(y->shape());
  int64_t size = ElementCount(indexed);
  const int64_t* index = c.data<int64_t>(1);
  return VisitBytes(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, std::string>) {
      return Unsupported("MaxUnpool of strings");
    } else {
      const T* x = c.data<T>(0);
      T* out = y->mutable_data<T>();
      std::memset(static_cast<void*>(out), 0, static_cast<size_t>(y->bytes()));
      for (int64_t i = 0; i < c.in(0).size(); ++i) {
        int64_t rest = index[i], to = 0;
        if (rest < 0 || rest >= size)
          return Invalid("index " + std::to_string(rest) + " lies outside " +
                         ShapeToString(indexed));
        for (size_t d = indexed.size(); d-- > 0; rest /= indexed[d])
          to += rest % indexed[d] * strides[d];
        out[to] = x[i];
      }
      return {};
    }
  });
}

// Windows that don't overlap, and for each a random tap as the index.
bool Draw(Choices& choices, Draft& d) {
  if (!d.concrete(0) || d.shape(0).size() < 3) return false;
  Shape x = d.shape(0), y = x;
  std::vector<int64_t> kernel(x.size() - 2);
  for (size_t i = 2; i < x.size(); ++i) {
    kernel[i - 2] = choices.Between(1, 3);
    y[i] = x[i] * kernel[i - 2];
  }
  int64_t size = ElementCount(y);
  if (size < 1 || size > d.max_elements) return false;
  std::vector<int64_t> index(static_cast<size_t>(ElementCount(x)));
  Shape strides = Strides(y);
  for (size_t i = 0; i < index.size(); ++i) {
    int64_t rest = static_cast<int64_t>(i);
    for (size_t axis = x.size(); axis-- > 0; rest /= x[axis]) {
      int64_t at = rest % x[axis];
      index[i] +=
          strides[axis] *
          (axis < 2 ? at : at * kernel[axis - 2] + choices.Between(0, kernel[axis - 2] - 1));
    }
  }
  d.Set("kernel_shape", kernel);
  d.Set("strides", kernel);
  d.SetConstant(1, Tensor::Ints(x, index));
  return true;
}

}  // namespace

std::vector<OpSpec> ops_max_unpool() {
  OpSpec v9 = Op("MaxUnpool", 9)
                  .In("X", "T1", kFloats16)
                  .In("I", "T2", Bit(DType::kInt64))
                  .In("output_shape", "T2", Bit(DType::kInt64), Arity::kOptional)
                  .Out("output", "T1", kFloats16)
                  .Ints("kernel_shape", {.len_rank = 1, .len_const = -2})
                  .Ints("pads")
                  .Ints("strides", {.len_rank = 1, .len_const = -2})
                  .Rule(Rule)
                  .Eval(Eval)
                  .Draw(Draw)
                  .Traits(kMovesData)
                  .Class(Accuracy::kExact);
  v9.attrs[0].required = true;
  return {v9, v9.Since(11), v9.Since(22).Types("T1", kFloatsBf16)};
}

}  // namespace assay
