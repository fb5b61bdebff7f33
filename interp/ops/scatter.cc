// Scatter (opset 9; deprecated in 11), ScatterElements (11, 13, 16, 18), ScatterND (11, 13, 16,
// 18): a copy of data with updates written, or with `reduction` combined, at places given by
// indices. Where places repeat, updates apply in their order (ONNX leaves that open without a
// reduction).
#include "interp/draw.h"
#include "interp/movement.h"

namespace assay {
namespace {

// What `reduction` does with the old element and the update.
struct Replace {
  template <class T>
  T operator()(const T&, const T& update) const {
    return update;
  }
};
struct Sum {
  template <class T>
  T operator()(T a, T b) const {
    return WrapAdd(a, b);
  }
};
struct Times {
  template <class T>
  T operator()(T a, T b) const {
    return WrapMul(a, b);
  }
};
struct Largest {
  template <class T>
  T operator()(T a, T b) const {
    return ScalarMax(a, b);
  }
};
struct Smallest {
  template <class T>
  T operator()(T a, T b) const {
    return ScalarMin(a, b);
  }
};
struct Or {  // bool, which is stored in a byte
  uint8_t operator()(uint8_t a, uint8_t b) const { return a || b; }
};
struct And {
  uint8_t operator()(uint8_t a, uint8_t b) const { return a && b; }
};

// Calls apply(T{}, fn) with the stored type and the function of `reduction`.
template <class F>
Status VisitReduction(const Tensor& t, const std::string& reduction, F&& apply) {
  if (reduction == "none" || reduction.empty()) {
    return VisitBytes(t, [&](auto zero) -> Status { return apply(zero, Replace{}); });
  }
  bool sum = reduction == "add", times = reduction == "mul";
  if (t.dtype() == DType::kBool) {
    if (reduction == "add" || reduction == "max") return apply(uint8_t{}, Or{});
    return apply(uint8_t{}, And{});
  }
  if (sum || times) {
    if (t.dtype() == DType::kComplex64)
      return sum ? apply(std::complex<float>{}, Sum{}) : apply(std::complex<float>{}, Times{});
    if (t.dtype() == DType::kComplex128)
      return sum ? apply(std::complex<double>{}, Sum{}) : apply(std::complex<double>{}, Times{});
  }
  return VisitNumeric(t, [&](auto zero) -> Status {
    if (sum) return apply(zero, Sum{});
    if (times) return apply(zero, Times{});
    return reduction == "max" ? apply(zero, Largest{}) : apply(zero, Smallest{});
  });
}

std::string ReductionOf(const KernelContext& c) {
  return c.spec().since >= 16 ? c.String("reduction") : "none";
}

Result<Tensor*> CopyOfData(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  TRY(CopyWalk(c.in(0), {{y->size()}, {1}, {1}}, *y));
  return y;
}

// ---- ScatterElements: Y[i0, .., indices[i0, .., ik, ..], ..] = updates[i0, .., ik, ..]

void ScatterElementsRule(RuleContext& c) {
  bool ranked = c.Ranked(0) && c.Ranked(1) && c.Ranked(2);
  if (ranked) {
    int rank = c.Rank(0), axis = c.Axis(c.IntValue("axis"), rank);
    c.Require(rank >= 1 && c.Rank(1) == rank && c.Rank(2) == rank,
              "data, indices and updates have the same rank");
    for (int a = 0; a < rank && !c.failed(); ++a) {
      c.Require(c.In(1, a) == c.In(2, a), "indices and updates have the same shape");
      if (a != axis)
        c.Require(c.In(1, a) <= c.In(0, a), "indices fit data in every axis but the scattered one");
    }
  }
  SameAsInput0(c);
}

Status ScatterElementsKernel(KernelContext& c) {
  const Tensor &x = c.in(0), &updates = c.in(2);
  int rank = x.rank(), axis = static_cast<int>(c.Int("axis"));
  if (axis < 0) axis += rank;
  std::vector<int64_t> indices;
  TRY(ReadIndices(
      c, 1, [&](int64_t) { return x.dim(axis); }, &indices));
  Tensor* y = TRY(CopyOfData(c));
  if (indices.empty()) return {};
  Shape strides = Strides(x.shape());
  int64_t pick = strides[axis], row = updates.dim(rank - 1), rows = updates.size() / row;
  strides[axis] = 0;
  return VisitReduction(*y, ReductionOf(c), [&](auto zero, auto fn) -> Status {
    using T = decltype(zero);
    const T* from = ElementsOf<T>(updates);
    T* to = MutableElementsOf<T>(*y);
    const int64_t* index = indices.data();
    std::vector<int64_t> at(static_cast<size_t>(rank), 0);
    int64_t base = 0, step = strides[rank - 1];
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t j = 0; j < row; ++j) {
        T& place = to[base + j * step + *index++ * pick];
        place = fn(place, *from++);
      }
      for (int k = rank - 2; k >= 0; --k) {
        base += strides[k];
        if (++at[k] < updates.dim(k)) break;
        base -= strides[k] * at[k];
        at[k] = 0;
      }
    }
    return {};
  });
}

bool Fits(const Draft& d, int64_t axis) {
  if (!d.concrete(2) || d.inputs[2].dtype != d.inputs[0].dtype) return false;
  Shape data = d.shape(0), updates = d.shape(2);
  bool fits = updates.size() == data.size() && ElementCount(updates) > 0;
  for (size_t a = 0; fits && a < data.size(); ++a)
    fits = static_cast<int64_t>(a) == axis || updates[a] <= data[a];
  return fits;
}

void DrawReduction(Choices& choices, Draft& d) {
  if (d.spec->since < 16 || !IsFloat(d.inputs[0].dtype)) return;
  if (choices.Chance(0.5))
    d.Set("reduction", std::string(choices.PickOf<const char*>({"add", "mul"})));
}

bool DrawScatterElements(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.empty() || ElementsOfInput(d, 0) == 0) return false;
  Shape data = d.shape(0), shape;
  int rank = static_cast<int>(data.size());
  int64_t axis = static_cast<int64_t>(choices.Below(data.size())), n = data[axis];
  if (Fits(d, axis) && d.shape(2)[axis] <= n) {
    shape = d.shape(2);
  } else {  // updates are the generator's to find or make
    for (int64_t e : data) shape.push_back(DrawExtent(choices, e));
    if (d.concrete(2)) d.SetConstant(2, RandomConstant(choices, d.inputs[0].dtype, shape));
  }
  // Along the axis the places of one line are distinct: repeated ones have no defined result.
  Tensor indices = Tensor::Make(DType::kInt64, shape).value();
  int64_t inner = ElementCount(shape, static_cast<int>(axis) + 1, rank), line = shape[axis];
  bool negative = choices.Chance(0.3);
  std::vector<int64_t> places(static_cast<size_t>(n));
  for (int64_t i = 0; i < indices.size() / line; ++i) {
    for (int64_t k = 0; k < n; ++k) places[k] = k;
    choices.Shuffle(places);
    for (int64_t k = 0; k < line; ++k) {
      indices.mutable_data<int64_t>()[(i / inner * line + k) * inner + i % inner] =
          negative ? places[k] - n : places[k];
    }
  }
  d.Set("axis", MaybeNegative(choices, d, axis, rank));
  d.SetConstant(1, indices);
  DrawReduction(choices, d);
  return true;
}

// ---- ScatterND: Y[indices[i.., :], ..] = updates[i.., ..]

void ScatterNDRule(RuleContext& c) {
  if (c.Ranked(0) && c.Ranked(1)) {
    int r = c.Rank(0), q = c.Rank(1);
    c.Require(r >= 1 && q >= 1, "data and indices have at least one axis");
    Dim depth = c.In(1, q - 1);
    c.Require(depth >= Dim(1) && depth <= Dim(r),
              "the last extent of indices is within [1, rank of data]");
    if (!c.failed() && depth.known() && c.Ranked(2)) {
      std::vector<Dim> want(c.Dims(1).begin(), c.Dims(1).end() - 1);
      want.insert(want.end(), c.Dims(0).begin() + depth.value(), c.Dims(0).end());
      c.Require(want.size() == c.Dims(2).size(), "updates has the axes that indices leave");
      for (size_t a = 0; a < want.size() && !c.failed(); ++a) {
        c.Require(want[a] == c.In(2, static_cast<int>(a)),
                  "updates has the shape that indices leave");
      }
    }
  }
  SameAsInput0(c);
}

Status ScatterNDKernel(KernelContext& c) {
  const Tensor &x = c.in(0), &updates = c.in(2);
  int64_t depth = c.in(1).dim(c.in(1).rank() - 1);
  std::vector<int64_t> indices;
  TRY(ReadIndices(
      c, 1, [&](int64_t i) { return x.dim(static_cast<int>(i % depth)); }, &indices));
  Tensor* y = TRY(CopyOfData(c));
  if (updates.size() == 0) return {};
  Shape strides = Strides(x.shape());
  int64_t run = ElementCount(x.shape(), static_cast<int>(depth), x.rank());
  int64_t picks = static_cast<int64_t>(indices.size()) / depth;
  return VisitReduction(*y, ReductionOf(c), [&](auto zero, auto fn) -> Status {
    using T = decltype(zero);
    const T* from = ElementsOf<T>(updates);
    const int64_t* index = indices.data();
    for (int64_t p = 0; p < picks; ++p) {
      T* to = MutableElementsOf<T>(*y);
      for (int64_t k = 0; k < depth; ++k) to += *index++ * strides[k];
      for (int64_t j = 0; j < run; ++j) to[j] = fn(to[j], *from++);
    }
    return {};
  });
}

bool DrawScatterND(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.empty() || ElementsOfInput(d, 0) == 0) return false;
  Shape data = d.shape(0);
  int64_t rank = static_cast<int64_t>(data.size()), depth = choices.Between(1, rank);
  int64_t blocks = ElementCount(data, 0, static_cast<int>(depth)),
          picks = DrawExtent(choices, std::min<int64_t>(blocks, 8));
  // Distinct blocks: the block numbers, shuffled, as coordinates.
  std::vector<int64_t> order(static_cast<size_t>(blocks));
  for (int64_t b = 0; b < blocks; ++b) order[b] = b;
  choices.Shuffle(order);
  Tensor indices = Tensor::Make(DType::kInt64, {picks, depth}).value();
  bool negative = choices.Chance(0.3);
  for (int64_t p = 0; p < picks; ++p) {
    int64_t at = order[p];
    for (int64_t k = depth; k-- > 0; at /= data[k]) {
      indices.mutable_data<int64_t>()[p * depth + k] = at % data[k] - (negative ? data[k] : 0);
    }
  }
  Shape shape(data.begin() + depth, data.end());
  shape.insert(shape.begin(), picks);
  d.SetConstant(1, indices);
  bool fits = d.concrete(2) && d.inputs[2].dtype == d.inputs[0].dtype && d.shape(2) == shape;
  if (!fits) d.SetConstant(2, RandomConstant(choices, d.inputs[0].dtype, shape));
  DrawReduction(choices, d);
  return true;
}

// ---- rows

void DeprecatedRule(RuleContext& c) {
  c.Require(false, "Scatter is deprecated since opset 11; ScatterElements takes its place");
}

OpSpec Row(const char* name, int since, const char* index_type, DTypeSet index_types, RuleFn rule,
           EvalFn eval, DrawFn draw) {
  return Op(name, since)
      .In("data", "T", kAll7)
      .In("indices", index_type, index_types)
      .In("updates", "T", kAll7)
      .Out("output", "T", kAll7)
      .Rule(rule)
      .Eval(eval)
      .Draw(draw);
}

// Versions 11 and 13 move elements; 16 adds reductions by sum and product, 18 by maximum and
// minimum.
void AddVersions(std::vector<OpSpec>& rows, const OpSpec& row) {
  OpSpec moves = row;
  moves.Traits(kMovesData).Class(Accuracy::kExact);
  rows.push_back(moves.Since(11));
  rows.push_back(moves.Since(13).Types("T", kAll13));
  rows.push_back(row.Since(16)
                     .Types("T", kAll13)
                     .String("reduction", "none", {.strings = {"none", "add", "mul"}}));
  rows.push_back(
      row.Since(18)
          .Types("T", kAll13)
          .String("reduction", "none", {.strings = {"none", "add", "mul", "max", "min"}}));
}

}  // namespace

std::vector<OpSpec> ops_scatter() {
  std::vector<OpSpec> rows;
  AttrDomain axes{.lo = -4, .hi = 4};
  OpSpec elements = Row("ScatterElements", 11, "Tind", kIndexInts, ScatterElementsRule,
                        ScatterElementsKernel, DrawScatterElements)
                        .Int("axis", 0, axes);
  AddVersions(rows, elements);
  AddVersions(rows, Row("ScatterND", 11, "", Bit(DType::kInt64), ScatterNDRule, ScatterNDKernel,
                        DrawScatterND));

  OpSpec scatter = elements;
  scatter.name = "Scatter";
  scatter.Traits(kMovesData).Class(Accuracy::kExact);
  scatter.attrs[0].domain.lo = 0;
  rows.push_back(scatter.Since(9));
  scatter.draw = nullptr;
  scatter.eval = nullptr;
  scatter.rule = DeprecatedRule;
  scatter.LeftOut("deprecated");
  rows.push_back(scatter.Since(11));
  return rows;
}

}  // namespace assay
