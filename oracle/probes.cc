#include "oracle/probes.h"

#include <algorithm>
#include <cmath>
#include <iterator>

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

void Bend(Tensor& t, const ProbeKind& kind, int64_t integers, Choices& choices) {
  if (t.dtype() == DType::kString || t.dtype() == DType::kBool) return;
  bool real = IsFloat(t.dtype());
  double first = t.size() > 0 ? t.AsDouble(0) : 0;
  for (int64_t i = 0; i < t.size(); ++i) {
    double x = t.AsDouble(i);
    if (!real) {
      x = static_cast<double>(choices.Below(static_cast<uint64_t>(integers)));
      if (kind.corner == Corner::kZeros) x = 0;
      // Powers of two are what shifts and masks tell apart.
      if (kind.corner == Corner::kRamp && x > 0) x = std::exp2(std::floor(std::log2(x)));
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

// Beyond the fixed kinds every input goes its own way: a comparison of two of them flips only where their
// magnitudes meet.
ProbeKind DrawKind(Choices& choices) {
  constexpr double kSmallest = -2, kPlain = 0.5;  // powers of ten
  // Large enough to saturate, to overflow an Exp of a float, to underflow a Sigmoid of a double.
  constexpr double kLarge[] = {8, 100, 1000, 3000};
  const Corner corners[] = {Corner::kNone, Corner::kNone, Corner::kNone, Corner::kPositive,
                            Corner::kZeros, Corner::kEqual, Corner::kRamp};
  ProbeKind kind;
  bool large = choices.Below(6) == 0;
  kind.scale = large ? kLarge[choices.Below(std::size(kLarge))] : std::pow(10, choices.Uniform(kSmallest, kPlain));
  if (choices.Below(2) == 0) kind.scale = -kind.scale;
  if (choices.Below(3) == 0) kind.shift = choices.Uniform(-2, 2);
  kind.corner = corners[choices.Below(std::size(corners))];
  kind.integers = int64_t{1} << choices.Below(9);
  return kind;
}

}  // namespace

Result<Probe> MakeProbe(const Model& model, int k, uint64_t seed, const ProbeRange& range) {
  const ProbeKind& kind = kKinds[static_cast<size_t>(std::max(k, 0)) % kProbeKinds];
  seed = MixSeeds(seed, static_cast<uint64_t>(k));
  Probe probe;
  probe.inputs = TRY(RandomInputs(model, seed, range.extent > 0 ? range.extent : kind.extent));
  probe.moderate = k >= kProbeKinds || kind.scale <= kModerate;
  Choices choices(MixSeeds(seed, 77));
  auto below = [&](int64_t integers) {
    return range.integers_below > 0 ? std::min(integers, range.integers_below) : integers;
  };
  for (Tensor& t : probe.inputs) {
    if (k < kProbeKinds) {
      Bend(t, kind, below(kind.integers), choices);
      continue;
    }
    ProbeKind own = DrawKind(choices);
    probe.moderate = probe.moderate && std::fabs(own.scale) <= kModerate;
    Bend(t, own, below(own.integers), choices);
  }
  return probe;
}

bool HasSymbols(const Graph& g) {
  std::vector<ValueInfo> inputs = g.RequiredInputs();
  return std::any_of(inputs.begin(), inputs.end(), [](const ValueInfo& v) {
    return v.shape && std::any_of(v.shape->begin(), v.shape->end(),
                                  [](const DimDecl& d) { return d.value < 0; });
  });
}

Result<MeasuredProbe> MeasureProbe(const Yardstick& yardstick, int k, uint64_t seed,
                                   const MetricOptions& options) {
  const Model& model = yardstick.program().model();
  auto measured = [&](const ProbeRange& range) -> Result<MeasuredProbe> {
    Probe probe = TRY(MakeProbe(model, k, seed, range));
    Reference reference = TRY(yardstick.Measure(probe.inputs, options));
    return MeasuredProbe{std::move(probe), std::move(reference)};
  };
  constexpr int64_t kIntegersBelow[] = {0, 2, 1};
  std::vector<ProbeRange> ranges;
  for (int64_t below : kIntegersBelow) ranges.push_back({below, 0});
  for (int64_t extent : kLongExtents) {
    for (int64_t below : kIntegersBelow) ranges.push_back({below, extent});
  }
  if (!HasSymbols(model.graph) || k >= kProbeKinds) ranges.resize(std::size(kIntegersBelow));
  Result<MeasuredProbe> at = measured(ranges[0]);
  for (size_t r = 1; r < ranges.size() && !at.ok(); ++r) at = measured(ranges[r]);
  return at;
}

}  // namespace assay
