// Trilu (opset 14): the upper (j - i >= k) or lower (j - i <= k) triangle of the last two axes, 0
// elsewhere. ReverseSequence (opset 10): the first sequence_lens[b] steps of each batch entry b in
// reverse order.
#include "interp/draw.h"
#include "interp/movement.h"

namespace assay {
namespace {

// ---- Trilu

void TriluRule(RuleContext& c) {
  if (c.Ranked(0)) c.Require(c.Rank(0) >= 2, "input has at least two axes");
  if (c.Has(1) && c.Ranked(1)) c.Require(Product(c.Dims(1)) == Dim(1), "k has one element");
  SameAsInput0(c);
}

Status TriluKernel(KernelContext& c) {
  const Tensor& x = c.in(0);
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  int64_t rows = x.dim(x.rank() - 2), columns = x.dim(x.rank() - 1);
  bool upper = c.Int("upper") != 0;
  // Beyond these every element is on one side.
  int64_t k = c.Has(1) ? std::clamp<int64_t>(c.in(1).AsInt(0), -rows - 1, columns + 1) : 0;
  return VisitBytes(x, [&](auto zero) -> Status {
    using T = decltype(zero);
    const T* from = ElementsOf<T>(x);
    T* to = MutableElementsOf<T>(*y);
    for (int64_t r = 0; r < x.size() / columns; ++r, from += columns, to += columns) {
      // The row keeps [first, last).
      int64_t diagonal = r % rows + k;
      int64_t first = upper ? std::clamp<int64_t>(diagonal, 0, columns) : 0;
      int64_t last = upper ? columns : std::clamp<int64_t>(diagonal + 1, 0, columns);
      std::fill_n(to, first, T{});
      std::copy_n(from + first, last - first, to + first);
      std::fill_n(to + last, columns - last, T{});
    }
    return {};
  });
}

bool DrawTrilu(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (d.inputs[0].dims.size() < 2) return false;
  if (choices.Chance(0.5)) d.Set("upper", int64_t{0});
  if (choices.Chance(0.6)) d.SetConstant(1, Tensor::Ints({}, {choices.Between(-3, 3)}));
  return true;
}

// ---- ReverseSequence

void ReverseSequenceRule(RuleContext& c) {
  int64_t batch = c.IntValue("batch_axis"), time = c.IntValue("time_axis");
  c.Require((batch == 0 && time == 1) || (batch == 1 && time == 0),
            "batch_axis and time_axis are 0 and 1");
  if (c.Ranked(0)) c.Require(c.Rank(0) >= 2, "input has at least two axes");
  if (c.Ranked(1)) c.Require(c.Rank(1) == 1, "sequence_lens has one axis");
  if (c.Ranked(0) && c.Ranked(1) && !c.failed()) {
    c.Require(c.In(1, 0) == c.In(0, static_cast<int>(batch)),
              "sequence_lens has one entry a batch entry");
  }
  SameAsInput0(c);
}

Status ReverseSequenceKernel(KernelContext& c) {
  const Tensor& x = c.in(0);
  int batch = static_cast<int>(c.Int("batch_axis"));
  int64_t batches = x.dim(batch), steps = x.dim(1 - batch),
          inner = ElementCount(x.shape(), 2, x.rank());
  std::vector<int64_t> lens = c.in(1).AsInts();
  for (size_t b = 0; b < lens.size(); ++b) {
    if (lens[b] >= 0 && lens[b] <= steps) continue;
    if (c.store() != Store::kField) {
      return Invalid("sequence length " + std::to_string(lens[b]) + " of batch entry " +
                     std::to_string(b) + " is outside [0, " + std::to_string(steps) + "]");
    }
    // A hash stands for a number here: wrap it around.
    lens[b] =
        static_cast<int64_t>(static_cast<uint64_t>(lens[b]) % static_cast<uint64_t>(steps + 1));
  }
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  int64_t batch_step = (batch == 0 ? steps : 1) * inner,
          time_step = (batch == 0 ? 1 : batches) * inner;
  return VisitBytes(x, [&](auto zero) -> Status {
    using T = decltype(zero);
    for (int64_t b = 0; b < batches; ++b) {
      for (int64_t t = 0; t < steps; ++t) {
        int64_t from = t < lens[b] ? lens[b] - 1 - t : t;
        std::copy_n(ElementsOf<T>(x) + b * batch_step + from * time_step, inner,
                    MutableElementsOf<T>(*y) + b * batch_step + t * time_step);
      }
    }
    return {};
  });
}

bool DrawReverseSequence(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.size() < 2) return false;
  Shape shape = d.shape(0);
  size_t batch = choices.Below(2);
  if (shape[1 - batch] == 0) return false;
  if (batch == 0) {
    d.Set("batch_axis", int64_t{0});
    d.Set("time_axis", int64_t{1});
  }
  std::vector<int64_t> lens;
  for (int64_t b = 0; b < shape[batch]; ++b) lens.push_back(choices.Between(1, shape[1 - batch]));
  d.SetConstant(1, Tensor::Vector(lens));
  return true;
}

}  // namespace

std::vector<OpSpec> ops_trilu() {
  OpSpec trilu = Op("Trilu", 14)
                     .In("input", "T", kAll13)
                     .In("k", "", Bit(DType::kInt64), Arity::kOptional)
                     .Out("output", "T", kAll13)
                     .Int("upper", 1, {.lo = 0, .hi = 1})
                     .Rule(TriluRule)
                     .Eval(TriluKernel)
                     .Draw(DrawTrilu)
                     .Traits(kMovesData)
                     .Class(Accuracy::kExact);
  OpSpec reverse = Op("ReverseSequence", 10)
                       .In("input", "T", kAll7)
                       .In("sequence_lens", "", Bit(DType::kInt64))
                       .Out("Y", "T", kAll7)
                       .Int("batch_axis", 1, {.lo = 0, .hi = 1})
                       .Int("time_axis", 0, {.lo = 0, .hi = 1})
                       .Rule(ReverseSequenceRule)
                       .Eval(ReverseSequenceKernel)
                       .Draw(DrawReverseSequence)
                       .Traits(kMovesData)
                       .Class(Accuracy::kExact);
  return {trilu, reverse};
}

}  // namespace assay
