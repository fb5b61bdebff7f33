#include "oracle/judge.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "oracle/metric.h"

namespace assay {
namespace {

// ---- the interface
// ------------------------------------------------------------------------------------------

std::string Declared(const ValueInfo& v) {
  std::string text = DTypeName(v.dtype);
  if (!v.shape) return text;
  for (size_t i = 0; i < v.shape->size(); ++i) {
    const DimDecl& d = (*v.shape)[i];
    text += (i ? "," : "[") + (d.value >= 0       ? std::to_string(d.value)
                               : d.symbol.empty() ? "?"
                                                  : d.symbol);
  }
  return text + (v.shape->empty() ? "[]" : "]");
}

// Does the target still accept everything that the source declares? A target that leaves an extent
// open is wider, one that fixes what the source leaves open is not the same model.
bool Accepts(const ValueInfo& source, const ValueInfo& target) {
  if (source.dtype != target.dtype) return false;
  if (!target.shape) return true;
  if (!source.shape || source.shape->size() != target.shape->size()) return false;
  for (size_t i = 0; i < source.shape->size(); ++i) {
    const DimDecl &a = (*source.shape)[i], &b = (*target.shape)[i];
    if (b.value >= 0 && a.value != b.value) return false;
  }
  return true;
}

// An extent that both declare must be the same; the run tells the rest.
bool Agree(const ValueInfo& source, const ValueInfo& target) {
  if (source.dtype != DType::kUndefined && target.dtype != DType::kUndefined &&
      source.dtype != target.dtype)
    return false;
  if (!source.shape || !target.shape) return true;
  if (source.shape->size() != target.shape->size()) return false;
  for (size_t i = 0; i < source.shape->size(); ++i) {
    int64_t a = (*source.shape)[i].value, b = (*target.shape)[i].value;
    if (a >= 0 && b >= 0 && a != b) return false;
  }
  return true;
}

// Inputs and outputs are matched by position: converters rename. "" when they are the same.
std::string InterfaceDifference(const Graph& source, const Graph& target) {
  std::vector<ValueInfo> si = source.RequiredInputs(), ti = target.RequiredInputs();
  if (si.size() != ti.size()) return fmt::format("{} inputs against {}", si.size(), ti.size());
  for (size_t i = 0; i < si.size(); ++i) {
    if (!Accepts(si[i], ti[i])) {
      return fmt::format("input {} '{}': {} against {}", i, si[i].name, Declared(si[i]),
                         Declared(ti[i]));
    }
  }
  if (source.outputs.size() != target.outputs.size()) {
    return fmt::format("{} outputs against {}", source.outputs.size(), target.outputs.size());
  }
  for (size_t i = 0; i < source.outputs.size(); ++i) {
    const ValueInfo &s = source.outputs[i], &t = target.outputs[i];
    if (!Agree(s, t))
      return fmt::format("output {} '{}': {} against {}", i, s.name, Declared(s), Declared(t));
  }
  return {};
}

// ---- inputs
// -------------------------------------------------------------------------------------------------

// How one set of inputs is made out of standard normal ones.
enum class Corner { kNone, kPositive, kZeros, kEqual, kRamp };
struct InputKind {
  double scale = 1, shift = 0;
  Corner corner = Corner::kNone;
  int64_t extent = 2;    // of symbols
  int64_t integers = 4;  // integers lie in [0, integers)
  // Large inputs overflow in one form of a computation and not in another: no finite value is
  // expected of them.
  bool moderate() const { return scale <= 3; }
};

// The first ones are what every model is tried on; the corners follow.
const InputKind kKinds[] = {
    {1, 0, Corner::kNone, 2, 4},       {3, 0, Corner::kNone, 3, 2},
    {0.3, 0, Corner::kPositive, 2, 8}, {1, 0, Corner::kRamp, 3, 3},
    {30, 0, Corner::kNone, 1, 16},     {1e-3, 1, Corner::kNone, 2, 1},
    {0, 0, Corner::kZeros, 2, 1},      {1, 0, Corner::kEqual, 4, 2},
    {1000, 0, Corner::kNone, 2, 100},  {1e-3, 0, Corner::kNone, 5, 2},
};
constexpr size_t kKindCount = sizeof(kKinds) / sizeof(kKinds[0]);
constexpr int kCornerSets = 4, kNativeSets = 2;

void Reshape(Tensor& t, const InputKind& kind, Choices& choices) {
  if (t.dtype() == DType::kString || t.dtype() == DType::kBool) return;
  bool real = IsFloat(t.dtype());
  double first = t.size() > 0 ? t.AsDouble(0) : 0;
  for (int64_t i = 0; i < t.size(); ++i) {
    double x = t.AsDouble(i);
    if (!real) {
      x = kind.corner == Corner::kZeros
              ? 0
              : static_cast<double>(choices.Below(static_cast<uint64_t>(kind.integers)));
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

Result<std::vector<Tensor>> MakeInputs(const Model& model, const InputKind& kind, uint64_t seed) {
  std::vector<Tensor> inputs = TRY(RandomInputs(model, seed, kind.extent));
  Choices choices(MixSeeds(seed, 77));
  for (Tensor& t : inputs) Reshape(t, kind, choices);
  return inputs;
}

bool Finite(const std::vector<Tensor>& tensors) {
  for (const Tensor& t : tensors) {
    if (!IsFloat(t.dtype())) continue;
    for (int64_t i = 0; i < t.size(); ++i) {
      if (!std::isfinite(t.AsDouble(i))) return false;
    }
  }
  return true;
}

// ---- the pair
// -----------------------------------------------------------------------------------------------

// One set of inputs, in double or in the models' own element types. False: the source does not run
// on it, or it says nothing.
bool TrySet(const Yardstick& source, const Program& target, const InputKind& kind, uint64_t seed,
            const Limits& limits, Store store, Comparison* out) {
  const Model& model = source.program().model();
  Result<std::vector<Tensor>> inputs = MakeInputs(model, kind, seed);
  if (!inputs.ok()) return false;
  MetricOptions options{MixSeeds(seed, 1), limits, store == Store::kNative};
  Result<Reference> reference = source.Measure(*inputs, options);
  // Integers are often indices: where large ones fall outside, small ones may not.
  for (int64_t below : {2, 1}) {
    if (reference.ok() || kind.integers <= below) continue;
    InputKind smaller = kind;
    smaller.integers = below;
    inputs = MakeInputs(model, smaller, seed);
    if (inputs.ok()) reference = source.Measure(*inputs, options);
  }
  if (!reference.ok()) return false;
  *out = CompareTarget(*reference, target, *inputs, limits, store);
  return !out->finite_mismatch || (kind.moderate() && Finite(reference->outputs()));
}

// Whoever differs from itself is not judged. "" when both models are steady.
std::string Unsteady(const Yardstick& source, const Program& target, const InputKind& kind,
                     uint64_t seed, const Limits& limits, Store store, const Comparison& first) {
  Comparison c;
  if (TrySet(source, source.program(), kind, seed, limits, store, &c) && c.beyond()) {
    return "the source differs from itself: " + c.note;
  }
  if (!TrySet(source, target, kind, seed, limits, store, &c) || c.margin != first.margin ||
      c.max_abs != first.max_abs) {
    return "the target differs from itself: " + first.note;
  }
  return {};
}

Judgement Beyond(std::string why) {
  Judgement j;
  j.differs = true;
  j.margin = kBeyondMargin;
  j.why = std::move(why);
  return j;
}

Judgement NotJudged(std::string why) {
  Judgement j;
  j.comparable = false;
  j.why = std::move(why);
  return j;
}

}  // namespace

Result<Judgement> JudgePair(const Model& source, const Model& target, const JudgeOptions& options) {
  Result<Yardstick> yardstick = Yardstick::Of(source);
  if (!yardstick.ok()) return NotJudged("the source can't be run: " + yardstick.error().ToString());
  std::string interface = InterfaceDifference(source.graph, target.graph);
  if (!interface.empty()) return Beyond("interface: " + interface);
  Result<Program> program = Program::Compile(target);
  if (!program.ok() && program.error().code == Code::kUnsupported) return program.error();
  if (!program.ok()) return Beyond("the target can't be run: " + program.error().ToString());
  // In double a fault keeps its size and rounding is small; what only the element types themselves
  // show (a cast to float16, an overflow) is looked for on the first sets.
  Judgement j;
  int ran = 0, sets = std::max(options.samples, 1) + kCornerSets;
  for (int k = 0; k < sets + kNativeSets; ++k) {
    Store store = k < sets ? Store::kDouble : Store::kNative;
    size_t set = static_cast<size_t>(k < sets ? k : k - sets);
    const InputKind& kind = kKinds[set % kKindCount];
    uint64_t seed = MixSeeds(options.seed, set);
    Comparison c;
    if (!TrySet(*yardstick, *program, kind, seed, options.limits, store, &c)) continue;
    ran += store == Store::kDouble;
    j.margin = std::max(j.margin, c.margin);
    j.max_abs = std::max(j.max_abs, c.max_abs);
    if (!c.beyond()) continue;
    std::string unsteady = Unsteady(*yardstick, *program, kind, seed, options.limits, store, c);
    if (!unsteady.empty()) return NotJudged(unsteady);
    j.differs = true;
    j.why = store == Store::kNative ? "in their own element types, " + c.note : c.note;
    return j;
  }
  if (ran == 0) return NotJudged("the source runs on none of the inputs tried");
  j.why = fmt::format("equal within rounding on {} input sets", ran);
  return j;
}

}  // namespace assay
