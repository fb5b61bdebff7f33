// Attention (ONNX opset 23, 24): Y = softmax(softcap(scale Q K^T) + mask) V for each head.
//
// Q [B,Hq,S,D], K [B,Hk,T,D], V [B,Hk,T,Dv] or, with the heads side by side, [B,S,Hq*D] and so on;
// past keys and values come before K and V. Query head h reads key head h / (Hq / Hk). A place is
// masked where attn_mask says so (false, or minus infinity added), beyond the diagonal when
// is_causal, and from nonpad_kv_seqlen[b] on (24).
#include "interp/draw.h"
#include "interp/kernels_matmul.h"
#include "interp/ops/normalization.h"

namespace assay {
namespace {

enum Input { kQ, kK, kV, kMask, kPastKey, kPastValue, kLengths };

// What qk_matmul_output holds: the scaled product, after the soft cap, after the mask, after the
// softmax.
enum class Tap : int64_t { kProduct, kCapped, kMasked, kSoftmax };

// ---- rule

// Extents of Q, K or V: [batch, heads, length, size].
struct HeadDims {
  Dim batch, heads, length, size;
};
HeadDims HeadDimsOf(RuleContext& c, int i, const char* heads_attribute) {
  if (c.Rank(i) == 4) return {c.In(i, 0), c.In(i, 1), c.In(i, 2), c.In(i, 3)};
  c.Require(c.Rank(i) == 3, "Q, K and V have 3 or 4 axes");
  int64_t heads = c.HasAttr(heads_attribute) ? c.IntValue(heads_attribute) : 0;
  c.Require(heads > 0, "with 3 axes the numbers of heads are given");
  if (c.failed()) return {};
  c.Require(Divides(Dim(heads), c.In(i, 2)), "the last axis holds whole heads");
  return {c.In(i, 0), Dim(heads), c.In(i, 1), FloorDiv(c.In(i, 2), Dim(heads))};
}

void RequireMask(RuleContext& c, const HeadDims& q, Dim total) {
  if (!c.Has(kMask) || !c.Ranked(kMask)) return;
  int rank = c.Rank(kMask);
  c.Require(rank >= 1 && rank <= 4, "the mask broadcasts to [batch, heads, length, total length]");
  if (c.failed()) return;
  const Dim want[] = {q.batch, q.heads, q.length};
  for (int d = 0; d < rank - 1; ++d) {
    Dim extent = c.In(kMask, d);
    c.Require(extent == Dim(1) || extent == want[d + 4 - rank],
              "the mask broadcasts to [batch, heads, length, total length]");
  }
  c.Require(c.In(kMask, rank - 1) <= total, "the mask is no longer than the keys");
}

void RequirePast(RuleContext& c, int i, const HeadDims& kv) {
  if (!c.Has(i) || !c.Ranked(i)) return;
  c.Require(c.Rank(i) == 4, "past keys and values have 4 axes");
  if (c.failed()) return;
  c.Require(c.In(i, 0) == kv.batch && c.In(i, 1) == kv.heads && c.In(i, 3) == kv.size,
            "past keys and values have the heads of K and V");
}

void AttentionRule(RuleContext& c) {
  int64_t tap = c.IntValue("qk_matmul_output_mode");
  c.Require(tap >= 0 && tap <= 3, "qk_matmul_output_mode is 0 to 3");
  c.Require(c.Has(kPastKey) == c.Has(kPastValue), "past keys and past values come together");
  for (int i = 0; i < 4; ++i) c.OutUnranked(i, c.dtype(i == 2 ? kV : kQ));
  if (!c.Ranked(kQ) || !c.Ranked(kK) || !c.Ranked(kV)) return;
  c.Require(c.Rank(kQ) == c.Rank(kK) && c.Rank(kQ) == c.Rank(kV), "Q, K and V have as many axes");
  HeadDims q = HeadDimsOf(c, kQ, "q_num_heads"), k = HeadDimsOf(c, kK, "kv_num_heads"),
           v = HeadDimsOf(c, kV, "kv_num_heads");
  if (c.failed()) return;
  c.Require(q.batch == k.batch && q.batch == v.batch, "Q, K and V have the same batch");
  c.Require(q.size == k.size, "Q and K have heads of the same size");
  c.Require(k.heads == v.heads && k.length == v.length, "K and V go together");
  c.Require(k.heads >= Dim(1) && Divides(k.heads, q.heads),
            "each key head serves as many query heads");
  RequirePast(c, kPastKey, k);
  RequirePast(c, kPastValue, v);
  Dim past = Dim(0);
  if (c.Has(kPastKey)) past = c.Ranked(kPastKey) ? c.In(kPastKey, 2) : Dim::Unknown();
  if (c.Has(kPastKey) && c.Ranked(kPastKey) && c.Ranked(kPastValue))
    c.Require(c.In(kPastKey, 2) == c.In(kPastValue, 2), "past keys and values are equally long");
  if (c.Has(kLengths) && c.Ranked(kLengths)) {
    c.Require(c.Rank(kLengths) == 1, "nonpad_kv_seqlen has one entry a batch");
    c.Require(c.In(kLengths, 0) == q.batch, "nonpad_kv_seqlen has one entry a batch");
  }
  Dim total = past + k.length;
  RequireMask(c, q, total);
  if (c.failed()) return;
  if (c.Rank(kQ) == 4)
    c.Out(0, c.dtype(kQ), {q.batch, q.heads, q.length, v.size});
  else
    c.Out(0, c.dtype(kQ), {q.batch, q.length, q.heads * v.size});
  c.Out(1, c.dtype(kQ), {k.batch, k.heads, total, k.size});
  c.Out(2, c.dtype(kV), {v.batch, v.heads, total, v.size});
  c.Out(3, c.dtype(kQ), {q.batch, q.heads, q.length, total});
}

// ---- kernel

// [batch, heads, length, size] over an operand in either layout.
struct Heads {
  int64_t batch, heads, length, size, batch_step, head_step, row_step;
  Heads(const Shape& s, int64_t count) {
    if (s.size() == 4) {
      batch = s[0], heads = s[1], length = s[2], size = s[3];
      row_step = size, head_step = length * size;
    } else {
      batch = s[0], heads = count, length = s[1], size = s[2] / count;
      row_step = s[2], head_step = size;
    }
    batch_step = heads * length * size;
  }
  int64_t Start(int64_t b, int64_t h) const { return b * batch_step + h * head_step; }
};

// Past and present of K or V as [B,H,T,D].
template <class T>
Status Join(const KernelContext& c, int now, int past, const Heads& s, T* out) {
  const T* x = c.data<T>(now);
  const T* before = c.Has(past) ? c.data<T>(past) : nullptr;
  int64_t old = before ? c.in(past).dim(2) * s.size : 0;
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t h = 0; h < s.heads; ++h) {
      if (old > 0) out = std::copy_n(before + (b * s.heads + h) * old, old, out);
      for (int64_t r = 0; r < s.length; ++r)
        out = std::copy_n(x + s.Start(b, h) + r * s.row_step, s.size, out);
    }
  }
  return {};
}

// What is added to the products, and which places count at all.
template <class W>
struct Bias {
  W add = W(0);
  bool open = true;
};

template <class W>
class Masks {
 public:
  Masks(const KernelContext& c, int64_t heads, int64_t rows, int64_t total) : rows_(rows) {
    causal_ = c.Int("is_causal") != 0;
    past_ = c.Has(kPastKey) ? c.in(kPastKey).dim(2) : 0;
    if (c.Has(kLengths)) lengths_ = c.in(kLengths).AsInts();
    total_ = total;
    if (!c.Has(kMask)) return;
    boolean_ = c.in(kMask).dtype() == DType::kBool;
    Shape s = c.in(kMask).shape();
    s.insert(s.begin(), 4 - s.size(), 1);
    columns_ = s[3];
    steps_[2] = s[2] == 1 && rows != 1 ? 0 : s[3];
    steps_[1] = s[1] == 1 && heads != 1 ? 0 : s[2] * s[3];
    steps_[0] = s[0] == 1 ? 0 : s[1] * s[2] * s[3];
    has_ = true;
  }
  Status Load(const KernelContext& c) {
    if (!has_) return {};
    const Tensor& mask = c.in(kMask);
    if (IsFloat(mask.dtype())) {
      values_ = TRY(LoadAs<W>(mask));
      return {};
    }
    for (int64_t v : mask.AsInts()) values_.push_back(FromInteger<W>(v));
    return {};
  }
  Bias<W> At(int64_t b, int64_t h, int64_t row, int64_t column) const {
    Bias<W> bias;
    if (!lengths_.empty() && column >= lengths_[b]) bias.open = false;
    if (causal_ && column > row + Offset(b)) bias.open = false;
    if (!has_) return bias;
    if (column >= columns_) return {W(0), false};
    W v = values_[b * steps_[0] + h * steps_[1] + row * steps_[2] + column];
    if (boolean_)
      bias.open = bias.open && v != W(0);
    else if (IsMinusInfinity(v))
      bias.open = false;
    else
      bias.add = v;
    return bias;
  }

 private:
  // How many keys stand before the first query.
  int64_t Offset(int64_t b) const {
    return past_ == 0 && !lengths_.empty() ? lengths_[b] - rows_ : past_;
  }
  static bool IsMinusInfinity(W v) {
    if constexpr (kIsFp<W>) {
      double real;
      return FieldContext::current()->KnownConstant(v.r, &real) && std::isinf(real) && real < 0;
    } else {
      return std::isinf(v) && v < 0;
    }
  }
  bool causal_ = false, boolean_ = false, has_ = false;
  int64_t rows_, total_ = 0, past_ = 0, columns_ = 0, steps_[3] = {0, 0, 0};
  std::vector<int64_t> lengths_;
  std::vector<W> values_;
};

// x becomes its softmax over the open places; a row without any is NaN, as the formula has it.
template <class W>
void SoftmaxRow(std::vector<W>& x, const std::vector<uint8_t>& open) {
  W shift = W(0), sum = W(0);
  if constexpr (!kIsFp<W>) {  // in the field the shift would not cancel
    shift = -std::numeric_limits<W>::infinity();
    for (size_t i = 0; i < x.size(); ++i) {
      if (open[i]) shift = ScalarMax(shift, x[i]);
    }
  }
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = open[i] ? ScalarExp(x[i] - shift) : W(0);
    sum += x[i];
  }
  for (W& v : x) v = v / sum;
}

template <class T>
struct Attend {
  using W = Wide<T>;
  KernelContext& c;
  Heads q, k, v;
  int64_t total;
  const T *keys, *values;  // [B,Hk,total,..]
  Masks<W> masks;
  W scale, cap;
  Tap tap;

  // One head of one batch: its rows of Y, and of qk_matmul_output when `taps`.
  Status Head(int64_t b, int64_t h, T* y, int64_t y_step, T* taps) {
    int64_t kv = b * k.heads + h / (q.heads / k.heads), rows = q.length;
    Tensor queries = TRY(c.Scratch(c.in(kQ).dtype(), {rows, q.size}));
    Tensor scores = TRY(c.Scratch(c.in(kQ).dtype(), {rows, total}));
    Tensor result = TRY(c.Scratch(c.in(kQ).dtype(), {rows, v.size}));
    T* s = scores.mutable_data<T>();
    for (int64_t r = 0; r < rows; ++r)
      std::copy_n(c.data<T>(kQ) + q.Start(b, h) + r * q.row_step, q.size,
                  queries.mutable_data<T>() + r * q.size);
    MatrixProduct(queries.data<T>(), keys + kv * total * k.size, s, rows, q.size, total, false,
                  true);
    std::vector<W> row(static_cast<size_t>(total));
    std::vector<uint8_t> open(row.size());
    for (int64_t r = 0; r < rows; ++r, s += total, taps += taps ? total : 0) {
      auto put = [&](Tap which) {
        for (int64_t i = 0; taps && tap == which && i < total; ++i)
          taps[i] = static_cast<T>(row[i]);
      };
      for (int64_t i = 0; i < total; ++i) row[i] = static_cast<W>(s[i]) * scale;
      if (cap != W(0)) {
        for (W& x : row) x = ScalarTanh(x / cap) * cap;
      }
      put(Tap::kProduct);
      put(Tap::kCapped);
      for (int64_t i = 0; i < total; ++i) {
        Bias<W> bias = masks.At(b, h, r, i);
        open[i] = bias.open;
        row[i] += bias.add;
        if constexpr (!kIsFp<W>) {
          if (!bias.open) row[i] = -std::numeric_limits<W>::infinity();
        }
      }
      put(Tap::kMasked);
      SoftmaxRow(row, open);
      put(Tap::kSoftmax);
      for (int64_t i = 0; i < total; ++i) s[i] = static_cast<T>(row[i]);
    }
    MatrixProduct(scores.data<T>(), values + kv * total * v.size, result.mutable_data<T>(), rows,
                  total, v.size);
    for (int64_t r = 0; r < rows; ++r)
      std::copy_n(result.data<T>() + r * v.size, v.size, y + r * y_step);
    return {};
  }
};

template <class T>
Status Run(KernelContext& c, Tensor* y) {
  using W = Wide<T>;
  Heads q(c.in(kQ).shape(), c.Int("q_num_heads")), k(c.in(kK).shape(), c.Int("kv_num_heads")),
      v(c.in(kV).shape(), c.Int("kv_num_heads"));
  int64_t total = k.length + (c.Has(kPastKey) ? c.in(kPastKey).dim(2) : 0);
  TRY(c.Charge({q.batch, q.heads, q.length, total, std::max<int64_t>(q.size + v.size, 1)}));
  Tensor keys = TRY(c.Scratch(c.in(kK).dtype(), {k.batch, k.heads, total, k.size}));
  Tensor values = TRY(c.Scratch(c.in(kV).dtype(), {v.batch, v.heads, total, v.size}));
  TRY(Join<T>(c, kK, kPastKey, k, keys.mutable_data<T>()));
  TRY(Join<T>(c, kV, kPastValue, v, values.mutable_data<T>()));
  Tensor* taps = nullptr;
  if (c.WantsOutput(3)) taps = TRY(c.Out(3));
  W scale = W(1) / ScalarSqrt(W(static_cast<int>(std::min<int64_t>(q.size, 1 << 30))));
  if (c.HasAttr("scale")) scale = W(static_cast<double>(c.Float("scale")));
  Attend<T> attend{c,
                   q,
                   k,
                   v,
                   total,
                   keys.data<T>(),
                   values.data<T>(),
                   Masks<W>(c, q.heads, q.length, total),
                   scale,
                   W(static_cast<double>(std::max(0.0f, c.Float("softcap")))),
                   static_cast<Tap>(c.Int("qk_matmul_output_mode"))};
  TRY(attend.masks.Load(c));
  bool side_by_side = y->rank() == 3;
  for (int64_t b = 0; b < q.batch; ++b) {
    for (int64_t h = 0; h < q.heads; ++h) {
      int64_t head = b * q.heads + h;
      int64_t at =
          side_by_side ? b * q.length * q.heads * v.size + h * v.size : head * q.length * v.size;
      TRY(attend.Head(b, h, y->mutable_data<T>() + at, side_by_side ? q.heads * v.size : v.size,
                      taps ? taps->mutable_data<T>() + head * q.length * total : nullptr));
    }
  }
  if (c.WantsOutput(1)) c.Set(1, keys);
  if (c.WantsOutput(2)) c.Set(2, values);
  return {};
}

Status EvalAttention(KernelContext& c) {
  if (c.in(kQ).dtype() != c.in(kV).dtype())
    return Unsupported("Attention with values of another type than the queries");
  Tensor* y = TRY(c.Out(0));
  return VisitFloat(c.in(kQ), [&](auto zero) -> Status { return Run<decltype(zero)>(c, y); });
}

// A mask that broadcasts to [batch, heads, rows, total]; not over rows, which ONNX Runtime 1.30
// refuses. The first place of every row stays open: a row without any has no softmax.
void DrawMask(Choices& choices, Draft& d, const Shape& full) {
  Shape shape = full;
  shape.erase(shape.begin(), shape.begin() + choices.Between(0, 2));
  for (size_t i = 0; i + 2 < shape.size(); ++i) {
    if (choices.Chance(0.4)) shape[i] = 1;
  }
  if (choices.Chance(0.5)) return Ask(d, kMask, d.inputs[kQ].dtype, shape);
  Tensor mask = RandomConstant(choices, DType::kBool, shape);
  for (int64_t i = 0; i < mask.size(); i += shape.back()) mask.Set(i, 1);
  d.SetConstant(kMask, mask);
}

// The products before any mask, or the softmax. Whether the soft cap comes before the mask or
// behind it is not the same in all releases of ONNX.
void DrawTap(Choices& choices, Draft& d) {
  std::erase_if(d.attrs, [](const Attribute& a) { return a.name == "softcap"; });
  if (d.outputs == 1) d.absent = {1, 2};
  d.outputs = 4;
  Tap tap = choices.Chance(0.5) ? Tap::kProduct : Tap::kSoftmax;
  if (tap != Tap::kProduct || choices.Chance(0.5))
    d.Set("qk_matmul_output_mode", static_cast<int64_t>(tap));
}

bool DrawAttention(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(kQ) || ElementsOfInput(d, kQ) == 0) return false;
  Shape q = d.shape(kQ);
  if (q.size() != 3 && q.size() != 4) return false;
  const bool split = q.size() == 4;
  // Of one key alone the softmax is 1, whatever the queries are.
  const int64_t heads = split ? q[1] : DrawDivisor(choices, q[2]),
                kv_heads = DrawDivisor(choices, heads), rows = q[split ? 2 : 1],
                size = split ? q[3] : q[2] / heads, length = 1 + DrawExtent(choices, 5),
                v_size = choices.Chance(0.6) ? size : DrawExtent(choices, 6);
  auto shape = [&](int64_t n) {
    return split ? Shape{q[0], kv_heads, length, n} : Shape{q[0], length, kv_heads * n};
  };
  DType type = d.inputs[kQ].dtype;
  Ask(d, kK, type, shape(size));
  Ask(d, kV, type, shape(v_size));
  if (!split) {
    d.Set("q_num_heads", heads);
    d.Set("kv_num_heads", kv_heads);
  }
  MaybeSet(choices, d, "scale", 0.3);
  MaybeSet(choices, d, "softcap", 0.3);
  const int64_t past = choices.Chance(0.3) ? DrawExtent(choices, 4) : 0;
  // Whether a diagonal that is no square's begins at the top or ends at the bottom is not the same
  // everywhere once there is a past.
  if (past == 0 || length == rows) MaybeSet(choices, d, "is_causal", 0.3);
  if (past > 0) {
    Ask(d, kPastKey, type, {q[0], kv_heads, past, size});
    Ask(d, kPastValue, type, {q[0], kv_heads, past, v_size});
  }
  if (choices.Chance(0.4)) DrawMask(choices, d, {q[0], heads, rows, past + length});
  if (d.spec->since >= 24 && past == 0 && choices.Chance(0.2))
    d.SetConstant(kLengths, IntegerConstant(choices, DType::kInt64, {q[0]}, 1, length));
  if (past > 0) d.outputs = 3;
  if (choices.Chance(0.2)) DrawTap(choices, d);
  return q[0] * heads * rows * (past + length) <= d.max_elements &&
         q[0] * heads * std::max(rows, length) * v_size <= d.max_elements;
}

OpSpec Row(int since) {
  constexpr DTypeSet kMaskTypes = kFloatsBf16 | kInts | kBoolSet;
  OpSpec row = Op("Attention", since)
                   .In("Q", "T1", kFloatsBf16)
                   .In("K", "T1", kFloatsBf16)
                   .In("V", "T2", kFloatsBf16)
                   .In("attn_mask", "U", kMaskTypes, Arity::kOptional)
                   .In("past_key", "T1", kFloatsBf16, Arity::kOptional)
                   .In("past_value", "T2", kFloatsBf16, Arity::kOptional)
                   .Out("Y", "T1", kFloatsBf16)
                   .Out("present_key", "T1", kFloatsBf16, Arity::kOptional)
                   .Out("present_value", "T2", kFloatsBf16, Arity::kOptional)
                   .Out("qk_matmul_output", "T1", kFloatsBf16, Arity::kOptional);
  if (since >= 24) row.In("nonpad_kv_seqlen", "", Bit(DType::kInt64), Arity::kOptional);
  const AttrDomain heads{.ints = {1, 2, 4}}, flag{.lo = 0, .hi = 1};
  return row.Int("is_causal", 0, flag)
      .Attr({"q_num_heads", AttrType::kInt, false, std::nullopt, heads})
      .Attr({"kv_num_heads", AttrType::kInt, false, std::nullopt, heads})
      .Attr({"scale", AttrType::kFloat, false, std::nullopt, {.floats = {0.125, 1.0}}})
      .Attr({"softmax_precision", AttrType::kInt, false, std::nullopt, {.ints = {1}}})
      .Float("softcap", 0, {.floats = {0.0, 2.0, 30.0}})
      .Int("qk_matmul_output_mode", 0, {.lo = 0, .hi = 3})
      .Rule(AttentionRule)
      .Eval(EvalAttention)
      .Draw(DrawAttention)
      .Class(Accuracy::kReduction);
}

}  // namespace

std::vector<OpSpec> ops_attention() {
  OpSpec row = Row(23);
  row.Example(
      "opset 23 graph(float[1,2,3,4] q, float[1,1,5,4] k, float[1,1,5,6] v) -> (y) { y = "
      "Attention(q, k, v) {is_causal=1} }");
  return {row, Row(24)};
}

}  // namespace assay
