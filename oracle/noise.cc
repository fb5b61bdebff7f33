#include "oracle/noise.h"

#include <algorithm>

namespace assay {

double MetricUnit(DType t) {
  switch (t) {
    case DType::kFloat16:
      return 0x1p-11;
    case DType::kBfloat16:
      return 0x1p-8;
    case DType::kDouble:
      return 0x1p-49;
    default:
      return 0x1p-24;
  }
}

bool IsWindow(const OpSpec& row) {
  return row.accuracy == Accuracy::kRounding && !row.Has(kMovesData | kDiscontinuous) &&
         !row.inputs.empty() && (row.outputs[0].types & kFloats16) != 0 &&
         std::all_of(row.inputs.begin(), row.inputs.end(),
                     [](const Formal& f) { return (f.types & ~kInts) == 0; });
}

namespace {

Tensor EmptyInDouble(const Tensor& t) {
  return Tensor::Make(t.dtype(), t.shape(), Store::kDouble,
                      Limits{.elements = INT64_MAX, .bytes = INT64_MAX})
      .value();
}

}  // namespace

Tensor Perturbed(const Tensor& t, double amplitude, Noise& noise) {
  Tensor from = t.To(Store::kDouble);
  Tensor out = EmptyInDouble(t);
  noise.Apply(from.data<double>(), out.mutable_data<double>(), t.size(), amplitude);
  return out;
}

Tensor Shifted(const Tensor& t, double amplitude, Noise& noise) {
  Tensor from = t.To(Store::kDouble), out = EmptyInDouble(t);
  double largest = 0;
  for (double x : from.span<double>()) {
    if (std::isfinite(x)) largest = std::max(largest, std::fabs(x));
  }
  for (int64_t i = 0; i < t.size(); ++i)
    out.mutable_data<double>()[i] =
        from.data<double>()[i] + largest * (noise.Factor(amplitude) - 1);
  return out;
}

}  // namespace assay
