// HannWindow, HammingWindow and BlackmanWindow (ONNX opset 17): a - b cos(2 pi n / N) + c cos(4 pi
// n / N) with N the size, one less when not periodic; and MelWeightMatrix (17): triangles over the
// bins of a spectrum that are equally wide on the mel scale.
#include "interp/draw.h"
#include "interp/ops/sampling.h"

namespace assay {
namespace {

constexpr DTypeSet kNumbers = kFloatsBf16 | kInts;

DType DatatypeOf(RuleContext& c) {
  int64_t type = c.IntValue("output_datatype");
  bool known = type > 0 && type < kDTypeCount &&
               Contains(c.spec().outputs[0].types, static_cast<DType>(type));
  c.Require(known, "output_datatype is a type of numbers");
  return known ? static_cast<DType>(type) : DType::kFloat;
}

void RequireScalars(RuleContext& c) {
  for (int i = 0; i < c.inputs(); ++i) {
    if (c.Ranked(i)) c.Require(Product(c.Dims(i)) == Dim(1), "the operands are scalars");
  }
}

void WindowRule(RuleContext& c) {
  RequireScalars(c);
  DType type = DatatypeOf(c);
  std::vector<int64_t> size;
  if (!c.KnownInts(0, &size) || size.empty() || c.failed()) return c.Out(0, type, {Dim::Unknown()});
  c.Require(size[0] >= 0, "size is at least 0");
  if (!c.failed()) c.Out(0, type, {Dim(size[0])});
}

struct Cosines {
  double a, b, c;
};

Status EvalWindow(KernelContext& c) {
  const std::string& name = c.spec().name;
  constexpr double kPi = 3.14159265358979323846;
  Cosines w = name == "HannWindow"      ? Cosines{0.5, 0.5, 0}
              : name == "HammingWindow" ? Cosines{25.0 / 46, 1 - 25.0 / 46, 0}
                                        : Cosines{0.42, 0.5, 0.08};
  Tensor* y = TRY(c.Out(0));
  int64_t n = c.Int("periodic") != 0 ? y->size() : y->size() - 1;
  for (int64_t i = 0; i < y->size(); ++i) {
    // A window of one place, not periodic, is its middle.
    double x = n == 0 ? 0.5 : static_cast<double>(i) / static_cast<double>(n);
    y->Set(i, w.a - w.b * std::cos(2 * kPi * x) + w.c * std::cos(4 * kPi * x));
  }
  return {};
}

// ---- MelWeightMatrix [dft_length / 2 + 1, num_mel_bins]

void MelRule(RuleContext& c) {
  RequireScalars(c);
  DType type = DatatypeOf(c);
  std::vector<int64_t> bins, length, rate;
  if (!c.KnownInts(0, &bins) || !c.KnownInts(1, &length) || bins.empty() || length.empty() ||
      c.failed())
    return c.Out(0, type, {Dim::Unknown(), Dim::Unknown()});
  constexpr int64_t kMost = int64_t{1} << 40;
  c.Require(bins[0] >= 0 && length[0] >= 0 && bins[0] < kMost && length[0] < kMost,
            "num_mel_bins and dft_length are sizes");
  if (c.KnownInts(2, &rate) && !rate.empty()) c.Require(rate[0] > 0, "sample_rate is positive");
  if (!c.failed()) c.Out(0, type, {Dim(length[0] / 2 + 1), Dim(bins[0])});
}

double MelOf(double hertz) { return 2595 * std::log10(1 + hertz / 700); }
double HertzOf(double mel) { return 700 * (std::pow(10, mel / 2595) - 1); }

// Where triangle i of `bins` begins, as a place of the spectrum of `length` samples.
double EdgeOf(int64_t i, int64_t bins, int64_t length, int64_t rate, double low, double high) {
  const double first = MelOf(low), step = (MelOf(high) - first) / static_cast<double>(bins + 2);
  return std::floor(static_cast<double>(length + 1) *
                    HertzOf(first + static_cast<double>(i) * step) / static_cast<double>(rate));
}

Status EvalMel(KernelContext& c) {
  std::vector<double> low = TRY(RealInput(c, 3)), high = TRY(RealInput(c, 4));
  const int64_t length = c.in(1).AsInt(0), rate = c.in(2).AsInt(0);
  if (rate <= 0) return Invalid("sample_rate is positive");
  Tensor* y = TRY(c.Out(0));
  const int64_t rows = y->dim(0), bins = y->dim(1);
  for (int64_t i = 0; i < y->size(); ++i) y->Set(i, 0);
  auto edge = [&](int64_t i) {
    double bin = EdgeOf(i, bins, length, rate, low[0], high[0]);
    return std::isnan(bin) ? int64_t{-1}
                           : static_cast<int64_t>(std::clamp(bin, -1.0, static_cast<double>(rows)));
  };
  for (int64_t m = 0; m < bins; ++m) {
    int64_t left = edge(m), middle = edge(m + 1), right = edge(m + 2);
    if (left < 0 || middle < 0 || right > rows || middle >= rows)
      return Invalid("the edges are not within the spectrum");
    auto put = [&](int64_t row, int64_t num, int64_t den) {
      y->Set(row * bins + m, static_cast<double>(num) / static_cast<double>(den));
    };
    if (left >= middle) put(middle, 1, 1);
    for (int64_t j = left; left < middle && j <= middle; ++j) put(j, j - left, middle - left);
    for (int64_t j = middle; j < right; ++j) put(j, right - j, right - middle);
  }
  return {};
}

// A window of one place that is not periodic divides by 0.
bool DrawWindow(Choices& choices, Draft& d) {
  d.attrs.clear();
  const bool periodic = choices.Chance(0.5);
  if (!periodic || choices.Chance(0.3)) d.Set("periodic", int64_t{periodic});
  MaybeSet(choices, d, "output_datatype");
  Tensor size = Tensor::Make(TypeOr(d, 0, DType::kInt64), {}).value();
  size.Set(0, static_cast<double>(choices.Between(periodic ? 1 : 2, 17)));
  d.SetConstant(0, size);
  return true;
}

// Edges within the spectrum, which ends at half the rate.
bool DrawMel(Choices& choices, Draft& d) {
  d.attrs.clear();
  MaybeSet(choices, d, "output_datatype");
  int64_t rate = choices.PickOf<int64_t>({14, 16, 18, 20});
  DType integer = TypeOr(d, 0, DType::kInt64), real = TypeOr(d, 3, DType::kFloat);
  double low = choices.PickOf({0.0, 0.5, 1.0}), high = choices.PickOf({3.0, 5.0, 6.5});
  int64_t bins = choices.Between(1, 12), length = choices.PickOf<int64_t>({64, 99, 128});
  if (bins > 1 && choices.Chance(0.02)) length = 2 * (bins - 1);  // as many places as triangles
  // Slow signals, where a neighbouring rate gives another matrix.
  bool counts = false;
  for (int64_t i = 0; i < bins + 2; ++i) {
    double edge = EdgeOf(i, bins, length, rate, low, high);
    for (int64_t other : {rate - 1, rate + 1})
      counts |= edge != EdgeOf(i, bins, length, other, low, high);
  }
  if (!counts) return false;
  const double values[] = {static_cast<double>(bins), static_cast<double>(length),
                           static_cast<double>(rate), low, high};
  for (size_t i = 0; i < 5; ++i) {
    Tensor t = Tensor::Make(i < 3 ? integer : real, {}).value();
    t.Set(0, values[i]);
    d.SetConstant(i, t);
  }
  return true;
}

OpSpec Window(const char* name) {
  return Op(name, 17)
      .In("size", "T1", kIndexInts)
      .Out("output", "T2", kNumbers)
      .Int("output_datatype", 1, {.ints = {1, 11}})
      .Int("periodic", 1, {.lo = 0, .hi = 1})
      .Rule(WindowRule)
      .Eval(EvalWindow)
      .Draw(DrawWindow)
      .Gives(0, 1)
      .Example(std::string("graph() -> (y) { n = int64[] {8} y = ") + name + "(n) }");
}

}  // namespace

std::vector<OpSpec> ops_windows() {
  return {
      Window("HannWindow"), Window("HammingWindow"), Window("BlackmanWindow"),
      Op("MelWeightMatrix", 17)
          .In("num_mel_bins", "T1", kIndexInts)
          .In("dft_length", "T1", kIndexInts)
          .In("sample_rate", "T1", kIndexInts)
          .In("lower_edge_hertz", "T2", kFloatsBf16)
          .In("upper_edge_hertz", "T2", kFloatsBf16)
          .Out("output", "T3", kNumbers)
          .Parameter("lower_edge_hertz")
          .Parameter("upper_edge_hertz")
          .Int("output_datatype", 1, {.ints = {1, 11}})
          .Rule(MelRule)
          .Eval(EvalMel)
          .Traits(kOnRequest)
          .Gives(0, 1)
          .Draw(DrawMel)
          .Example(
              "graph() -> (y) { n = int64[] {4} l = int64[] {16} r = int64[] {8192} a = float[] "
              "{0} b = float[] {4096} y = "
              "MelWeightMatrix(n, l, r, a, b) }")};
}

}  // namespace assay
