#include "oracle/probes.h"

#include <algorithm>
#include <cmath>

namespace assay {
namespace {

// How one set of inputs is made out of standard normal ones.
enum class Corner { kNone, kPositive, kZeros, kEqual, kRamp };
struct ProbeKind {
  double scale = 1, shift = 0;
  Corner corner = Corner::kNone;
  int64_t extent = 2;    // of symbols
  int64_t integers = 4;  // integers lie in [0, integers)
};

const ProbeKind kKinds[kProbeKinds] = {
    {1, 0, Corner::kNone, 2, 4},       {3, 0, Corner::kNone, 3, 2},
    {0.3, 0, Corner::kPositive, 2, 8}, {1, 0, Corner::kRamp, 3, 3},
    {30, 0, Corner::kNone, 1, 16},     {1e-3, 1, Corner::kNone, 2, 1},
    {0, 0, Corner::kZeros, 2, 1},      {1, 0, Corner::kEqual, 4, 2},
    {1000, 0, Corner::kNone, 2, 100},  {3, 0, Corner::kPositive, 5, 3},
};
constexpr double kModerate = 3;

void Bend(Tensor& t, const ProbeKind& kind, int64_t integers, Choices& choices) {
  if (t.dtype() == DType::kString || t.dtype() == DType::kBool) return;
  bool real = IsFloat(t.dtype());
  double first = t.size() > 0 ? t.AsDouble(0) : 0;
  for (int64_t i = 0; i < t.size(); ++i) {
    double x = t.AsDouble(i);
    if (!real) {
      x = kind.corner == Corner::kZeros
              ? 0
              : static_cast<double>(choices.Below(static_cast<uint64_t>(integers)));
    } else {
      if (kind.corner == Corner::kPositive) x = std::fabs(x);
      if (kind.corner == Corner::kEqual) x = first;
      if (kind.corner == Corner::kRamp)
        x = static_cast<double>(i % 17 - 8) / 4;  // duplicates and zeros
      x = x * kind.scale + kind.shift;
    }
    t.Set(i, x);
  }
}

}  // namespace

Result<Probe> MakeProbe(const Model& model, int k, uint64_t seed, int64_t integers_below) {
  const ProbeKind& kind = kKinds[static_cast<size_t>(std::max(k, 0)) % kProbeKinds];
  seed = MixSeeds(seed, static_cast<uint64_t>(k));
  Probe probe;
  probe.inputs = TRY(RandomInputs(model, seed, kind.extent));
  probe.moderate = kind.scale <= kModerate;
  Choices choices(MixSeeds(seed, 77));
  int64_t integers = integers_below > 0 ? std::min(kind.integers, integers_below) : kind.integers;
  for (Tensor& t : probe.inputs) Bend(t, kind, integers, choices);
  return probe;
}

}  // namespace assay
