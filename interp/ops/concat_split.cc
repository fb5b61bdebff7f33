// Concat (opset 4, 11, 13) and Split (2, 11, 13, 18): tensors joined and cut along one axis.
#include "interp/draw.h"
#include "interp/movement.h"

namespace assay {
namespace {

// ---- Concat

void ConcatRule(RuleContext& c) {
  int known = -1;  // an input of known rank
  bool all = true;
  for (int i = 0; i < c.inputs(); ++i) {
    if (c.Ranked(i))
      known = i;
    else
      all = false;
  }
  if (known < 0) return c.OutUnranked(0, c.dtype(0));
  int rank = c.Rank(known), axis = c.Axis(c.IntValue("axis"), rank);
  for (int i = 0; i < c.inputs(); ++i) {
    if (c.Ranked(i)) c.Require(c.Rank(i) == rank, "all inputs have the same rank");
  }
  if (c.failed()) return;
  std::vector<Dim> out = c.Dims(known);
  out[axis] = 0;
  for (int i = 0; i < c.inputs(); ++i) {
    if (!c.Ranked(i)) continue;
    for (int a = 0; a < rank; ++a) {
      if (a == axis) {
        out[a] = out[a] + c.In(i, a);
        continue;
      }
      c.Require(c.In(i, a) == out[a], "the inputs agree in every axis but the joined one");
      if (!out[a].known()) out[a] = c.In(i, a);
    }
  }
  if (!all) out[axis] = Dim::Unknown();
  c.Out(0, c.dtype(0), out);
}

Status ConcatKernel(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  int rank = y->rank(), axis = static_cast<int>(c.Int("axis"));
  if (axis < 0) axis += rank;
  int64_t outer = ElementCount(y->shape(), 0, axis), row = ElementCount(y->shape(), axis, rank),
          at = 0;
  for (int i = 0; i < c.inputs(); ++i) {
    const Tensor& x = c.in(i);
    int64_t part = ElementCount(x.shape(), axis, rank);
    TRY(CopyWalk(x, {{outer, part}, {part, 1}, {row, 1}, 0, at}, *y));
    at += part;
  }
  return {};
}

bool DrawConcat(Choices& choices, Draft& d) {
  d.attrs.clear();
  // The other inputs must agree with the first but for one axis; take any axis that lets them.
  size_t rank = d.inputs[0].dims.size();
  if (rank == 0) return false;
  std::vector<int64_t> axes;
  for (size_t axis = 0; axis < rank; ++axis) {
    bool fits = true;
    for (const TypeInfo& t : d.inputs) {
      if (!t.ranked) continue;
      fits = fits && t.dims.size() == rank && t.dtype == d.inputs[0].dtype;
      for (size_t a = 0; fits && a < rank; ++a)
        fits = a == axis || (t.dims[a] == d.inputs[0].dims[a]) != Truth::kFalse;
    }
    if (fits) axes.push_back(static_cast<int64_t>(axis));
  }
  if (axes.empty()) return false;
  d.Set("axis", MaybeNegative(choices, d, choices.Pick(axes), static_cast<int>(rank)));
  return true;
}

// ---- Split

// The extents of the parts when they are said: an attribute until opset 12, an input since.
bool PartsOf(RuleContext& c, bool* given, std::vector<int64_t>* parts) {
  *given = c.spec().since < 13 ? c.HasAttr("split") : c.Has(1);
  if (!*given) return true;
  if (c.spec().since >= 13) return c.KnownInts(1, parts);
  *parts = c.node().Ints("split");
  return true;
}

void SplitRule(RuleContext& c) {
  int n = c.outputs();
  bool given = false, numbered = c.spec().since >= 18 && c.HasAttr("num_outputs");
  std::vector<int64_t> parts;
  bool known = PartsOf(c, &given, &parts);
  if (numbered) {
    c.Require(!given, "either split or num_outputs is given, not both");
    c.Require(c.IntValue("num_outputs") == n, "num_outputs is the number of outputs");
  } else if (c.spec().since >= 18) {
    c.Require(given, "split or num_outputs is given");
  }
  if (known && given)
    c.Require(parts.size() == static_cast<size_t>(n), "split has one entry an output");
  if (!c.Ranked(0)) {
    for (int i = 0; i < n; ++i) c.OutUnranked(i, c.dtype(0));
    return;
  }
  int axis = c.Axis(c.IntValue("axis"), c.Rank(0));
  if (c.failed()) return;
  Dim whole = c.In(0, axis), sum = 0;
  Dim share = numbered ? CeilDiv(whole, Dim(n)) : FloorDiv(whole, Dim(n));
  if (!given && !numbered) c.Require(Divides(Dim(n), whole), "the axis splits into equal parts");
  for (int i = 0; i < n; ++i) {
    std::vector<Dim> out = c.Dims(0);
    out[axis] = known && given ? Dim(parts[i]) : (given ? Dim::Unknown() : share);
    if (numbered && i == n - 1) out[axis] = whole - share * Dim(n - 1);
    if (known && given) c.Require(parts[i] >= 0, "every part has an extent of at least 0");
    sum = sum + out[axis];
    // The extent counts whether or not the output is read.
    c.Require(out[axis] >= Dim(0), "every part has an extent of at least 0");
    c.Out(i, c.dtype(0), out);
  }
  if (known && given) c.Require(sum == whole, "the parts sum to the axis");
}

Status SplitKernel(KernelContext& c) {
  const Tensor& x = c.in(0);
  int rank = x.rank(), axis = static_cast<int>(c.Int("axis"));
  if (axis < 0) axis += rank;
  int n = c.outputs();
  std::vector<int64_t> parts;
  if (c.spec().since >= 13 && c.Has(1))
    parts = c.in(1).AsInts();
  else if (c.HasAttr("split"))
    parts = c.Ints("split");
  else
    parts.assign(static_cast<size_t>(n), (x.dim(axis) + n - 1) / n);  // the last one may be smaller
  int64_t outer = ElementCount(x.shape(), 0, axis), inner = ElementCount(x.shape(), axis + 1, rank),
          at = 0;
  for (int i = 0; i < n; at += parts[i] * inner, ++i) {
    if (!c.WantsOutput(i)) continue;
    Tensor* y = TRY(c.Out(i));
    if (y->size() == 0) continue;
    int64_t part = y->dim(axis) * inner;
    TRY(CopyWalk(x, {{outer, part}, {x.dim(axis) * inner, 1}, {part, 1}, at, 0}, *y));
  }
  return {};
}

bool DrawSplit(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0)) return false;
  Shape shape = d.shape(0);
  std::vector<int64_t> axes;
  for (size_t a = 0; a < shape.size(); ++a) {
    if (shape[a] >= 2) axes.push_back(static_cast<int64_t>(a));
  }
  if (axes.empty()) return false;
  int64_t axis = choices.Pick(axes), whole = shape[axis];
  int64_t n = choices.Between(2, std::min<int64_t>(whole, 4));
  bool equal = whole % n == 0 && choices.Chance(0.5);
  d.Set("axis", MaybeNegative(choices, d, axis, static_cast<int>(shape.size())));
  d.outputs = static_cast<int>(n);
  if (equal) {
    if (d.spec->since >= 18) d.Set("num_outputs", n);
    return true;
  }
  std::vector<int64_t> parts(static_cast<size_t>(n), 1);
  for (int64_t left = whole - n; left > 0; --left) ++parts[choices.Below(parts.size())];
  if (d.spec->since < 13)
    d.Set("split", parts);
  else
    d.SetConstant(1, Tensor::Vector(parts));
  return true;
}

}  // namespace

std::vector<OpSpec> ops_concat_split() {
  std::vector<OpSpec> rows;
  OpSpec concat = Op("Concat", 4)
                      .In("inputs", "T", kAll7, Arity::kVariadic)
                      .Out("concat_result", "T", kAll7)
                      .Attr({"axis", AttrType::kInt, true, std::nullopt, {.lo = 0, .hi = 4}})
                      .Rule(ConcatRule)
                      .Eval(ConcatKernel)
                      .Draw(DrawConcat)
                      .Traits(kMovesData | kWithinInputs)
                      .Class(Accuracy::kExact);
  rows.push_back(concat);
  concat.attrs[0].domain.lo = -4;
  rows.push_back(concat.Since(11));
  rows.push_back(concat.Since(13).Types("T", kAll13));

  OpSpec split = Op("Split", 2)
                     .In("input", "T", kAll7)
                     .Out("outputs", "T", kAll7, Arity::kVariadic)
                     .Int("axis", 0, {.lo = 0, .hi = 4})
                     .Rule(SplitRule)
                     .Eval(SplitKernel)
                     .Draw(DrawSplit)
                     .Traits(kMovesData | kWithinInputs)
                     .Class(Accuracy::kExact);
  OpSpec by_attr = split;
  by_attr.Ints("split", {.lo = 1, .hi = 64});
  rows.push_back(by_attr);
  by_attr.attrs[0].domain.lo = split.attrs[0].domain.lo = -4;
  rows.push_back(by_attr.Since(11));
  split.In("split", "", Bit(DType::kInt64), Arity::kOptional).Types("T", kAll13);
  rows.push_back(split.Since(13));
  rows.push_back(split.Since(18).Attr(
      {"num_outputs", AttrType::kInt, false, std::nullopt, {.lo = 1, .hi = 4}}));
  return rows;
}

}  // namespace assay
