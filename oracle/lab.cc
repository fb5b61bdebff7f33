#include "oracle/lab.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "interp/choices.h"
#include "interp/field.h"
#include "interp/kernels_parallel.h"
#include "oracle/lab_context.h"
#include "oracle/lab_literals.h"
#include "oracle/lab_snaps.h"
#include "oracle/probes.h"

namespace assay {
namespace {

// Positions of known constants in the random order, one for each context: a single order forgets (a
// lost Relu before a wide MaxPool), and so does one placement of the constants.
constexpr double kQuantilePowers[kSecondLook] = {1.0, 1.0 / 3, 3.0, 1.0 / 12, 12.0};
// Of the second look: the maximum of thousands of elements still falls below a constant now and then.
constexpr double kFarPowers[] = {1.0, 1.0 / 20000, 2000.0, 1.0 / 3, 3.0, 1.0 / 200, 40.0};
// Integers of several magnitudes: small ones that fit as indices, and such as pass any bound.
constexpr double kSpread[kSecondLook] = {0, 8, 100, 0, 20000};
constexpr double kFarSpread[] = {256, 0, 100, 3e9, 8, 65536, 2};

double PowerOf(int draw) {
  return draw < kSecondLook ? kQuantilePowers[draw] : kFarPowers[(draw - kSecondLook) % std::size(kFarPowers)];
}
double SpreadOf(int draw) {
  return draw < kSecondLook ? kSpread[draw] : kFarSpread[(draw - kSecondLook) % std::size(kFarSpread)];
}

Tensor DrawIntegers(const Tensor& like, int draw, double spread, Choices& choices) {
  Tensor wide = like.Clone();
  for (int64_t i = 0; i < wide.size(); ++i) {
    wide.Set(i, std::floor(choices.Uniform(IsSigned(wide.dtype()) ? -spread : 0, spread)));
    // Powers of two are what shifts and masks tell apart.
    bool special = draw >= kSecondLook && draw % 2 == 1 && spread > 2 && choices.Below(2) == 0;
    if (special) wide.Set(i, std::exp2(std::floor(choices.Uniform(0, std::log2(spread)))));
  }
  return wide;
}

// Every second context of the second look: half of the elements are numbers that the models compare with.
void PlaceConstants(const std::vector<double>& literals, Choices& choices, Tensor* t) {
  std::vector<double> known = {0, 1, -1, 0.5, -0.5, 2};
  known.insert(known.end(), literals.begin(), literals.end());
  Fp* x = t->mutable_data<Fp>();
  for (int64_t i = 0; i < t->size(); ++i) {
    if (choices.Below(2) == 0) x[i] = Fp(known[choices.Below(known.size())]);
  }
}

}  // namespace

std::vector<uint64_t> Trace::OutputKeys() const {
  std::vector<uint64_t> keys;
  for (int o : model->outputs) {
    uint64_t h = signature[o].ordered;
    for (const std::vector<Tensor>& context : values) {
      h = context[o].defined() ? Mix(h ^ ShapeHash(context[o])) : 0;
      if (h == 0) break;
    }
    keys.push_back(h);
  }
  return keys;
}

struct Lab::Impl {
  LabOptions options;
  std::shared_ptr<const Prepared> source_model;
  std::unique_ptr<SnapPool> pool;
  std::unique_ptr<LabSnapper> snapper;
  std::vector<double> literals;
  std::vector<std::unique_ptr<LabContext>> contexts;
  // Of the source, by context, as far as it has run.
  std::vector<ContextRun> source_runs;
  std::vector<char> source_done;
  // Combined signatures of its first k + 1 contexts, and the trace of those asked for last.
  std::vector<std::vector<Signature>> source_signature;
  Trace source;
  int64_t shortest = 2;     // extent of symbols
  bool one_target = false;  // no later run asks for the elements of this one

  Status MakeContext(int k);
  void RunSource(int k);
  // The first context, on extents that the source runs on where there are any.
  Status Begin();
  // Runs contexts [begin, end) of the target, those of the source first where they are missing.
  Status RunContexts(const Prepared& target, const LabSnaps& snaps, bool remember, int begin, int end,
                     std::vector<ContextRun>* runs);
  // Makes `source` the trace of the first n contexts.
  void ShowSource(int n);
};

Lab::Lab() : impl_(std::make_unique<Impl>()) {}
Lab::~Lab() = default;
const Trace& Lab::source() const { return impl_->source; }
const SnapPool& Lab::pool() const { return *impl_->pool; }

Status Lab::Impl::MakeContext(int k) {
  int draw = options.draws[static_cast<size_t>(k)];
  uint64_t seed = MixSeeds(options.seed ^ 0xf1e1d, static_cast<uint64_t>(draw));
  auto field = std::make_unique<FieldContext>(seed, literals, PowerOf(draw));
  std::vector<Tensor> inputs =
      TRY(RandomIntegerInputs(source_model->model, seed, shortest + draw % 3, Store::kField));
  FieldScope scope(field.get());
  uint64_t index = 0;
  for (Tensor& t : inputs) {
    double spread = std::min(SpreadOf(draw), std::exp2(8.0 * static_cast<double>(t.element_bytes())));
    if (IsInt(t.dtype()) && spread > 0) {
      Choices choices(MixSeeds(seed, ++index));
      t = DrawIntegers(t, draw, spread, choices);
    }
    if (t.size() > options.limits.elements || t.bytes() > options.limits.bytes)
      return LimitHit("an input of type " + t.TypeString() + " is larger than the limits");
    if (!IsFloat(t.dtype())) continue;
    Fp* x = t.mutable_data<Fp>();
    Choices choices(MixSeeds(seed, ++index));
    for (int64_t i = 0; i < t.size(); ++i)
      x[i] = Fp::Raw(static_cast<double>(choices.Below(static_cast<uint64_t>(field->p()))));
    if (draw >= kSecondLook && draw % 2 == 1) PlaceConstants(literals, choices, &t);
  }
  contexts.push_back(std::make_unique<LabContext>(std::move(field), std::move(inputs), *pool, options));
  return {};
}

Result<std::unique_ptr<Lab>> Lab::Make(const Model& source, const Model& target,
                                       const LabOptions& options) {
  std::unique_ptr<Lab> lab(new Lab());
  Impl& m = *lab->impl_;
  m.options = options;
  for (int k = 0; k < options.contexts && options.draws.empty(); ++k) m.options.draws.push_back(k);
  m.source_model = TRY(Prepared::Of(source));
  m.pool = std::make_unique<SnapPool>(m.source_model);
  m.snapper = std::make_unique<LabSnapper>(*m.pool, options.limits);
  CollectLiterals(source, &m.literals);
  CollectLiterals(target, &m.literals);
  m.source_runs.resize(m.options.draws.size());
  m.source_done.resize(m.options.draws.size(), 0);
  m.source.model = m.source_model;
  // Says whether inputs can be made at all; the others follow when they are needed.
  TRY(m.Begin());
  return lab;
}

void Lab::Impl::RunSource(int k) {
  source_runs[k] = contexts[k]->Run(*source_model, {}, true);
  source_done[k] = 1;
}

Status Lab::Impl::Begin() {
  TRY(MakeContext(0));
  RunSource(0);
  if (!HasSymbols(source_model->model.graph)) return {};
  for (int64_t extent : kLongExtents) {
    if (source_runs[0].failed_node < 0) break;
    shortest = extent;
    contexts.clear();
    if (!MakeContext(0).ok()) break;  // the limits: said again where the context is needed
    RunSource(0);
  }
  return {};
}

namespace {
void Combine(std::vector<Signature>* all, const std::vector<Signature>& one, int k) {
  if (all->empty()) all->resize(one.size());
  for (size_t v = 0; v < one.size(); ++v) {
    Signature& a = (*all)[v];
    if (!one[v].defined()) {
      a = {};
      continue;
    }
    if (k > 0 && !a.defined()) continue;
    a.ordered = Mix(a.ordered ^ one[v].ordered) | 1;
    a.multiset = Mix(a.multiset ^ one[v].multiset);
    a.size = one[v].size;
  }
}
}  // namespace

Status Lab::Impl::RunContexts(const Prepared& target, const LabSnaps& snaps, bool remember, int begin, int end,
                              std::vector<ContextRun>* runs) {
  for (int k = static_cast<int>(contexts.size()); k < end; ++k) TRY(MakeContext(k));
  // Contexts are independent: one thread each; a single one leaves the threads to its kernels.
  ThreadScope threads(options.jobs);
  ParallelFor(end - begin, [&](int64_t i, int) {
    int k = begin + static_cast<int>(i);
    if (!source_done[k]) RunSource(k);
    if (source_runs[k].failed_node < 0) (*runs)[k] = contexts[k]->Run(target, snaps, remember);
    if (one_target) contexts[k]->DropElements();
  });
  for (int k = begin; k < end; ++k) {
    const ContextRun& run = source_runs[k];
    if (run.failed_node >= 0) return Error{run.code, "the source does not run in the field: " + run.failure, {}};
  }
  return {};
}

void Lab::Impl::ShowSource(int n) {
  for (int k = static_cast<int>(source_signature.size()); k < n; ++k) {
    source_signature.push_back(k == 0 ? std::vector<Signature>{} : source_signature[k - 1]);
    Combine(&source_signature[k], source_runs[k].signature, k);
  }
  int shown = static_cast<int>(source.values.size());
  if (shown == n) return;
  source.signature = source_signature[n - 1];
  source.values.resize(static_cast<size_t>(n));
  for (int k = shown; k < n; ++k) source.values[k] = source_runs[k].outline;
}

namespace {
// The first context alone, a few more, then all: most unequal pairs differ early. The same steps whatever the
// number of threads.
int NextStep(int done, int n) { return std::min(n, done == 0 ? 1 : done == 1 ? 4 : n); }
}  // namespace

Result<Trace> Lab::Run(const Model& target, int n, bool remember, const std::function<bool(const Trace&)>& enough) {
  Impl& m = *impl_;
  n = std::min(n, static_cast<int>(m.options.draws.size()));
  Trace t;
  t.model = TRY(Prepared::Of(target));
  LabSnaps snaps = m.snapper->Of(*t.model, &t.foreign);
  t.snapped = static_cast<int>(snaps.size());
  std::vector<ContextRun> runs(static_cast<size_t>(n));
  for (int done = 0; done < n;) {
    int end = enough ? NextStep(done, n) : n;
    TRY(m.RunContexts(*t.model, snaps, remember, done, end, &runs));
    for (int k = done; k < end; ++k) {
      Combine(&t.signature, runs[k].signature, k);
      t.values.push_back(std::move(runs[k].outline));
      if (runs[k].failed_node < 0 || t.failed_node >= 0) continue;
      t.failed_node = runs[k].failed_node;
      t.failure = runs[k].failure;
      t.failure_code = runs[k].code;
    }
    done = end;
    m.ShowSource(done);
    if (enough && done < n && enough(t)) break;
  }
  return t;
}

Result<int> Lab::FirstDifference(const Model& target) {
  Impl& m = *impl_;
  Trace a, b;
  a.model = m.source_model;
  b.model = TRY(Prepared::Of(target));
  LabSnaps snaps = m.snapper->Of(*b.model, &b.foreign);
  for (size_t k = 0; k < m.options.draws.size(); ++k) {
    if (k == m.contexts.size()) TRY(m.MakeContext(static_cast<int>(k)));
    ContextRun source = m.contexts[k]->Run(*a.model, {}, true);
    if (source.failed_node >= 0) continue;
    ContextRun run = m.contexts[k]->Run(*b.model, snaps, false);
    m.contexts[k]->DropElements();
    a.signature = std::move(source.signature);
    a.values = {std::move(source.outline)};
    b.signature = std::move(run.signature);
    b.values = {std::move(run.outline)};
    if (run.failed_node >= 0 || a.OutputKeys() != b.OutputKeys()) return m.options.draws[k];
  }
  return -1;
}

Result<bool> Lab::Prove(const Model& target, std::string* reason, int* snapped, Trace* last) {
  Impl& m = *impl_;
  auto first_unequal = [&](const Trace& t) {
    std::vector<uint64_t> a = m.source.OutputKeys(), b = t.OutputKeys();
    for (size_t i = 0; i < a.size(); ++i) {
      if (i >= b.size() || a[i] != b[i]) return static_cast<int>(i);
    }
    return -1;
  };
  m.one_target = true;
  Result<Trace> run = Run(target, static_cast<int>(m.options.draws.size()), false,
                          [&](const Trace& t) { return t.failed_node >= 0 || first_unequal(t) >= 0; });
  m.one_target = false;
  Trace t = TRY(std::move(run));
  if (snapped) *snapped = t.snapped;
  if (t.failed_node >= 0) {
    if (t.failure_code == Code::kUnsupported || t.failure_code == Code::kLimit)
      return Error{t.failure_code, t.failure, {}};
    *reason = "the target does not run: " + t.failure;
    return false;
  }
  int i = first_unequal(t);
  if (i < 0) {
    if (last) *last = std::move(t);
    return true;
  }
  const std::vector<int>& outputs = t.model->outputs;
  *reason = outputs.empty() ? "the target has no output"
                            : "output '" + t.model->names[outputs[std::min<size_t>(i, outputs.size() - 1)]] +
                                  "' differs in the field";
  return false;
}

}  // namespace assay
