#include "oracle/judge.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "interp/functions.h"
#include "oracle/metric.h"
#include "oracle/probes.h"

namespace assay {
namespace {

// ---- the interface ----

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

// ---- the pair ----

constexpr int kCornerSets = 4, kNativeSets = 2;

// One set of inputs, and how the target did on it.
struct Tried {
  Probe probe;
  Comparison c;
};

// Probe `k` of the source, in double or in the models' own element types. Nothing: the source does not run on it, or
// it says nothing.
std::optional<Tried> TrySet(const Yardstick& source, const Program& target, int k, const JudgeOptions& options,
                            Store store) {
  MetricOptions metric{MixSeeds(options.seed, 1), options.limits, store == Store::kNative};
  Result<MeasuredProbe> at = MeasureProbe(source, k, options.seed, metric);
  if (!at.ok()) return std::nullopt;
  Comparison c = CompareTarget(at->reference, target, at->probe.inputs, options.limits, store);
  if (!at->reference.Tells(c, at->probe.moderate)) return std::nullopt;
  return Tried{std::move(at->probe), std::move(c)};
}

// Rounding unit of the finest floating-point type among a model's values.
double FinestUnit(const Model& m) {
  double unit = 1;
  Result<Inference> known = Infer(m);
  for (const auto& [name, type] : known.ok() ? known->types : decltype(known->types){}) {
    if (IsFloat(type.dtype)) unit = std::min(unit, MetricUnit(type.dtype));
  }
  return unit;
}

// A target that computes the same may round more than its source does: it subtracts a mean that a normalization takes
// away again, or the Exp of a Sigmoid spelled out overflows where the Sigmoid does not. Does that explain a difference
// in double? Is the source within the target's own rounding, each operation in the source's finest type? That is asked
// where the difference is small or a jump; no rounding explains others. An overflow explains any: what it decides may
// choose between far values.
bool TargetRounds(const Yardstick& source, const Model& target, const Program& program, const Tried& tried,
                  const JudgeOptions& options) {
  constexpr double kFar = 1000;
  const Comparison& c = tried.c;
  if (c.type_mismatch || c.finite_mismatch) return false;
  const std::vector<Tensor>& inputs = tried.probe.inputs;
  if (!tried.probe.moderate && Overflows(program, inputs, options.limits)) return true;
  if (c.margin > kFar && c.margin < kBeyondMargin) return false;
  Result<Yardstick> yardstick = Yardstick::Of(target);
  if (!yardstick.ok()) return false;
  MetricOptions metric{MixSeeds(options.seed, 1), options.limits, false, FinestUnit(source.program().model())};
  Result<Reference> reference = yardstick->Measure(inputs, metric);
  return reference.ok() && !CompareTarget(*reference, source.program(), inputs, options.limits).beyond();
}

// Whoever differs from itself is not judged. "" when both models are steady.
std::string Unsteady(const Yardstick& source, const Program& target, int k,
                     const JudgeOptions& options, Store store, const Comparison& first) {
  std::optional<Tried> self = TrySet(source, source.program(), k, options, store);
  if (self && self->c.beyond()) return "the source differs from itself: " + self->c.note;
  std::optional<Tried> again = TrySet(source, target, k, options, store);
  if (!again || again->c.margin != first.margin || again->c.max_abs != first.max_abs) {
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
  if (NeedsInlining(source) || NeedsInlining(target)) {
    Result<Model> plain = Inlined(source), other = Inlined(target);
    if (!plain.ok()) return NotJudged("the source can't be run: " + plain.error().ToString());
    if (!other.ok() && other.error().code == Code::kUnsupported) return other.error();
    if (!other.ok()) return Beyond("the target can't be run: " + other.error().ToString());
    return JudgePair(*plain, *other, options);
  }
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
    int set = k < sets ? k : k - sets;
    std::optional<Tried> tried = TrySet(*yardstick, *program, set, options, store);
    if (!tried) continue;
    ran += store == Store::kDouble;
    const Comparison& c = tried->c;
    if (c.beyond() && store == Store::kDouble && TargetRounds(*yardstick, target, *program, *tried, options)) continue;
    j.margin = std::max(j.margin, c.margin);
    j.max_abs = std::max(j.max_abs, c.max_abs);
    if (!c.beyond()) continue;
    std::string unsteady = Unsteady(*yardstick, *program, set, options, store, c);
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
