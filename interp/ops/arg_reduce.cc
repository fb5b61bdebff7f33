// ArgMax, ArgMin (ONNX opset 1, 11, 12, 13): where along an axis the largest or smallest element
// stands; the first of equal ones, or the last with select_last_index.
#include "interp/draw.h"
#include "interp/movement.h"

namespace assay {
namespace {

void ArgRule(RuleContext& c) {
  bool keep = c.IntValue("keepdims") != 0;
  if (!c.Ranked(0)) return c.OutUnranked(0, DType::kInt64);
  int axis = c.Axis(c.IntValue("axis"), c.Rank(0));
  if (c.failed()) return;
  c.Require(c.In(0, axis) >= Dim(1), "the axis has an element");
  std::vector<Dim> out = c.Dims(0);
  if (keep)
    out[static_cast<size_t>(axis)] = Dim(1);
  else
    out.erase(out.begin() + axis);
  c.Out(0, DType::kInt64, std::move(out));
}

template <bool kMax>
Status Arg(KernelContext& c) {
  const Tensor& x = c.in(0);
  Tensor* out = TRY(c.Out(0));
  int rank = x.rank(), axis = static_cast<int>(c.Int("axis"));
  if (axis < 0) axis += rank;
  bool last = c.Int("select_last_index") != 0;
  int64_t outer = ElementCount(x.shape(), 0, axis), inner = ElementCount(x.shape(), axis + 1, rank),
          n = x.dim(axis);
  if (out->size() == 0) return {};
  int64_t* y = out->mutable_data<int64_t>();
  return VisitNumeric(x, [&](auto zero) -> Status {
    using T = decltype(zero);
    const T* data = c.data<T>(0);
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i = 0; i < inner; ++i) {
        const T* line = data + o * n * inner + i;
        int64_t best = 0;
        for (int64_t k = 1; k < n; ++k) {
          T a = line[k * inner], b = line[best * inner];
          bool better = kMax ? b < a : a < b;
          if (better || (last && a == b)) best = k;
        }
        y[o * inner + i] = best;
      }
    }
    return {};
  });
}

bool DrawArg(Choices& choices, Draft& d) {
  int rank = static_cast<int>(d.inputs[0].dims.size());
  if (rank == 0) return false;
  d.Set("axis", DrawAxis(choices, d, rank));
  d.Set("keepdims", static_cast<int64_t>(choices.Below(2)));
  return true;
}

}  // namespace

std::vector<OpSpec> ops_arg_reduce() {
  std::vector<OpSpec> rows;
  constexpr DTypeSet kNumbers = kFloats16 | kInts;
  for (const char* name : {"ArgMax", "ArgMin"}) {
    OpSpec v1 = Op(name, 1)
                    .In("data", "T", kNumbers)
                    .Out("reduced", "", Bit(DType::kInt64))
                    .Int("axis", 0)
                    .Int("keepdims", 1, {.ints = {0, 1}})
                    .Rule(ArgRule)
                    .Eval(std::string(name) == "ArgMax" ? Arg<true> : Arg<false>)
                    .Draw(DrawArg)
                    .Traits(kDiscontinuous)
                    .Class(Accuracy::kExact);
    rows.push_back(v1);
    rows.push_back(v1.Since(11));
    OpSpec v12 = v1.Since(12).Int("select_last_index", 0, {.ints = {0, 1}});
    rows.push_back(v12);
    rows.push_back(v12.Since(13).Types("T", kNumbers | Bit(DType::kBfloat16)));
  }
  return rows;
}

}  // namespace assay
