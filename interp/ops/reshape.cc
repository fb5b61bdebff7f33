// Reshape (opset 5, 13, 14), Flatten (1, 9, 11, 13), Squeeze and Unsqueeze (1, 11, 13): the same
// elements in the same order under another shape. No element is copied.
#include "interp/draw.h"
#include "interp/movement.h"
#include "interp/ops/versions.h"

namespace assay {
namespace {

// Y = X under the shape that the rule has inferred.
Status KeepElements(KernelContext& c) {
  if (c.in(0).size() == 0) {  // any extents fit beside a 0: the limits are asked
    TRY(c.Out(0));
    return {};
  }
  c.Set(0, c.in(0).Reshaped(c.out_shape(0)));
  return {};
}

// ---- Reshape

// Extents asked for: 0 copies the extent of the input (allowzero: is 0), -1 is what is left.
std::vector<Dim> ReshapedDims(RuleContext& c, const std::vector<int64_t>& want, bool allow_zero) {
  std::vector<Dim> out(want.size());
  std::vector<Dim> left = c.Dims(0);  // input extents not copied by a 0
  Dim asked = 1;                      // product of the extents that are numbers
  int open = -1;
  for (size_t i = 0; i < want.size(); ++i) {
    c.Require(want[i] >= -1, "extents in shape are at least -1");
    if (want[i] == -1) {
      c.Require(open < 0, "shape holds at most one -1");
      open = static_cast<int>(i);
    } else if (want[i] == 0 && !allow_zero) {
      bool there = i < left.size();
      c.Require(there, "a 0 in shape copies an extent that the input has");
      out[i] = there ? left[i] : Dim(1);
      if (there) left[i] = 1;
    } else {
      out[i] = Dim(want[i]);
      asked = asked * out[i];
    }
  }
  Dim rest = Product(left);
  if (open < 0) {
    // A copied 0 makes both sides 0 whatever the rest is.
    Dim copied = 1;
    for (size_t i = 0; i < want.size(); ++i)
      copied = want[i] == 0 && !allow_zero ? copied * out[i] : copied;
    c.Require(rest == asked || copied == Dim(0), "data has as many elements as shape asks for");
    return out;
  }
  c.Require(asked != Dim(0), "a -1 in shape stands beside no extent of 0");
  c.Require(Divides(asked, rest), "the element count is a multiple of the extents in shape");
  bool fits = asked.known() && asked.value() > 0;
  out[open] = fits ? FloorDiv(rest, asked) : Dim(0);
  for (size_t i = 0; i < want.size(); ++i) {
    if (want[i] == 0 && !allow_zero)
      c.Require(out[i] != Dim(0), "a -1 in shape stands beside no extent of 0");
  }
  return out;
}

void ReshapeRule(RuleContext& c) {
  if (c.Ranked(1)) c.Require(c.Rank(1) == 1, "shape has one axis");
  std::vector<int64_t> want;
  if (!c.KnownInts(1, &want)) {
    Dim rank = c.Ranked(1) && c.Rank(1) == 1 ? c.In(1, 0) : Dim::Unknown();
    c.Require(rank <= Dim(kMaxRank), "shape asks for at most 64 axes");
    if (!rank.known() || rank.value() > kMaxRank) return c.OutUnranked(0, c.dtype(0));
    return c.Out(0, c.dtype(0), std::vector<Dim>(static_cast<size_t>(rank.value())));
  }
  c.Require(static_cast<int64_t>(want.size()) <= kMaxRank, "shape asks for at most 64 axes");
  if (c.failed()) return;
  bool allow_zero = c.spec().since >= 14 && c.IntValue("allowzero") != 0;
  if (c.Ranked(0)) return c.Out(0, c.dtype(0), ReshapedDims(c, want, allow_zero));
  std::vector<Dim> out;
  for (int64_t v : want) {
    c.Require(v >= -1, "extents in shape are at least -1");
    out.push_back(v > 0 || (v == 0 && allow_zero) ? Dim(v) : Dim::Unknown());
  }
  c.Out(0, c.dtype(0), out);
}

// A random factorisation of `n` into up to `most` extents.
std::vector<int64_t> Factorise(Choices& choices, int64_t n, int64_t most) {
  std::vector<int64_t> extents(static_cast<size_t>(choices.Between(1, most)), 1);
  for (int64_t d = 2; d * d <= n;) {
    if (n % d != 0) {
      ++d;
      continue;
    }
    extents[choices.Below(extents.size())] *= d;
    n /= d;
  }
  extents[choices.Below(extents.size())] *= n;
  return extents;
}

bool DrawReshape(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0)) return false;
  Shape shape = d.shape(0);
  int64_t n = ElementCount(shape);
  if (n <= 0) return false;
  std::vector<int64_t> want;
  bool keep_head = !shape.empty() && choices.Chance(0.4);
  if (keep_head) {  // [d0, ...] -> [d0, rest]: what models do most
    want = Factorise(choices, n / shape[0], 3);
    want.insert(want.begin(), shape[0]);
  } else {
    want = Factorise(choices, n, 4);
  }
  bool allow_zero = d.spec->since >= 14 && choices.Chance(0.1);
  if (allow_zero) d.Set("allowzero", int64_t{1});
  for (size_t i = 0; i < want.size() && i < shape.size() && !allow_zero; ++i) {
    if (want[i] == shape[i] && choices.Chance(0.3)) want[i] = 0;
  }
  if (choices.Chance(0.5)) want[choices.Below(want.size())] = -1;
  d.SetConstant(1, Tensor::Vector(want));
  return true;
}

// ---- Flatten

// [d0..dn) -> [d0 * .. * d(axis-1), d(axis) * .. * d(n-1)]
void FlattenRule(RuleContext& c) {
  if (!c.Ranked(0)) return c.Out(0, c.dtype(0), {Dim::Unknown(), Dim::Unknown()});
  int64_t rank = c.Rank(0), axis = c.IntValue("axis");
  bool fits = axis >= (c.spec().since >= 11 ? -rank : 0) && axis <= rank;
  c.Require(fits, "axis is within [-rank, rank]");
  if (!fits) return;
  size_t split = static_cast<size_t>(axis < 0 ? axis + rank : axis);
  c.Out(0, c.dtype(0), {Product(c.Dims(0), 0, split), Product(c.Dims(0), split)});
}

bool DrawFlatten(Choices& choices, Draft& d) {
  d.attrs.clear();
  int64_t rank = static_cast<int64_t>(d.inputs[0].dims.size());
  d.Set("axis", choices.Between(d.opset >= kNegativeAxesSince ? -rank : 0, rank));
  return true;
}

// ---- Squeeze and Unsqueeze

// The axes, an attribute until opset 12 and an input since. False when they are an input of unknown
// value.
bool AxesOf(RuleContext& c, std::vector<int64_t>* axes) {
  if (c.spec().since < 13) {
    *axes = c.node().Ints("axes");
    return true;
  }
  if (c.Has(1) && c.Ranked(1)) c.Require(c.Rank(1) <= 1, "axes has at most one axis");
  return c.KnownInts(1, axes);
}

void SqueezeRule(RuleContext& c) {
  bool given = c.spec().since < 13 ? c.HasAttr("axes") : c.Has(1);
  std::vector<int64_t> axes;
  if (!c.Ranked(0) || (given && !AxesOf(c, &axes))) return c.OutUnranked(0, c.dtype(0));
  std::vector<bool> drop(static_cast<size_t>(c.Rank(0)), false);
  if (given) {
    for (int a : DistinctAxes(c, axes, c.Rank(0))) {
      c.Require(c.In(0, a) == Dim(1), "a squeezed axis has extent 1");
      drop[a] = true;
    }
  }
  std::vector<Dim> out;
  for (int a = 0; a < c.Rank(0); ++a) {
    Truth one = c.In(0, a) == Dim(1);
    if (!given && one == Truth::kMaybe) return c.OutUnranked(0, c.dtype(0));
    if (!given) drop[a] = one == Truth::kTrue;
    if (!drop[a]) out.push_back(c.In(0, a));
  }
  c.Out(0, c.dtype(0), out);
}

bool DrawSqueeze(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0)) {
    Shape with_ones(static_cast<size_t>(choices.Between(2, 4)));
    for (int64_t& extent : with_ones) extent = choices.Chance(0.4) ? 1 : choices.Between(2, 6);
    with_ones[choices.Below(with_ones.size())] = 1;
    Ask(d, 0, d.inputs[0].dtype, with_ones);
  }
  Shape shape = d.shape(0);
  int rank = static_cast<int>(shape.size());
  std::vector<int64_t> axes;
  for (int a = 0; a < rank; ++a) {
    if (shape[a] == 1 && choices.Chance(0.7)) axes.push_back(MaybeNegative(choices, d, a, rank));
  }
  if (axes.empty() && std::count(shape.begin(), shape.end(), 1) == 0) return false;
  if (axes.empty()) return true;  // no axes: all of extent 1
  if (d.spec->since < 13)
    d.Set("axes", axes);
  else
    d.SetConstant(1, Tensor::Vector(axes));
  return true;
}

void UnsqueezeRule(RuleContext& c) {
  std::vector<int64_t> axes;
  if (!c.Ranked(0) || !AxesOf(c, &axes)) return c.OutUnranked(0, c.dtype(0));
  int64_t rank = c.Rank(0) + static_cast<int64_t>(axes.size());
  c.Require(rank <= kMaxRank, "the output has at most 64 axes");
  if (c.failed()) return;
  std::vector<bool> fresh(static_cast<size_t>(rank), false);
  for (int a : DistinctAxes(c, axes, static_cast<int>(rank))) fresh[a] = true;
  std::vector<Dim> out;
  int next = 0;
  for (int64_t a = 0; a < rank; ++a) out.push_back(fresh[a] ? Dim(1) : c.In(0, next++));
  if (!c.failed()) c.Out(0, c.dtype(0), out);
}

bool DrawUnsqueeze(Choices& choices, Draft& d) {
  d.attrs.clear();
  int rank = static_cast<int>(d.inputs[0].dims.size());
  int count = static_cast<int>(choices.Between(1, 2)), out_rank = rank + count;
  std::vector<int64_t> all(static_cast<size_t>(out_rank));
  for (int a = 0; a < out_rank; ++a) all[a] = a;
  choices.Shuffle(all);
  std::vector<int64_t> axes(all.begin(), all.begin() + count);
  for (int64_t& a : axes) a = MaybeNegative(choices, d, a, out_rank);
  if (d.spec->since < 13)
    d.Set("axes", axes);
  else
    d.SetConstant(1, Tensor::Vector(axes));
  return true;
}

OpSpec Layout(const char* name, int since, const char* in, const char* out, RuleFn rule,
              DrawFn draw) {
  return Op(name, since)
      .In(in, "T", kAll7)
      .Out(out, "T", kAll7)
      .Rule(rule)
      .Eval(KeepElements)
      .Draw(draw)
      .Traits(kMovesData | kLayoutOnly | kWithinInputs)
      .Class(Accuracy::kExact);
}

}  // namespace

std::vector<OpSpec> ops_reshape() {
  std::vector<OpSpec> rows;
  OpSpec reshape = Layout("Reshape", 5, "data", "reshaped", ReshapeRule, DrawReshape)
                       .In("shape", "", Bit(DType::kInt64));
  rows.push_back(reshape);
  rows.push_back(reshape.Since(13).Types("T", kAll13));
  reshape.Int("allowzero", 0, {.lo = 0, .hi = 1});
  PushAllTypes(rows, reshape, "T", {14, 19, 21, 23, 24, 25});

  OpSpec flatten = Layout("Flatten", 1, "input", "output", FlattenRule, DrawFlatten)
                       .Int("axis", 1, {.lo = 0, .hi = 4});
  rows.push_back(flatten.Since(1).Types("T", kFloats16));
  rows.push_back(flatten.Since(9));
  flatten.attrs[0].domain.lo = -4;
  rows.push_back(flatten.Since(11));
  PushAllTypes(rows, flatten, "T", {13, 21, 23, 24, 25});

  OpSpec squeeze = Layout("Squeeze", 1, "data", "squeezed", SqueezeRule, DrawSqueeze);
  rows.push_back(squeeze.Since(1).Ints("axes", {.lo = 0, .hi = 4}));
  rows.push_back(squeeze.Since(11).Ints("axes", {.lo = -4, .hi = 4}));
  squeeze.In("axes", "", Bit(DType::kInt64), Arity::kOptional);
  PushAllTypes(rows, squeeze, "T", {13, 21, 23, 24, 25});

  OpSpec unsqueeze = Layout("Unsqueeze", 1, "data", "expanded", UnsqueezeRule, DrawUnsqueeze);
  AttrSpec axes{"axes", AttrType::kInts, true, std::nullopt, {.lo = 0, .hi = 4}};
  rows.push_back(unsqueeze.Since(1).Attr(axes));
  axes.domain.lo = -4;
  rows.push_back(unsqueeze.Since(11).Attr(axes));
  unsqueeze.In("axes", "", Bit(DType::kInt64));
  PushAllTypes(rows, unsqueeze, "T", {13, 21, 23, 24, 25});
  return rows;
}

}  // namespace assay
