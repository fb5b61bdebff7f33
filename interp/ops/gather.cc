// Gather (opset 1, 11, 13), GatherElements (11, 13), GatherND (11, 12, 13): elements picked by
// indices given as data. Indices may be negative; outside the axis they are an error that the
// kernel reports.
#include "interp/draw.h"
#include "interp/movement.h"

namespace assay {
namespace {

// ---- Gather: Y[.., i.., ..] = X[.., indices[i..], ..] on one axis

void GatherRule(RuleContext& c) {
  if (!c.Ranked(0) || !c.Ranked(1)) return c.OutUnranked(0, c.dtype(0));
  int axis = c.Axis(c.IntValue("axis"), c.Rank(0));
  c.Require(c.Rank(0) >= 1, "data has at least one axis");
  if (c.failed()) return;
  std::vector<Dim> out(c.Dims(0).begin(), c.Dims(0).begin() + axis);
  out.insert(out.end(), c.Dims(1).begin(), c.Dims(1).end());
  out.insert(out.end(), c.Dims(0).begin() + axis + 1, c.Dims(0).end());
  c.Out(0, c.dtype(0), out);
}

Status GatherKernel(KernelContext& c) {
  const Tensor& x = c.in(0);
  int rank = x.rank(), axis = static_cast<int>(c.Int("axis"));
  if (axis < 0) axis += rank;
  std::vector<int64_t> indices;
  TRY(ReadIndices(
      c, 1, [&](int64_t) { return x.dim(axis); }, &indices));
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  int64_t outer = ElementCount(x.shape(), 0, axis), inner = ElementCount(x.shape(), axis + 1, rank);
  int64_t plane = x.dim(axis) * inner;
  return VisitBytes(x, [&](auto zero) -> Status {
    using T = decltype(zero);
    const T* from = ElementsOf<T>(x);
    T* to = MutableElementsOf<T>(*y);
    for (int64_t o = 0; o < outer; ++o, from += plane) {
      for (int64_t i : indices) {
        std::copy_n(from + i * inner, inner, to);
        to += inner;
      }
    }
    return {};
  });
}

// Random indices into an axis of extent n: in range, now and then negative, duplicates as they
// come.
Tensor DrawIndices(Choices& choices, const Draft& d, Shape shape, int64_t n) {
  Tensor t = Tensor::Make(DType::kInt64, std::move(shape)).value();
  bool negative = d.opset >= kNegativeAxesSince && choices.Chance(0.3);
  for (int64_t i = 0; i < t.size(); ++i) {
    t.mutable_data<int64_t>()[i] = choices.Between(negative ? -n : 0, n - 1);
  }
  return t;
}

bool DrawGather(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.empty() || ElementsOfInput(d, 0) == 0) return false;
  Shape shape = d.shape(0);
  int rank = static_cast<int>(shape.size());
  int64_t axis = static_cast<int64_t>(choices.Below(shape.size()));
  int64_t room = std::max<int64_t>(1, d.max_elements / (ElementsOfInput(d, 0) / shape[axis]));
  Shape indices;
  for (uint64_t k = choices.Below(3); k > 0; --k) {
    indices.push_back(DrawExtent(choices, std::min<int64_t>(room, 6)));
    room /= indices.back();
  }
  d.Set("axis", MaybeNegative(choices, d, axis, rank));
  d.SetConstant(1, DrawIndices(choices, d, indices, shape[axis]));
  return true;
}

// ---- GatherElements: Y[i0, .., ik, ..] = X[i0, .., indices[i0, .., ik, ..], ..]

void GatherElementsRule(RuleContext& c) {
  if (!c.Ranked(1)) return c.OutUnranked(0, c.dtype(0));
  if (c.Ranked(0)) {
    int rank = c.Rank(0), axis = c.Axis(c.IntValue("axis"), rank);
    c.Require(rank >= 1 && c.Rank(1) == rank, "data and indices have the same rank, at least 1");
    for (int a = 0; a < rank && !c.failed(); ++a) {
      if (a != axis)
        c.Require(c.In(1, a) <= c.In(0, a), "indices fit data in every axis but the picked one");
    }
  }
  c.Out(0, c.dtype(0), c.Dims(1));
}

Status GatherElementsKernel(KernelContext& c) {
  const Tensor& x = c.in(0);
  int rank = x.rank(), axis = static_cast<int>(c.Int("axis"));
  if (axis < 0) axis += rank;
  std::vector<int64_t> indices;
  TRY(ReadIndices(
      c, 1, [&](int64_t) { return x.dim(axis); }, &indices));
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  Shape strides = Strides(x.shape());
  int64_t pick = strides[axis], row = y->dim(rank - 1), rows = y->size() / row;
  strides[axis] = 0;
  return VisitBytes(x, [&](auto zero) -> Status {
    using T = decltype(zero);
    const T* from = ElementsOf<T>(x);
    T* to = MutableElementsOf<T>(*y);
    const int64_t* index = indices.data();
    std::vector<int64_t> at(static_cast<size_t>(rank), 0);
    int64_t base = 0, step = strides[rank - 1];
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t j = 0; j < row; ++j) *to++ = from[base + j * step + *index++ * pick];
      for (int k = rank - 2; k >= 0; --k) {
        base += strides[k];
        if (++at[k] < y->dim(k)) break;
        base -= strides[k] * at[k];
        at[k] = 0;
      }
    }
    return {};
  });
}

bool DrawGatherElements(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.empty() || ElementsOfInput(d, 0) == 0) return false;
  Shape shape = d.shape(0), picked;
  int rank = static_cast<int>(shape.size());
  int64_t axis = static_cast<int64_t>(choices.Below(shape.size()));
  for (int64_t n : shape) picked.push_back(DrawExtent(choices, n));
  d.Set("axis", MaybeNegative(choices, d, axis, rank));
  d.SetConstant(1, DrawIndices(choices, d, picked, shape[axis]));
  return true;
}

// ---- GatherND: Y[b.., i.., ..] = X[b.., indices[b.., i.., :], ..]

void GatherNDRule(RuleContext& c) {
  if (!c.Ranked(0) || !c.Ranked(1)) return c.OutUnranked(0, c.dtype(0));
  int64_t batch = c.spec().since >= 12 ? c.IntValue("batch_dims") : 0, r = c.Rank(0), q = c.Rank(1);
  c.Require(r >= 1 && q >= 1, "data and indices have at least one axis");
  c.Require(batch >= 0 && batch < std::min(r, q), "batch_dims is below both ranks");
  if (c.failed()) return;
  Dim depth = c.In(1, static_cast<int>(q) - 1);
  c.Require(depth >= Dim(1) && depth <= Dim(r - batch),
            "the last extent of indices is within [1, rank - batch_dims]");
  for (int64_t b = 0; b < batch; ++b) {
    c.Require(c.In(0, static_cast<int>(b)) == c.In(1, static_cast<int>(b)),
              "data and indices agree in the batch axes");
  }
  if (c.failed()) return;
  if (!depth.known()) return c.OutUnranked(0, c.dtype(0));
  std::vector<Dim> out(c.Dims(1).begin(), c.Dims(1).end() - 1);
  out.insert(out.end(), c.Dims(0).begin() + batch + depth.value(), c.Dims(0).end());
  c.Out(0, c.dtype(0), out);
}

Status GatherNDKernel(KernelContext& c) {
  const Tensor &x = c.in(0), &where = c.in(1);
  int64_t batch = c.spec().since >= 12 ? c.Int("batch_dims") : 0,
          depth = where.dim(where.rank() - 1);
  std::vector<int64_t> indices;
  TRY(ReadIndices(
      c, 1, [&](int64_t i) { return x.dim(static_cast<int>(batch + i % depth)); }, &indices));
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  Shape strides = Strides(x.shape());
  int first = static_cast<int>(batch);
  int64_t batches = ElementCount(x.shape(), 0, first),
          block = ElementCount(x.shape(), first, x.rank());
  int64_t run = ElementCount(x.shape(), static_cast<int>(batch + depth), x.rank());
  int64_t picks = static_cast<int64_t>(indices.size()) / depth / batches;
  return VisitBytes(x, [&](auto zero) -> Status {
    using T = decltype(zero);
    const T* from = ElementsOf<T>(x);
    T* to = MutableElementsOf<T>(*y);
    const int64_t* index = indices.data();
    for (int64_t b = 0; b < batches; ++b, from += block) {
      for (int64_t p = 0; p < picks; ++p, to += run) {
        int64_t base = 0;
        for (int64_t k = 0; k < depth; ++k) base += *index++ * strides[batch + k];
        std::copy_n(from + base, run, to);
      }
    }
    return {};
  });
}

bool DrawGatherND(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.empty() || ElementsOfInput(d, 0) == 0) return false;
  Shape shape = d.shape(0), where;
  int64_t rank = static_cast<int64_t>(shape.size());
  int64_t batch =
      d.spec->since >= 12 && rank > 1 && choices.Chance(0.3) ? choices.Between(0, rank - 1) : 0;
  if (batch > 0) d.Set("batch_dims", batch);
  int64_t depth = choices.Between(1, rank - batch), picks = DrawExtent(choices, 4);
  where.assign(shape.begin(), shape.begin() + batch);
  where.push_back(picks);
  where.push_back(depth);
  if (ElementsOfInput(d, 0) * picks > d.max_elements) return false;
  Tensor t = Tensor::Make(DType::kInt64, where).value();
  bool negative = choices.Chance(0.3);
  for (int64_t i = 0; i < t.size(); ++i) {
    int64_t n = shape[batch + i % depth];
    t.mutable_data<int64_t>()[i] = choices.Between(negative ? -n : 0, n - 1);
  }
  d.SetConstant(1, t);
  return true;
}

OpSpec Row(const char* name, int since, RuleFn rule, EvalFn eval, DrawFn draw) {
  return Op(name, since)
      .In("data", "T", kAll7)
      .Out("output", "T", kAll7)
      .Rule(rule)
      .Eval(eval)
      .Draw(draw)
      .Traits(kMovesData | kWithinInputs)
      .Class(Accuracy::kExact);
}

}  // namespace

std::vector<OpSpec> ops_gather() {
  std::vector<OpSpec> rows;
  OpSpec gather = Row("Gather", 1, GatherRule, GatherKernel, DrawGather)
                      .In("indices", "Tind", kIndexInts)
                      .Int("axis", 0, {.lo = 0, .hi = 4});
  rows.push_back(gather);
  gather.attrs[0].domain.lo = -4;
  rows.push_back(gather.Since(11));
  rows.push_back(gather.Since(13).Types("T", kAll13));

  OpSpec elements =
      Row("GatherElements", 11, GatherElementsRule, GatherElementsKernel, DrawGatherElements)
          .In("indices", "Tind", kIndexInts)
          .Int("axis", 0, {.lo = -4, .hi = 4});
  rows.push_back(elements);
  rows.push_back(elements.Since(13).Types("T", kAll13));

  OpSpec nd = Row("GatherND", 11, GatherNDRule, GatherNDKernel, DrawGatherND)
                  .In("indices", "", Bit(DType::kInt64));
  rows.push_back(nd);
  nd.Int("batch_dims", 0, {.lo = 0, .hi = 3});
  rows.push_back(nd.Since(12));
  rows.push_back(nd.Since(13).Types("T", kAll13));
  return rows;
}

}  // namespace assay
