#include "gen/trial.h"

#include <algorithm>
#include <cmath>

#include "gen/builder.h"

namespace assay {
namespace {

// A node is run half a dozen times: a single product of large operands would take as long as a
// thousand models.
constexpr int64_t kMostMultiplyAdds = 1 << 19;
Limits NodeLimits() {
  Limits limits = Limits::Small();
  limits.flops = kMostMultiplyAdds;
  return limits;
}
const Limits kLimits = NodeLimits();

// Outputs of a perturbed run against the unperturbed ones: decisions equal, floats close.
bool Steady(const Tensor& a, const Tensor& b) {
  constexpr double kClose = 2e-3;
  if (!IsFloat(a.dtype())) return SameElements(a, b);
  if (a.shape() != b.shape()) return false;
  const double *x = a.data<double>(), *y = b.data<double>();
  for (int64_t i = 0; i < a.size(); ++i) {
    if (!(std::fabs(x[i] - y[i]) <= kClose * std::max(1.0, std::fabs(y[i])))) return false;
  }
  return true;
}

// Joined again and again, texts would grow beyond all bounds.
bool Short(const Tensor& texts) {
  constexpr size_t kLongest = 100;
  return std::all_of(texts.strings().begin(), texts.strings().end(),
                     [](const std::string& s) { return s.size() <= kLongest; });
}

bool IsNumberOrList(DType t) { return IsFloat(t) || IsList(t); }

// The items of a list are elements of tensors that were accepted before.
bool IsFiniteList(const Tensor& list) {
  for (const Tensor& item : list.items()) {
    if (!IsList(item.dtype()) && !Measure(item).finite) return false;
  }
  return true;
}

}  // namespace

Trial::Trial(const std::vector<GenValue>& values, const OpSpec& spec, const Node& node,
             const std::vector<int>& inputs, int opset, const ValueLimits& limits,
             const Leniency& allow)
    : values_(values),
      spec_(spec),
      node_(node),
      inputs_(inputs),
      opset_(opset),
      limits_(limits),
      allow_(allow),
      out_(node.outputs.size()) {
  all_exact_ = !spec.Has(kRunsGraphs);
  retype_ = spec.Has(kRunsGraphs);
  // Of these, what is exact gives what is exact: the same numbers in every type.
  constexpr uint32_t kTakesOver = kMovesData | kLayoutOnly | kElementwise | kWithinInputs;
  takes_over_ = spec.accuracy == Accuracy::kExact && spec.Has(kTakesOver) && !spec.Has(kRunsGraphs);
  for (int id : inputs) {
    if (id < 0) continue;
    const GenValue& v = values[id];
    takes_over_ &= v.exact || !IsFloat(v.dtype);
    varies_ |= v.varies;
    floats_ |= IsNumberOrList(v.dtype);
    // Bodies and lists may hold what their operands' types do not show.
    retype_ |= IsList(v.dtype);
    all_exact_ &= !IsNumberOrList(v.dtype) || v.dtype == DType::kDouble;
  }
}

bool Trial::Run() {
  if (!RunNative()) return false;
  for (int s = 0; s < kSamples; ++s) {
    if (!RunDouble(s)) return false;
  }
  return Stable() && EveryOperandCounts();
}

bool Trial::RunNative() {
  Args args(inputs_.size(), nullptr);
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (inputs_[i] >= 0) args[i] = &values_[inputs_[i]].samples[0].native;
  }
  if (types_.empty()) {
    Result<std::vector<TypeInfo>> types = InferOperands(spec_, node_, args, opset_, &read_);
    if (!types.ok()) return false;
    types_ = *std::move(types);
  }
  for (size_t i = 0; i < inputs_.size(); ++i) {
    bool differs = inputs_[i] >= 0 && values_[inputs_[i]].varies;
    retype_ |= differs && (i >= 32 || (read_ >> i & 1) != 0);
  }
  Result<Tensors> out = EvalInferred(spec_, node_, args, types_, Store::kNative, kLimits, opset_);
  if (!out.ok()) return false;
  for (size_t i = 0; i < out_.size(); ++i) {
    if (!Wanted(i)) continue;
    Tensor& t = (*out)[i];
    if (IsList(t.dtype())) {
      if (!IsFiniteList(t)) return false;
      floats_ = retype_ = true;
      all_exact_ = false;
      out_[i][0].native = std::move(t);
      continue;
    }
    Stats stats = Measure(t);
    if (!Alive(i, t, stats)) return false;
    largest_ = std::max({largest_, std::fabs(stats.lo), std::fabs(stats.hi)});
    floats_ |= IsFloat(t.dtype());
    all_exact_ &= !IsFloat(t.dtype()) || t.dtype() == DType::kDouble;
    out_[i][0].native = std::move(t);
  }
  return true;
}

Result<Trial::Tensors> Trial::Evaluate(const Args& args) const {
  return retype_ ? EvalNode(spec_, node_, args, Store::kDouble, kLimits, opset_)
                 : EvalInferred(spec_, node_, args, types_, Store::kDouble, kLimits, opset_);
}

bool Trial::RunDouble(int sample) {
  // What the first sample's run in its own types has shown already.
  bool same = sample == 0 ? !floats_ || all_exact_ || takes_over_ : !varies_;
  Result<Tensors> out = Tensors();
  if (!same) {
    Args args(inputs_.size(), nullptr);
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (inputs_[i] >= 0) args[i] = &values_[inputs_[i]].samples[sample].wide;
    }
    out = Evaluate(args);
    if (!out.ok()) return false;
  }
  for (size_t i = 0; i < out_.size(); ++i) {
    if (!Wanted(i)) continue;
    std::array<Sample, kSamples>& s = out_[i];
    s[sample].wide = !same         ? std::move((*out)[i])
                     : sample == 0 ? s[0].native.To(Store::kDouble)
                                   : s[0].wide;
    if (same) continue;
    if (IsList(s[0].native.dtype())) {
      if (s[sample].wide.shape() != s[0].native.shape()) return false;
      continue;
    }
    if (sample == 0) {
      if (!Agrees(s[0])) return false;
      continue;
    }
    // Secondary outputs (indices, masks) may be what they like, as long as they are
    // well-conditioned.
    bool must_differ = i == 0 && !spec_.Has(kReadsShape) && !allow_.dull && s[0].wide.size() > 0;
    if (s[sample].wide.shape() != s[0].wide.shape() ||
        !Alive(i, s[sample].wide, Measure(s[sample].wide)) ||
        (must_differ && SameElements(s[sample].wide, s[0].wide))) {
      return false;
    }
  }
  return true;
}

bool Trial::Alive(size_t output, const Tensor& t, const Stats& stats) const {
  if (t.dtype() == DType::kString && !Short(t)) return false;
  double size = std::max(std::fabs(stats.lo), std::fabs(stats.hi));
  if ((t.size() == 0 && !allow_.empty) || !stats.finite ||
      (size > limits_.max_abs && !allow_.large)) {
    return false;
  }
  if (allow_.dull || t.size() == 0) return true;
  if (output != 0 || !varies_ || spec_.Has(kReadsShape)) return true;
  if (stats.constant && t.size() > 1) return false;
  return !IsFloat(t.dtype()) || size >= limits_.min_abs;
}

bool Trial::Stable() const {
  if (!limits_.perturb) return true;
  bool floats = false, inexact = false, decides = spec_.Has(kDiscontinuous);
  for (int id : inputs_) {
    bool computed = id >= 0 && IsFloat(values_[id].dtype) && values_[id].varies;
    floats |= computed;
    inexact |= computed && !values_[id].exact;
  }
  for (size_t i = 0; i < out_.size(); ++i) {
    if (IsList(out_[i][0].native.dtype())) return true;  // lists hold what was accepted before
    decides |= Wanted(i) && !IsFloat(out_[i][0].native.dtype());
  }
  // Decisions on what is only known up to rounding are looked at from both sides on all samples.
  if (inexact && decides) {
    for (int s = 0; s < kSamples; ++s) {
      if (!Steadfast(s, false, false) || !Steadfast(s, true, false)) return false;
    }
    return true;
  }
  // A division by a variance of nearly 0 is ill-conditioned even where float and double happen to
  // agree.
  if (!floats || decides || spec_.accuracy == Accuracy::kExact || Tame()) return true;
  return Steadfast(0, false, true);
}

bool Trial::EveryOperandCounts() const {
  if (allow_.dull || spec_.Has(kReadsShape)) return true;
  // A body that is not run, and an item that nobody takes, need not count.
  auto is_list = [&](int id) { return id >= 0 && IsList(values_[id].dtype); };
  bool lists = std::any_of(inputs_.begin(), inputs_.end(), is_list);
  for (const auto& out : out_) lists |= IsList(out[0].native.dtype());
  if (lists) return true;
  // A condition decides between bodies that differ.
  if (spec_.Has(kRunsGraphs))
    return inputs_[0] < 0 || values_[inputs_[0]].dtype != DType::kBool || Counts(0);
  bool floats = true;
  for (size_t i = 0; i < out_.size(); ++i)
    floats &= !Wanted(i) || IsFloat(out_[i][0].native.dtype());
  if (floats && SumsOrMultiplies(spec_)) return true;
  int varying = 0;
  for (int id : inputs_) varying += id >= 0 && values_[id].varies;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    // That the only one that varies counts was seen: the samples differ.
    if (inputs_[i] < 0 || (values_[inputs_[i]].varies && varying == 1)) continue;
    if (values_[inputs_[i]].samples[0].native.size() == 0) continue;  // nothing could count
    // Shapes, axes and the like say how and not what.
    bool parameter = i >= 32 || ((read_ >> i & 1) != 0 && !spec_.Has(kElementwise | kBroadcasts));
    if (!parameter && !TypeOnly(spec_, static_cast<int>(i)) && !Counts(i)) return false;
  }
  return true;
}

// Do the outputs change, or is there none, when all elements of this input do?
bool Trial::Counts(size_t input) const {
  Args args(inputs_.size(), nullptr);
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (inputs_[i] >= 0) args[i] = &values_[inputs_[i]].samples[0].wide;
  }
  const Tensor& given = *args[input];
  for (int way = 0; way < 2; ++way) {
    Tensor changed = Altered(given, way);
    args[input] = &changed;
    bool retype = (read_ >> input & 1) != 0;
    Result<Tensors> r =
        retype ? EvalNode(spec_, node_, args, Store::kDouble, kLimits, opset_) : Evaluate(args);
    if (!r.ok()) return true;
    for (size_t i = 0; i < out_.size(); ++i) {
      if (Wanted(i) && !Alike((*r)[i], out_[i][0].wide)) return true;
    }
  }
  return false;
}

// An elementwise function that is kept from its poles (guards.h) can't blow up what is small to
// something small: near 1/x, the worst, its slope is the square of its value.
bool Trial::Tame() const {
  constexpr double kSmall = 50;
  if (!spec_.Has(kElementwise) || largest_ > kSmall) return false;
  for (int id : inputs_) {
    if (id < 0 || !values_[id].varies || !IsFloat(values_[id].dtype)) continue;
    if (values_[id].largest > kSmall) return false;
  }
  return true;
}

bool Trial::Steadfast(int sample, bool flip, bool move_exact) const {
  std::vector<Tensor> moved(inputs_.size());
  Args args(inputs_.size(), nullptr);
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (inputs_[i] < 0) continue;
    const GenValue& v = values_[inputs_[i]];
    const Tensor& wide = v.samples[sample].wide;
    bool move = v.varies && (move_exact || !v.exact) && IsFloat(v.dtype);
    if (move) moved[i] = Perturbed(wide, i, flip);
    args[i] = move ? &moved[i] : &wide;
  }
  Result<Tensors> r = Evaluate(args);
  if (!r.ok()) return false;
  for (size_t i = 0; i < out_.size(); ++i) {
    if (Wanted(i) && !Steady((*r)[i], out_[i][sample].wide)) return false;
  }
  return true;
}

}  // namespace assay
