// RotaryEmbedding (ONNX opset 23): pairs (a, b) of the first `rotary_embedding_dim` elements of
// each head turned by an angle that depends on the place: (a cos - b sin, a sin + b cos). A pair is
// neighbours when `interleaved`, else an element of each half.
//
// X [B,H,S,D] or [B,S,H*D]; cos_cache and sin_cache [P,R/2] read at position_ids [B,S], or
// [B,S,R/2].
#include "interp/draw.h"
#include "interp/ops/elementwise.h"

namespace assay {
namespace {

enum Input { kX, kCos, kSin, kPositions };

void RotaryRule(RuleContext& c) {
  SameAsInput0(c);
  int64_t heads = c.IntValue("num_heads"), rotary = c.IntValue("rotary_embedding_dim");
  c.Require(heads >= 0 && rotary >= 0 && rotary % 2 == 0,
            "num_heads and rotary_embedding_dim are not negative");
  if (!c.Ranked(kX) || c.failed()) return;
  int rank = c.Rank(kX);
  c.Require(rank == 3 || rank == 4, "X has 3 or 4 axes");
  // While solving, the draw callback has yet to set it.
  const bool unset = c.solving() && heads == 0;
  c.Require(rank != 3 || heads > 0 || unset, "with 3 axes num_heads is given");
  if (c.failed()) return;
  Dim size = c.In(kX, rank - 1);
  if (rank == 3 && unset) return c.Require(size > Dim(1), "a head holds a pair");
  if (rank == 3) {
    c.Require(Divides(Dim(heads), size), "the last axis holds whole heads");
    size = FloorDiv(size, Dim(heads));
  }
  Dim turned = rotary > 0 ? Dim(rotary) : size;
  c.Require(turned <= size && Divides(Dim(2), turned), "the turned part is even and within a head");
  bool indexed = c.Has(kPositions);
  for (int i : {kCos, kSin}) {
    if (!c.Ranked(i)) continue;
    c.Require(c.Rank(i) == (indexed ? 2 : 3),
              "the caches are [P,R/2], or [B,S,R/2] without positions");
    if (c.failed()) return;
    c.Require(c.In(i, c.Rank(i) - 1) == FloorDiv(turned, Dim(2)),
              "the caches hold an angle for each pair");
    if (indexed) continue;
    c.Require(c.In(i, 0) == c.In(kX, 0) && c.In(i, 1) == c.In(kX, rank == 4 ? 2 : 1),
              "the caches hold every place");
  }
  if (c.Ranked(kCos) && c.Ranked(kSin))
    c.Require(c.In(kCos, 0) == c.In(kSin, 0), "the caches are equally long");
  if (!indexed || !c.Ranked(kPositions)) return;
  c.Require(c.Rank(kPositions) == 2, "position_ids is [B,S]");
  if (c.failed()) return;
  c.Require(
      c.In(kPositions, 0) == c.In(kX, 0) && c.In(kPositions, 1) == c.In(kX, rank == 4 ? 2 : 1),
      "position_ids is [B,S]");
}

// Rows of the caches, one for each [batch, place].
Result<std::vector<int64_t>> CacheRows(const KernelContext& c, int64_t places) {
  std::vector<int64_t> rows(static_cast<size_t>(places));
  int64_t extent = c.in(kCos).dim(0);
  for (int64_t i = 0; i < places; ++i) {
    rows[i] = i;
    if (!c.Has(kPositions)) continue;
    rows[i] = c.in(kPositions).AsInt(i);
    if (rows[i] >= 0 && rows[i] < extent) continue;
    if (c.store() != Store::kField || extent == 0)
      return Invalid("position " + std::to_string(rows[i]) + " is outside of a cache of " +
                     std::to_string(extent));
    rows[i] = static_cast<int64_t>(static_cast<uint64_t>(rows[i]) % static_cast<uint64_t>(extent));
  }
  return rows;
}

Status EvalRotary(KernelContext& c) {
  const Tensor& x = c.in(kX);
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  bool split = x.rank() == 4;
  int64_t batch = x.dim(0), heads = split ? x.dim(1) : c.Int("num_heads"),
          length = x.dim(split ? 2 : 1);
  int64_t size = x.size() / batch / heads / length, rotary = c.Int("rotary_embedding_dim");
  if (rotary == 0) rotary = size;
  int64_t half = rotary / 2, row_step = split ? size : heads * size,
          head_step = split ? length * size : size;
  bool interleaved = c.Int("interleaved") != 0;
  std::vector<int64_t> rows = TRY(CacheRows(c, batch * length));
  return VisitFloat(x, [&](auto zero) -> Status {
    using T = decltype(zero);
    const T *from = x.data<T>(), *cosines = c.data<T>(kCos), *sines = c.data<T>(kSin);
    T* to = y->mutable_data<T>();
    std::copy_n(from, x.size(), to);
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t h = 0; h < heads; ++h) {
        for (int64_t s = 0; s < length; ++s) {
          int64_t at = b * heads * length * size + h * head_step + s * row_step,
                  angle = rows[b * length + s] * half;
          for (int64_t i = 0; i < half; ++i) {
            int64_t first = at + (interleaved ? 2 * i : i),
                    second = interleaved ? first + 1 : first + half;
            T a = from[first], o = from[second], cosine = cosines[angle + i],
              sine = sines[angle + i];
            to[first] = cosine * a - sine * o;
            to[second] = sine * a + cosine * o;
          }
        }
      }
    }
    return {};
  });
}

bool DrawRotary(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || ElementsOfInput(d, 0) == 0) return false;
  Shape x = d.shape(0);
  if (x.size() != 3 && x.size() != 4) return false;
  bool split = x.size() == 4;
  int64_t heads = split ? x[1] : DrawDivisor(choices, x[2]), length = x[split ? 2 : 1];
  int64_t size = split ? x[3] : x[2] / heads, rotary = size;
  if (size < 2) return false;
  if (size % 2 != 0 || choices.Chance(0.4)) rotary = 2 * choices.Between(1, size / 2);
  if (rotary != size || choices.Chance(0.2)) d.Set("rotary_embedding_dim", rotary);
  if (!split || choices.Chance(0.3)) d.Set("num_heads", heads);
  MaybeSet(choices, d, "interleaved");
  bool indexed = choices.Chance(0.5);
  int64_t rows = length + choices.Between(0, 3);
  for (size_t i : {kCos, kSin})
    Ask(d, i, d.inputs[0].dtype,
        indexed ? Shape{rows, rotary / 2} : Shape{x[0], length, rotary / 2});
  if (indexed)
    d.SetConstant(kPositions, IntegerConstant(choices, DType::kInt64, {x[0], length}, 0, rows - 1));
  return true;
}

}  // namespace

std::vector<OpSpec> ops_rotary_embedding() {
  constexpr DTypeSet kTypes = kFloatsBf16 & ~Bit(DType::kDouble);
  return {
      Op("RotaryEmbedding", 23)
          .In("X", "T", kTypes)
          .In("cos_cache", "T", kTypes)
          .In("sin_cache", "T", kTypes)
          .In("position_ids", "M", Bit(DType::kInt64), Arity::kOptional)
          .Out("Y", "T", kTypes)
          .Int("interleaved", 0, {.lo = 0, .hi = 1})
          .Int("num_heads", 0, {.ints = {0, 1, 2}})
          .Int("rotary_embedding_dim", 0, {.ints = {0, 2, 4}})
          .Rule(RotaryRule)
          .Eval(EvalRotary)
          .Draw(DrawRotary)
          .Example("opset 23 graph(float[1,2,3,4] x, float[1,3,2] c, float[1,3,2] s) -> (y) { y = "
                   "RotaryEmbedding(x, c, s) }")};
}

}  // namespace assay
