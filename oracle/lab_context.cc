#include "oracle/lab_context.h"

#include <algorithm>

#include "interp/choices.h"
#include "oracle/constant_nodes.h"

namespace assay {
namespace {

constexpr int64_t kKeptConstant = 1 << 12;  // elements; larger constants are embedded anew when needed

Signature Sign(const Tensor& t) {
  // A cast keeps the residues; the element type keeps the two apart.
  uint64_t type = Mix(static_cast<uint64_t>(t.dtype()));
  Signature s{type ^ static_cast<uint64_t>(t.size()), type, t.size()};
  auto add = [&](uint64_t x) {
    s.ordered = (s.ordered ^ x) * 0x9fb21c651e98df25ULL;
    s.ordered ^= s.ordered >> 29;
    uint64_t y = (x + 0x9e3779b97f4a7c15ULL) * 0xbf58476d1ce4e5b9ULL;
    s.multiset += (y ^ (y >> 31)) * 0x94d049bb133111ebULL;
  };
  if (t.dtype() == DType::kString) {
    for (const std::string& x : t.strings()) add(std::hash<std::string>{}(x));
  } else if (IsList(t.dtype())) {
    for (const Tensor& item : t.items()) add(MixSeeds(Sign(item).ordered, ShapeHash(item)));
  } else if (t.store() == Store::kField) {
    for (const Fp& x : t.span<Fp>()) add(static_cast<uint64_t>(x.r));
  } else if (IsFloat(t.dtype()) || t.element_bytes() > 8) {
    s.ordered = s.multiset = t.ContentHash();
  } else {
    // Integers and bools apart from residues, so that a count never equals a field value by chance.
    for (int64_t i = 0; i < t.size(); ++i)
      add(0xf00d000000000000ULL ^ static_cast<uint64_t>(t.AsInt(i)));
  }
  s.ordered |= 1;
  return s;
}

}  // namespace

uint64_t ShapeHash(const Tensor& t) {
  uint64_t h = Mix(static_cast<uint64_t>(t.dtype()) + 77);
  for (int64_t d : t.shape()) h = Mix(h ^ static_cast<uint64_t>(d));
  return h;
}

LabContext::LabContext(std::unique_ptr<FieldContext> field, std::vector<Tensor> inputs,
                       const SnapPool& pool, const LabOptions& options)
    : field_(std::move(field)),
      inputs_(std::move(inputs)),
      pool_(pool),
      options_(options),
      cache_(pool.NewCache()) {
  for (const Tensor& t : inputs_) input_signature_.push_back(Sign(t));
}

void LabContext::Keep(Seen* seen, const std::vector<Tensor>& outputs) {
  held_ -= seen->bytes;
  seen->element = outputs;
  seen->bytes = 0;
  for (const Tensor& t : outputs) seen->bytes += t.bytes();
  held_ += seen->bytes;
  seen->used = ++clock_;
  if (held_ > options_.memo_bytes) Shrink();
}

// Drops what was asked for longest ago, down to three quarters of the budget.
void LabContext::Shrink() {
  std::vector<Seen*> by_age;
  for (auto& [key, seen] : memo_) {
    if (seen.bytes > 0) by_age.push_back(&seen);
  }
  std::sort(by_age.begin(), by_age.end(), [](const Seen* a, const Seen* b) { return a->used < b->used; });
  for (Seen* seen : by_age) {
    if (held_ <= options_.memo_bytes / 4 * 3) break;
    held_ -= seen->bytes;
    seen->bytes = 0;
    seen->element.clear();
  }
}

void LabContext::Forget(uint64_t key) {
  auto seen = memo_.find(key);
  if (seen == memo_.end()) return;
  held_ -= seen->second.bytes;
  memo_.erase(seen);
}

void LabContext::DropElements() {
  for (auto& [key, seen] : memo_) {
    seen.bytes = 0;
    seen.element.clear();
  }
  held_ = 0;
}

// One model running in one context.
//
// A value has elements, or its node is `deferred`: its result is known from before, its elements are not held.
// `holds` counts who may still ask for the elements of a value: nodes that have not had their turn, and deferred
// nodes that would compute from it.
class LabRun {
 public:
  LabRun(LabContext& context, const Prepared& model, const LabSnaps& snaps, bool remember)
      : c_(context),
        m_(model),
        snaps_(snaps),
        remember_(remember),
        constants_(model, Store::kNative, context.options_.limits) {}

  ContextRun Run();

 private:
  void Begin();
  void Turn(int n);
  // Key of what a node computes: equal for equal operators on equal operands.
  uint64_t KeyOf(const PreparedNode& pn) const;
  uint64_t ConstantKey(int v) const;
  Result<Tensor> Load(int v);
  Result<std::vector<Tensor>> Evaluate(const PreparedNode& pn);
  void Decide(const PreparedNode& pn, std::vector<Tensor>* outputs);
  // Computes the elements of what deferred nodes make, so that node n can run.
  Status Supply(int n);
  // Runs node n, its deferred operands before it.
  Result<std::vector<Tensor>> Make(int n);
  void TakeOutputs(int n, const std::vector<Tensor>& outputs);
  void TakeFold(int v, const SnapPool::Match& match);
  void Release(int v);
  void ReleaseInputs(int n);
  void Fail(int n, const Error& e);
  bool Missing(int v) const { return v >= 0 && m_.initializer[v] < 0 && !element_[v].defined(); }

  LabContext& c_;
  const Prepared& m_;
  const LabSnaps& snaps_;
  const bool remember_;
  ConstantNodes constants_;
  ContextRun run_;
  std::vector<Tensor> element_;
  std::vector<uint64_t> key_;       // of each value
  std::vector<uint64_t> node_key_;  // of each node that had its turn and ran
  std::vector<int> holds_;
  std::vector<char> deferred_;
  std::vector<uint64_t> fresh_;     // keys to forget after this run
  std::vector<int> dropped_;        // work list of Release
  int64_t live_ = 0;
};

uint64_t LabRun::ConstantKey(int v) const {
  // Constants are known by content, so that equal ones are equal without being embedded.
  auto it = snaps_.find(v);
  return it == snaps_.end() ? m_.content[v] : Mix(m_.content[v] ^ it->second.key) | 1;
}

uint64_t LabRun::KeyOf(const PreparedNode& pn) const {
  uint64_t key = pn.hash;
  for (int i : pn.inputs) key = Mix(key ^ (i < 0 ? 1 : key_[i]));
  return key;
}

Result<Tensor> LabRun::Load(int v) {
  auto kept = c_.constants_.find(key_[v]);
  if (kept != c_.constants_.end()) return kept->second;
  auto it = snaps_.find(v);
  const Tensor& t = m_.Initial(v);
  Tensor field = it == snaps_.end() ? t.To(Store::kField) : TRY(c_.pool_.FieldValue(it->second, t, *c_.cache_));
  if (field.size() <= kKeptConstant) c_.constants_.emplace(key_[v], field);
  return field;
}

void LabRun::Begin() {
  size_t values = m_.names.size();
  run_.signature.resize(values);
  run_.outline.resize(values);
  element_.resize(values);
  key_.resize(values, 0);
  holds_.resize(values, 0);
  node_key_.resize(m_.nodes.size(), 0);
  deferred_.resize(m_.nodes.size(), 0);
  for (const PreparedNode& pn : m_.nodes) {
    for (int i : pn.inputs) {
      if (i >= 0) ++holds_[i];
    }
  }
  for (size_t v = 0; v < values; ++v) {
    if (m_.initializer[v] >= 0) key_[v] = ConstantKey(static_cast<int>(v));
  }
  for (size_t i = 0; i < m_.inputs.size() && i < c_.inputs_.size(); ++i) {
    int v = m_.inputs[i];
    element_[v] = c_.inputs_[i];
    run_.outline[v] = c_.inputs_[i].Outline();
    run_.signature[v] = c_.input_signature_[i];
    key_[v] = Mix(run_.signature[v].ordered ^ ShapeHash(run_.outline[v]));
    ++holds_[v];  // inputs stay
  }
  for (const auto& [v, match] : snaps_) ++holds_[v];  // until TakeFold has read it
}

void LabRun::Release(int v) {
  dropped_.push_back(v);
  while (!dropped_.empty()) {
    v = dropped_.back();
    dropped_.pop_back();
    if (v < 0 || m_.initializer[v] >= 0 || --holds_[v] > 0) continue;
    live_ -= element_[v].bytes();
    element_[v] = Tensor();
    int n = m_.producer[v];
    if (n < 0 || !deferred_[n]) continue;
    const std::vector<int>& out = m_.nodes[n].outputs;
    if (std::any_of(out.begin(), out.end(), [&](int o) { return o >= 0 && holds_[o] > 0; })) continue;
    deferred_[n] = 0;
    dropped_.insert(dropped_.end(), m_.nodes[n].inputs.begin(), m_.nodes[n].inputs.end());
  }
}

void LabRun::ReleaseInputs(int n) {
  for (int i : m_.nodes[n].inputs) Release(i);
}

Result<std::vector<Tensor>> LabRun::Evaluate(const PreparedNode& pn) {
  std::vector<Tensor> held;
  held.reserve(pn.inputs.size());
  std::vector<const Tensor*> args;
  args.reserve(pn.inputs.size());
  uint32_t constants = 0;
  for (size_t k = 0; k < pn.inputs.size() && k < 32; ++k) {
    if (pn.inputs[k] >= 0 && m_.constant[pn.inputs[k]]) constants |= 1u << k;
  }
  for (int i : pn.inputs) {
    if (i < 0) {
      args.push_back(nullptr);
    } else if (m_.initializer[i] >= 0) {
      held.push_back(TRY(Load(i)));
      args.push_back(&held.back());
    } else {
      args.push_back(&element_[i]);
    }
  }
  std::vector<Tensor> out = TRY(EvalNode(*pn.row, *pn.node, args, Store::kField, c_.options_.limits,
                                         m_.model.Opset(pn.node->domain), constants));
  bool reads_reals = std::any_of(args.begin(), args.end(),
                                 [](const Tensor* t) { return t && IsFloat(t->dtype()); });
  if (pn.constant && reads_reals && !pn.row->Has(kReadsShape)) Decide(pn, &out);
  int64_t bytes = live_;
  for (const Tensor& t : out) bytes += t.bytes();
  if (bytes > c_.options_.limits.bytes) return LimitHit("live tensors exceed the byte limit", NodeLabel(*pn.node));
  return out;
}

// Integers are what they are in every domain, and where constants alone decide them, a run says
// what they are. The order of residues, or a hash of them, knows nothing of the number that a
// converter has folded.
void LabRun::Decide(const PreparedNode& pn, std::vector<Tensor>* outputs) {
  std::vector<Tensor> decided;
  for (size_t o = 0; o < outputs->size(); ++o) {
    const Tensor& t = (*outputs)[o];
    int v = o < pn.outputs.size() ? pn.outputs[o] : -1;
    if (v < 0 || !t.defined()) {
      decided.push_back(t);
      continue;
    }
    const Tensor* value = IsFloat(t.dtype()) || IsList(t.dtype()) ? nullptr : constants_.Value(v);
    if (!value) return;
    decided.push_back(*value);
  }
  *outputs = std::move(decided);
}

void LabRun::TakeOutputs(int n, const std::vector<Tensor>& outputs) {
  const std::vector<int>& o = m_.nodes[n].outputs;
  for (size_t i = 0; i < o.size() && i < outputs.size(); ++i) {
    if (o[i] < 0 || holds_[o[i]] == 0 || element_[o[i]].defined()) continue;
    element_[o[i]] = outputs[i];
    live_ += outputs[i].bytes();
  }
}

Status LabRun::Supply(int n) {
  std::vector<int> work{n};
  while (!work.empty()) {
    int at = work.back();
    const PreparedNode& pn = m_.nodes[at];
    auto missing = std::find_if(pn.inputs.begin(), pn.inputs.end(), [&](int i) { return Missing(i); });
    if (missing != pn.inputs.end()) {
      work.push_back(m_.producer[*missing]);
      continue;
    }
    work.pop_back();
    for (int i : pn.inputs) {
      int maker = i >= 0 ? m_.producer[i] : -1;
      auto seen = maker >= 0 ? c_.memo_.find(node_key_[maker]) : c_.memo_.end();
      if (seen != c_.memo_.end()) seen->second.used = ++c_.clock_;
    }
    if (at == n) continue;
    std::vector<Tensor> out = TRY(Evaluate(pn));
    TakeOutputs(at, out);
    deferred_[at] = 0;
    // For the next proposal that starts near here.
    auto seen = c_.memo_.find(node_key_[at]);
    if (seen != c_.memo_.end()) c_.Keep(&seen->second, out);
    ReleaseInputs(at);
  }
  return {};
}

Result<std::vector<Tensor>> LabRun::Make(int n) {
  TRY(Supply(n));
  return Evaluate(m_.nodes[n]);
}

void LabRun::TakeFold(int v, const SnapPool::Match& match) {
  int n = m_.producer[v];
  if (deferred_[n]) {
    Result<std::vector<Tensor>> made = Make(n);
    if (!made.ok()) return;
    TakeOutputs(n, *made);
    deferred_[n] = 0;
    ReleaseInputs(n);
  }
  Result<Tensor> t = c_.pool_.FieldValue(match, element_[v], *c_.cache_);
  if (!t.ok()) return;
  element_[v] = *t;
  run_.outline[v] = t->Outline();
  run_.signature[v] = Sign(*t);
}

void LabRun::Fail(int n, const Error& e) {
  ReleaseInputs(n);
  if (run_.failed_node >= 0) return;
  run_.failure = e.ToString();
  run_.code = e.code;
  run_.failed_node = n;
}

void LabRun::Turn(int n) {
  const PreparedNode& pn = m_.nodes[n];
  // Behind a node that fails the rest goes on as far as it can.
  if (std::any_of(pn.inputs.begin(), pn.inputs.end(),
                  [&](int i) { return i >= 0 && m_.initializer[i] < 0 && !run_.outline[i].defined(); }))
    return ReleaseInputs(n);
  node_key_[n] = KeyOf(pn);
  auto seen = c_.memo_.find(node_key_[n]);
  if (seen == c_.memo_.end()) {
    Result<std::vector<Tensor>> out = Make(n);
    if (!out.ok()) return Fail(n, out.error());
    LabContext::Seen s;
    for (const Tensor& t : *out) {
      s.signature.push_back(t.defined() ? Sign(t) : Signature{});
      s.outline.push_back(t.Outline());
    }
    TakeOutputs(n, *out);
    seen = c_.memo_.emplace(node_key_[n], std::move(s)).first;
    if (remember_) c_.Keep(&seen->second, *out);
    else fresh_.push_back(node_key_[n]);
    ReleaseInputs(n);
  } else if (!seen->second.element.empty()) {
    TakeOutputs(n, seen->second.element);
    ReleaseInputs(n);
  } else {
    deferred_[n] = std::any_of(pn.outputs.begin(), pn.outputs.end(), [&](int o) { return o >= 0 && holds_[o] > 0; });
    if (!deferred_[n]) ReleaseInputs(n);
  }
  const LabContext::Seen& known = c_.memo_.find(node_key_[n])->second;
  for (size_t o = 0; o < pn.outputs.size() && o < known.outline.size(); ++o) {
    int v = pn.outputs[o];
    if (v < 0) continue;
    run_.outline[v] = known.outline[o];
    run_.signature[v] = known.signature[o];
    if (auto it = pn.constant ? snaps_.find(v) : snaps_.end(); it != snaps_.end()) {
      TakeFold(v, it->second);
      Release(v);
    }
    key_[v] = Mix(run_.signature[v].ordered ^ ShapeHash(run_.outline[v]));
  }
}

ContextRun LabRun::Run() {
  FieldScope scope(c_.field_.get());
  Begin();
  for (size_t n = 0; n < m_.nodes.size(); ++n) Turn(static_cast<int>(n));
  for (int o : m_.outputs) {
    if (m_.initializer[o] < 0) continue;
    Result<Tensor> t = Load(o);
    if (t.ok()) run_.outline[o] = t->Outline(), run_.signature[o] = Sign(*t);
  }
  for (uint64_t key : fresh_) c_.Forget(key);
  return std::move(run_);
}

ContextRun LabContext::Run(const Prepared& model, const LabSnaps& snaps, bool remember) {
  return LabRun(*this, model, snaps, remember).Run();
}

}  // namespace assay
