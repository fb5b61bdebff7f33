#include "oracle/verify.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "interp/choices.h"
#include "interp/functions.h"
#include "interp/kernels_parallel.h"
#include "oracle/doubt.h"
#include "oracle/latent.h"
#include "oracle/metric.h"
#include "oracle/probes.h"
#include "oracle/repair_search.h"

namespace assay {
namespace {

constexpr int kProofContexts = 5;
constexpr int kTimedRuns = 5;
// Runs are all there is where nothing is proved: many, as long as they cost little.
constexpr size_t kSmallGraph = 64;
constexpr int kMoreProbes = 400;
constexpr double kClearMargin = 30;

// Sample sets beyond the plain one are scaled, so that bounds, saturations and small terms show.
constexpr double kScales[] = {1, 8, 0.125, 3};

int64_t Parameters(const Model& m) {
  int64_t n = 0;
  for (const Initializer& i : m.graph.initializers) n += i.value.size();
  return n;
}

Result<std::vector<std::vector<Tensor>>> Samples(const Model& source, const VerifyOptions& options) {
  if (!options.inputs.empty()) return options.inputs;
  std::vector<std::vector<Tensor>> sets;
  for (int k = 0; k < options.samples; ++k) {
    std::vector<Tensor> inputs = TRY(RandomInputs(source, MixSeeds(options.seed ^ 0x5a3b1e, static_cast<uint64_t>(k)), 2 + k % 2));
    double scale = kScales[k % 4];
    for (Tensor& t : inputs) {
      // Integers grow only: a fraction of a small one is the same everywhere.
      if (scale == 1 || !(IsFloat(t.dtype()) || (IsInt(t.dtype()) && scale > 1))) continue;
      Tensor scaled = t.Clone();
      for (int64_t i = 0; i < t.size(); ++i) scaled.Set(i, t.AsDouble(i) * scale);
      t = scaled;
    }
    sets.push_back(std::move(inputs));
  }
  return sets;
}

// Index of the largest element along the last axis of each row of the first floating-point output.
std::vector<int64_t> Labels(const std::vector<Tensor>& outputs) {
  for (const Tensor& t : outputs) {
    if (!IsFloat(t.dtype()) || t.size() == 0) continue;
    int64_t row = t.rank() == 0 ? 1 : t.shape().back();
    std::vector<int64_t> labels;
    for (int64_t r = 0; r < t.size() / row; ++r) {
      int64_t best = 0;
      for (int64_t i = 1; i < row; ++i) {
        if (t.AsDouble(r * row + i) > t.AsDouble(r * row + best)) best = i;
      }
      labels.push_back(best);
    }
    return labels;
  }
  return {};
}

double MillisecondsOf(const Program& p, const std::vector<Tensor>& inputs, const ExecOptions& exec) {
  auto start = std::chrono::steady_clock::now();
  (void)p.Run(inputs, exec).ok();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

class Verifier {
 public:
  Verifier(const Model& source, const Model& target, const VerifyOptions& options)
      : source_(source), target_(target), options_(options) {}
  Result<Verification> Run();

 private:
  Status StepArchitecture();
  Status StepAccuracyAndError();
  Status TryProbes(const Yardstick& yardstick, const Program& target, const MetricOptions& metric);
  void StepTime();
  void Decide();
  Status Localize();
  RepairOptions SearchOptions() const {
    RepairOptions r;
    r.seed = options_.seed;
    r.jobs = options_.jobs;
    r.limits = options_.limits;
    return r;
  }

  const Model& source_;
  const Model& target_;
  const VerifyOptions& options_;
  Verification v_;
  bool same_interface_ = true;
  bool doubtful_ = false;  // proved, but perhaps by chance
  std::string interface_note_;
  std::vector<std::vector<Tensor>> samples_;
  Comparison comparison_;
};

Status Verifier::StepArchitecture() {
  ArchitectureStep& a = v_.architecture;
  a.source_nodes = static_cast<int>(source_.graph.nodes.size());
  a.target_nodes = static_cast<int>(target_.graph.nodes.size());
  v_.parameters.source_parameters = Parameters(source_);
  v_.parameters.target_parameters = Parameters(target_);
  Status interface = SameInterface(source_, target_);
  if (!interface.ok()) {
    same_interface_ = false;
    interface_note_ = a.note = interface.error().ToString();
    a.verdict = Verdict::kDifferent;
    return {};
  }
  LabOptions lab_options;
  lab_options.seed = options_.seed;
  lab_options.contexts = ContextsFor(source_, kProofContexts);
  lab_options.jobs = options_.jobs;
  lab_options.limits = options_.limits;
  Result<std::unique_ptr<Lab>> lab = Lab::Make(source_, target_, lab_options);
  if (!lab.ok()) return lab.error();
  std::string reason;
  Trace trace;
  Result<bool> proved = (*lab)->Prove(target_, &reason, &v_.parameters.snapped, &trace);
  if (!proved.ok()) {
    a.note = "no proof: " + proved.error().ToString();
    return {};
  }
  a.proved = *proved;
  if (a.proved && Doubtful((*lab)->source(), trace)) {
    doubtful_ = true;
    if (TRY(SecondLook(source_, target_, lab_options)) >= 0) {
      a.proved = false;
      reason = "outputs differ in the field at a second look";
    }
  }
  a.note = reason;
  if (a.proved) a.verdict = Verdict::kEquivalent;
  if (a.proved) v_.parameters.verdict = Verdict::kEquivalent;
  return {};
}

// Where nothing is proved, or perhaps by chance, equality on plain inputs says little: the corners as well, until one
// differs.
Status Verifier::TryProbes(const Yardstick& yardstick, const Program& target, const MetricOptions& metric) {
  int probes = source_.graph.nodes.size() > kSmallGraph ? kProbeKinds : doubtful_ ? 2 * kProbeKinds : kMoreProbes;
  for (int k = 0; k < probes && !comparison_.beyond(); ++k) {
    Result<MeasuredProbe> at = MeasureProbe(yardstick, k, options_.seed ^ 0x9c0b, metric);
    if (!at.ok()) continue;
    const std::vector<Tensor>& inputs = at->probe.inputs;
    Comparison c = CompareTarget(at->reference, target, inputs, options_.limits);
    if (!at->reference.Tells(c, at->probe.moderate)) continue;
    if (c.beyond() && !c.type_mismatch && !at->probe.moderate &&
        Overflows(target, inputs, options_.limits))
      continue;
    // The bound is an estimate: of hundreds of sets one may pass it by a little. What only a rare input shows is a
    // comparison that flips, and that is no little.
    if (k >= kProbeKinds && c.margin < kClearMargin) c.margin = std::min(c.margin, 1.0);
    ++v_.error.samples;
    comparison_.Merge(c);
  }
  return {};
}

Status Verifier::StepAccuracyAndError() {
  if (!same_interface_) return {};
  samples_ = TRY(Samples(source_, options_));
  Yardstick yardstick = TRY(Yardstick::Of(source_));
  Result<Program> target = Program::Compile(target_);
  if (!target.ok()) return target.error();
  MetricOptions metric;
  metric.seed = options_.seed ^ 0xe77;
  metric.limits = options_.limits;
  ExecOptions exec;
  exec.limits = options_.limits;
  int64_t labels = 0, agree = 0, source_right = 0, target_right = 0;
  for (size_t k = 0; k < samples_.size(); ++k) {
    // A difference that stands needs no further runs: other inputs then only add to the means.
    metric.widen = !comparison_.beyond() || options_.rtol || options_.atol;
    Result<Reference> reference = yardstick.Measure(samples_[k], metric);
    if (!reference.ok()) {
      // The source itself does not take these values (an index out of range): nothing to compare.
      if (reference.error().code == Code::kUnsupported || reference.error().code == Code::kLimit) return reference.error();
      continue;
    }
    Comparison c = CompareTarget(*reference, *target, samples_[k], options_.limits);
    if (options_.inputs.empty() && !reference->Tells(c, kScales[k % 4] <= kModerate)) continue;
    ++v_.error.samples;
    if (!metric.widen) c.margin = std::min(c.margin, comparison_.margin);
    comparison_.Merge(c);
    Result<Execution> a = yardstick.program().Run(samples_[k], exec), b = target->Run(samples_[k], exec);
    if (!a.ok() || !b.ok()) continue;
    std::vector<int64_t> want = Labels(a->outputs), got = Labels(b->outputs);
    for (size_t i = 0; i < want.size(); ++i) {
      ++labels;
      agree += i < got.size() && want[i] == got[i];
    }
    if (k < options_.labels.size() && !want.empty() && !got.empty()) {
      source_right += want[0] == options_.labels[k];
      target_right += got[0] == options_.labels[k];
    }
  }
  metric.widen = true;
  if ((!v_.architecture.proved || doubtful_) && options_.inputs.empty()) TRY(TryProbes(yardstick, *target, metric));
  v_.accuracy.agreement = labels ? static_cast<double>(agree) / static_cast<double>(labels) : 1;
  v_.accuracy.verdict = agree == labels ? Verdict::kEquivalent : Verdict::kUndecided;
  if (!options_.labels.empty()) {
    double n = static_cast<double>(options_.labels.size());
    v_.accuracy.source_accuracy = static_cast<double>(source_right) / n;
    v_.accuracy.target_accuracy = static_cast<double>(target_right) / n;
  }
  ErrorStep& e = v_.error;
  e.mape = comparison_.mape();
  e.max_abs = comparison_.max_abs;
  e.margin = comparison_.margin;
  e.note = comparison_.note;
  bool beyond = comparison_.beyond();
  if (options_.rtol || options_.atol) {
    // The user's own tolerance, against the largest difference and the mean relative one.
    double atol = options_.atol.value_or(0), rtol = options_.rtol.value_or(0);
    beyond = comparison_.type_mismatch || comparison_.finite_mismatch || (e.max_abs > atol && e.mape > rtol);
  }
  if (e.samples == 0) e.verdict = Verdict::kUndecided;
  else e.verdict = beyond ? Verdict::kDifferent : Verdict::kEquivalent;
  if (beyond && agree != labels) v_.accuracy.verdict = Verdict::kDifferent;
  return {};
}

void Verifier::StepTime() {
  if (!options_.measure_time || !same_interface_ || samples_.empty()) return;
  Result<Program> a = Program::Compile(source_), b = Program::Compile(target_);
  if (!a.ok() || !b.ok()) return;
  ExecOptions exec;
  exec.limits = options_.limits;
  std::vector<double> ta, tb;
  double first = MillisecondsOf(*a, samples_[0], exec);
  int runs = first > 200 ? 1 : kTimedRuns;
  for (int i = 0; i < runs; ++i) {
    ta.push_back(MillisecondsOf(*a, samples_[0], exec));
    tb.push_back(MillisecondsOf(*b, samples_[0], exec));
  }
  std::sort(ta.begin(), ta.end());
  std::sort(tb.begin(), tb.end());
  v_.time.source_ms = ta[ta.size() / 2];
  v_.time.target_ms = tb[tb.size() / 2];
  v_.time.difference_ms = v_.time.target_ms - v_.time.source_ms;
  // Lee et al. 2023: up to 0.2 s is no difference.
  constexpr double kNoticeable = 200;
  v_.time.verdict = std::fabs(v_.time.difference_ms) <= kNoticeable ? Verdict::kEquivalent : Verdict::kDifferent;
}

Status Verifier::Localize() {
  Result<SearchResult> found = SearchRepair(source_, target_, SearchOptions());
  if (found.ok()) v_.search = std::make_shared<const SearchResult>(*found);
  if (!found.ok()) {
    if (v_.architecture.note.empty()) v_.architecture.note = found.error().ToString();
    return {};
  }
  bool observable = v_.error.verdict == Verdict::kDifferent || !same_interface_;
  double score = 1;
  for (const Healed& h : found->steps) {
    Difference d = h.difference;
    d.observable = observable;
    d.score = score;
    score *= 0.9;
    v_.differences.push_back(std::move(d));
    if (h.difference.cls == "WB") ++v_.parameters.different;
  }
  v_.architecture.aligned_nodes = found->aligned_nodes;
  // Not proved and not seen on any input: a constant or attribute that is certainly another one is a latent
  // difference; a part that merely has another spelling is not accused.
  if (v_.verdict == Verdict::kUndecided) {
    bool local = found->equal && !found->steps.empty() &&
                 std::all_of(found->steps.begin(), found->steps.end(),
                             [](const Healed& h) { return h.local; }) &&
                 ShowsInPlace(target_, found->fixed, options_.seed, options_.limits);
    v_.verdict = local ? Verdict::kDifferent : (v_.error.samples > 0 ? Verdict::kEquivalent : Verdict::kUndecided);
    if (!local) v_.differences.clear();
    if (!local && v_.error.samples > 0) {
      v_.architecture.note = "not proved; equal within rounding on " + std::to_string(v_.error.samples) + " inputs";
    }
  }
  if (v_.parameters.different > 0) v_.parameters.verdict = Verdict::kDifferent;
  return {};
}

void Verifier::Decide() {
  // A value of one bit is equal by chance now and then, however many seeds: a run that differs refutes the proof.
  if (v_.architecture.proved && v_.error.verdict == Verdict::kDifferent && !(options_.rtol || options_.atol)) {
    v_.architecture.proved = false;
    v_.architecture.verdict = v_.parameters.verdict = Verdict::kUndecided;
    v_.architecture.note = "equal in the field, refuted by a run";
  }
  if (!same_interface_ || comparison_.type_mismatch || comparison_.finite_mismatch) v_.verdict = Verdict::kDifferent;
  // The user's own tolerance is the whole measure.
  else if (v_.error.samples > 0 && (options_.rtol || options_.atol)) v_.verdict = v_.error.verdict;
  else if (v_.architecture.proved) v_.verdict = Verdict::kEquivalent;
  else if (v_.error.verdict == Verdict::kDifferent) v_.verdict = Verdict::kDifferent;
  else v_.verdict = Verdict::kUndecided;
  if (v_.verdict == Verdict::kDifferent && v_.architecture.verdict == Verdict::kUndecided) {
    v_.architecture.verdict = Verdict::kDifferent;
  }
}

Result<Verification> Verifier::Run() {
  // A source that we can't execute is an error; a target that we can't is judged by what it lacks.
  (void)TRY(Prepared::Of(source_));
  (void)TRY(Infer(source_, {}, options_.limits));
  TRY(StepArchitecture());
  TRY(StepAccuracyAndError());
  StepTime();
  Decide();
  if (v_.architecture.proved) v_.architecture.aligned_nodes = v_.architecture.target_nodes;
  bool settled = v_.verdict == Verdict::kEquivalent;
  if (!settled && (options_.localize || v_.verdict == Verdict::kUndecided)) TRY(Localize());
  if (v_.verdict == Verdict::kEquivalent && v_.architecture.verdict == Verdict::kUndecided) {
    v_.architecture.verdict = v_.parameters.verdict = Verdict::kEquivalent;
  }
  return std::move(v_);
}

}  // namespace

Result<Verification> Verify(const Model& source, const Model& target, const VerifyOptions& options) {
  if (NeedsInlining(source) || NeedsInlining(target)) return Verify(TRY(Inlined(source)), TRY(Inlined(target)), options);
  ThreadScope threads(options.jobs);
  return Verifier(source, target, options).Run();
}

}  // namespace assay
