#include "oracle/snap.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_set>

#include "interp/exec.h"
#include "interp/kernels.h"

namespace assay {
namespace {

constexpr int kFormsPerValue = 6;
constexpr double kFoldResidual = 2.1;    // in u, after dividing out a channel's factor
constexpr double kComputedBound = 16;    // in u, for constants folded through any other operators

double HalfUlp(DType t) {
  switch (t) {
    case DType::kFloat16: return 0x1p-11;
    case DType::kBfloat16: return 0x1p-8;
    case DType::kFloat: return 0x1p-24;
    default: return 0x1p-51;  // double: the reference itself is only double
  }
}

// y = S*x + T over a base value, reached by `node` from `parent` (or from the contraction itself).
struct Form {
  enum Kind { kIdentity, kContraction, kExtend } kind = kIdentity;
  int node = -1;         // kContraction: the contraction; kExtend: the node that extends the parent
  int parent = -1;
  int constant_input = 1;  // kExtend of Add/Sub/Mul/Div: which input is the constant
  int contraction = -1;  // node of the contraction at the base, -1: identity
  int pre = -1;          // contraction: identity form of pure scale that feeds it
  int folds = 0;         // how many nodes the form has merged
};
struct FormValue {
  Tensor s, t, magnitude;  // broadcast to the value's shape; magnitude of what T sums
};

Tensor Scalar(double v, Store store) {
  Tensor t = Tensor::Make(DType::kDouble, {}, store).value();
  t.Set(0, v);
  return t;
}

// Element-wise arithmetic of small constant tensors in a store, by the rows themselves.
Result<Tensor> Arithmetic(const char* op, const Tensor& a, const Tensor& b, Store store) {
  const OpSpec* row = FindOp("", op, 14);
  CHECK(row != nullptr);
  static const Node node = [] {
    Node n;
    n.inputs = {"a", "b"};
    n.outputs = {"y"};
    return n;
  }();
  auto as_double = [](const Tensor& t) { return t.dtype() == DType::kDouble ? t : t.WithDType(DType::kDouble); };
  std::vector<Tensor> out = TRY(EvalNode(*row, node, {&a, &b}, store, Limits{}, 14));
  return as_double(out[0]);
}

// All floating-point constants are handled as double (or field) whatever their type.
Tensor InStore(const Tensor& t, Store store) {
  if (t.store() == Store::kField) return t.WithDType(DType::kDouble);
  Tensor d = Tensor::Make(DType::kDouble, t.shape(), store, Limits{.elements = INT64_MAX, .bytes = INT64_MAX}).value();
  for (int64_t i = 0; i < t.size(); ++i) d.Set(i, t.AsDouble(i));
  return d;
}

Tensor Abs(const Tensor& t) {
  Tensor a = t.Clone();
  for (int64_t i = 0; i < a.size(); ++i) a.Set(i, std::fabs(a.AsDouble(i)));
  return a;
}

}  // namespace

int64_t WeightView::Offset(int64_t out, int64_t in) const {
  if (!transposed_conv) return out * stride_n + in * stride_k;
  int64_t group = out / per_group, m = out % per_group, c = in / spatial, x = in % spatial;
  return ((group * channels_per_group + c) * per_group + m) * spatial + x;
}
int64_t WeightView::InputChannel(int64_t out, int64_t in) const {
  int64_t group = groups > 0 ? out / std::max<int64_t>(1, n / groups) : 0;
  return group * channels_per_group + in / spatial;
}

std::optional<WeightView> ViewWeights(const Node& node, const Shape& w) {
  WeightView v;
  int64_t total = ElementCount(w);
  if (total <= 0) return std::nullopt;
  if (node.op == "Conv" && w.size() >= 3) {
    v.n = w[0], v.k = total / w[0], v.stride_n = v.k, v.stride_k = 1;
    v.channels_per_group = w[1], v.spatial = v.k / std::max<int64_t>(1, w[1]);
    v.groups = std::max<int64_t>(1, node.Int("group", 1));
    return v;
  }
  if (node.op == "ConvTranspose" && w.size() >= 3) {
    v.transposed_conv = true;
    v.groups = std::max<int64_t>(1, node.Int("group", 1));
    if (w[0] % v.groups != 0) return std::nullopt;
    v.per_group = w[1], v.channels_per_group = w[0] / v.groups;
    v.spatial = total / (w[0] * w[1]);
    v.n = w[1] * v.groups, v.k = v.channels_per_group * v.spatial;
    return v;
  }
  if ((node.op == "Gemm" || node.op == "MatMul") && w.size() == 2) {
    bool transposed = node.op == "Gemm" && node.Int("transB", 0) != 0;
    v.n = transposed ? w[0] : w[1], v.k = transposed ? w[1] : w[0];
    v.stride_n = transposed ? v.k : 1, v.stride_k = transposed ? 1 : v.n;
    v.channels_per_group = v.k;
    return v;
  }
  return std::nullopt;
}

struct SnapPool::Impl {
  std::shared_ptr<const Prepared> source;
  std::vector<Form> forms;
  std::vector<FormValue> real;                  // of forms, in double
  std::vector<int> computed;                    // constant values that some node computes
  std::unordered_map<int, Tensor> constants;    // computed constant values in double, small inputs of forms too
  std::unordered_set<uint64_t> contents;

  // Entries: forms first (S, T and weights of form f are 3f, 3f+1, 3f+2), then computed constants.
  int EntryOfComputed(size_t i) const { return static_cast<int>(forms.size()) * 3 + static_cast<int>(i); }

  Result<Tensor> ConstantIn(int value, Store store, std::unordered_map<int, Tensor>* memo) const;
  Result<FormValue> EvalForm(size_t f, Store store, const std::vector<FormValue>& earlier,
                             std::unordered_map<int, Tensor>* memo) const;
  void Collect();
  bool WeightsMatch(const Form& f, const FormValue& fv, const Tensor& c, const WeightView& view, double* worst) const;
};

struct SnapPool::Cache {
  std::unordered_map<int, Tensor> constants;
  std::unordered_map<int, FormValue> forms;
};

// A constant value of the source in a store; computed ones by executing their nodes. Iterative in effect:
// nodes are evaluated in topological order.
Result<Tensor> SnapPool::Impl::ConstantIn(int value, Store store, std::unordered_map<int, Tensor>* memo) const {
  auto it = memo->find(value);
  if (it != memo->end()) return it->second;
  const Prepared& s = *source;
  if (s.initializer[value] >= 0) {
    Tensor t = s.Initial(value).To(store);
    memo->emplace(value, t);
    return t;
  }
  // Needed nodes, by walking back.
  std::set<int> needed;
  std::vector<int> work{value};
  while (!work.empty()) {
    int v = work.back();
    work.pop_back();
    if (s.producer[v] < 0 || memo->count(v) || !needed.insert(s.producer[v]).second) continue;
    for (int i : s.nodes[s.producer[v]].inputs) {
      if (i >= 0) work.push_back(i);
    }
  }
  for (int n : needed) {
    const PreparedNode& node = s.nodes[n];
    std::vector<Tensor> held;
    std::vector<const Tensor*> args;
    held.reserve(node.inputs.size());
    for (int i : node.inputs) {
      if (i < 0) {
        args.push_back(nullptr);
        continue;
      }
      auto known = memo->find(i);
      held.push_back(known != memo->end() ? known->second : s.Initial(i).To(store));
      args.push_back(&held.back());
    }
    std::vector<Tensor> out = TRY(EvalNode(*node.row, *node.node, args, store, Limits{}, s.model.Opset(node.node->domain)));
    for (size_t o = 0; o < out.size(); ++o) {
      if (node.outputs[o] >= 0) memo->emplace(node.outputs[o], out[o]);
    }
  }
  it = memo->find(value);
  if (it == memo->end()) return Invalid("a constant has no value");
  return it->second;
}

Result<FormValue> SnapPool::Impl::EvalForm(size_t f, Store store, const std::vector<FormValue>& earlier,
                                           std::unordered_map<int, Tensor>* memo) const {
  const Form& form = forms[f];
  const Tensor one = Scalar(1, store), zero = Scalar(0, store);
  if (form.kind == Form::kIdentity) return FormValue{one, zero, zero};
  const PreparedNode& pn = source->nodes[form.node];
  const Node& node = *pn.node;
  auto constant = [&](int input) -> Result<Tensor> {
    Tensor t = TRY(ConstantIn(pn.inputs[input], store, memo));
    return InStore(t, store);
  };
  auto magnitude_of = [&](const Tensor& t) { return store == Store::kDouble ? Abs(t) : t; };
  auto channels = [](const Tensor& t) { return t.Reshaped({t.size()}); };
  if (form.kind == Form::kContraction) {
    FormValue v{one, zero, zero};
    bool gemm = node.op == "Gemm";
    if (gemm) v.s = Scalar(node.Float("alpha", 1), store);
    if (node.HasInput(2)) {
      v.t = TRY(constant(2));
      if (gemm) v.t = TRY(Arithmetic("Mul", v.t, Scalar(node.Float("beta", 1), store), store));
      v.magnitude = magnitude_of(v.t);
    }
    // Channel vectors are kept flat; constants further down the chain are flattened alike.
    return v;
  }
  const FormValue& p = earlier[form.parent];
  if (node.op == "BatchNormalization") {
    Tensor scale = TRY(constant(1)), bias = TRY(constant(2)), mean = TRY(constant(3)), var = TRY(constant(4));
    const OpSpec* sqrt_row = FindOp("", "Sqrt", 13);
    Tensor shifted = TRY(Arithmetic("Add", var, Scalar(node.Float("epsilon", 1e-5f), store), store));
    Node sqrt_node;
    sqrt_node.inputs = {"x"};
    sqrt_node.outputs = {"y"};
    std::vector<Tensor> root = TRY(EvalNode(*sqrt_row, sqrt_node, {&shifted}, store, Limits{}, 14));
    Tensor a = TRY(Arithmetic("Div", scale, root[0], store));
    Tensor shift = TRY(Arithmetic("Mul", mean, a, store));
    FormValue v;
    v.s = TRY(Arithmetic("Mul", p.s, a, store));
    Tensor scaled = TRY(Arithmetic("Mul", p.t, a, store));
    Tensor sum = TRY(Arithmetic("Sub", scaled, shift, store));
    v.t = TRY(Arithmetic("Add", sum, bias, store));
    if (store == Store::kDouble) {
      Tensor m = TRY(Arithmetic("Mul", p.magnitude, Abs(a), store));
      m = TRY(Arithmetic("Add", m, Abs(shift), store));
      v.magnitude = TRY(Arithmetic("Add", m, Abs(bias), store));
    } else {
      v.magnitude = v.t;
    }
    return v;
  }
  Tensor c = TRY(constant(form.constant_input));
  // A constant with one axis beyond 1 acts a channel: flat, so that [1,C,1,1], [C,1,1] and [C] go together.
  int64_t widest = 1;
  for (int64_t d : c.shape()) widest = std::max(widest, d);
  if (widest == c.size()) c = c.size() == 1 ? c.Reshaped({}) : channels(c);
  FormValue v = p;
  if (node.op == "Add") {
    v.t = TRY(Arithmetic("Add", p.t, c, store));
    v.magnitude = store == Store::kDouble ? TRY(Arithmetic("Add", p.magnitude, Abs(c), store)) : v.t;
  } else if (node.op == "Sub") {
    bool from_constant = form.constant_input == 0;
    v.t = from_constant ? TRY(Arithmetic("Sub", c, p.t, store)) : TRY(Arithmetic("Sub", p.t, c, store));
    if (from_constant) v.s = TRY(Arithmetic("Sub", zero, p.s, store));
    v.magnitude = store == Store::kDouble ? TRY(Arithmetic("Add", p.magnitude, Abs(c), store)) : v.t;
  } else {  // Mul, Div
    v.s = TRY(Arithmetic(node.op.c_str(), p.s, c, store));
    v.t = TRY(Arithmetic(node.op.c_str(), p.t, c, store));
    v.magnitude = store == Store::kDouble ? TRY(Arithmetic(node.op.c_str(), p.magnitude, Abs(c), store)) : v.t;
  }
  return v;
}

void SnapPool::Impl::Collect() {
  const Prepared& s = *source;
  for (uint64_t c : s.content) {
    if (c) contents.insert(c);
  }
  std::vector<std::vector<int>> of_value(s.names.size());
  auto extend = [&](const PreparedNode& pn, int node, int data_input, int constant_input) {
    std::vector<int> parents = of_value[pn.inputs[data_input]];
    Form identity;
    forms.push_back(identity);
    parents.push_back(static_cast<int>(forms.size()) - 1);
    std::vector<int>& mine = of_value[pn.outputs[0]];
    for (int p : parents) {
      if (mine.size() >= kFormsPerValue) break;
      Form f;
      f.kind = Form::kExtend;
      f.node = node;
      f.parent = p;
      f.constant_input = constant_input;
      f.contraction = forms[p].contraction;
      f.pre = forms[p].pre;
      f.folds = forms[p].folds + (pn.node->op == "BatchNormalization" ? 4 : 1);
      forms.push_back(f);
      mine.push_back(static_cast<int>(forms.size()) - 1);
    }
  };
  for (size_t n = 0; n < s.nodes.size(); ++n) {
    const PreparedNode& pn = s.nodes[n];
    const std::string& op = pn.node->op;
    if (!pn.node->domain.empty() || pn.outputs.empty() || pn.outputs[0] < 0) continue;
    if (pn.constant) {
      if (op != "Constant") {
        for (int o : pn.outputs) {
          if (o >= 0) computed.push_back(o);
        }
      }
      continue;
    }
    auto is_constant = [&](size_t i) { return i < pn.inputs.size() && pn.inputs[i] >= 0 && s.constant[pn.inputs[i]]; };
    auto absent = [&](size_t i) { return i >= pn.inputs.size() || pn.inputs[i] < 0; };
    if ((op == "Conv" || op == "ConvTranspose" || op == "Gemm" || op == "MatMul") && is_constant(1) && !is_constant(0) &&
        (absent(2) || is_constant(2))) {
      std::vector<int> pres{-1};
      for (int f : of_value[pn.inputs[0]]) {
        if (forms[f].contraction < 0) pres.push_back(f);
      }
      for (int pre : pres) {
        Form f;
        f.kind = Form::kContraction;
        f.node = f.contraction = static_cast<int>(n);
        f.pre = pre;
        f.folds = (op == "Gemm" ? 1 : 0) + (pre >= 0 ? forms[pre].folds : 0);
        forms.push_back(f);
        of_value[pn.outputs[0]].push_back(static_cast<int>(forms.size()) - 1);
      }
    } else if (op == "BatchNormalization" && is_constant(1) && is_constant(2) && is_constant(3) && is_constant(4)) {
      extend(pn, static_cast<int>(n), 0, 1);
    } else if (op == "Add" || op == "Mul" || op == "Sub" || op == "Div") {
      bool first = is_constant(0), second = is_constant(1);
      if (second && !first) extend(pn, static_cast<int>(n), 0, 1);
      else if (first && !second && op != "Div") extend(pn, static_cast<int>(n), 1, 0);
    } else if (op == "Identity" || (op == "Dropout" && pn.inputs.size() == 1)) {
      of_value[pn.outputs[0]] = of_value[pn.inputs[0]];
    }
  }
  real.resize(forms.size());
  for (size_t f = 0; f < forms.size(); ++f) {
    // A parent that could not be evaluated (shapes that do not broadcast flat) leaves its children out.
    if (forms[f].parent >= 0 && !real[forms[f].parent].s.defined()) continue;
    Result<FormValue> v = EvalForm(f, Store::kDouble, real, &constants);
    if (v.ok()) real[f] = std::move(*v);
  }
}

SnapPool::SnapPool(std::shared_ptr<const Prepared> source) : impl_(std::make_unique<Impl>()) {
  impl_->source = std::move(source);
  impl_->Collect();
}
SnapPool::~SnapPool() = default;

bool SnapPool::IsSourceConstant(uint64_t content) const { return impl_->contents.count(content) > 0; }
std::shared_ptr<SnapPool::Cache> SnapPool::NewCache() const { return std::make_shared<Cache>(); }

namespace {
// Element i of a flat per-channel (or scalar) tensor; false when it is neither.
bool PerChannel(const Tensor& t, int64_t channels) { return t.size() == 1 || t.size() == channels; }
double At(const Tensor& t, int64_t i) { return t.AsDouble(t.size() == 1 ? 0 : i); }
}  // namespace

// W' against S[n] * W[n,k] * pre[c(k)], by columns.
bool SnapPool::Impl::WeightsMatch(const Form& f, const FormValue& fv, const Tensor& c, const WeightView& view,
                                  double* worst) const {
  const PreparedNode& pn = source->nodes[f.contraction];
  int w_value = pn.inputs[1];
  if (source->initializer[w_value] < 0) return false;
  const Tensor& w = source->Initial(w_value);
  std::optional<WeightView> sv = ViewWeights(*pn.node, w.shape());
  if (!sv || sv->n != view.n || sv->k != view.k || !PerChannel(fv.s, view.n)) return false;
  const Tensor* pre = f.pre >= 0 ? &real[f.pre].s : nullptr;
  if (f.pre >= 0 && (!pre->defined() || !PerChannel(*pre, sv->channels_per_group * sv->groups))) return false;
  double u = HalfUlp(c.dtype()), count = 3 + f.folds;
  std::vector<double> ratio;
  *worst = 0;
  for (int64_t n = 0; n < view.n; ++n) {
    double s = At(fv.s, n);
    ratio.clear();
    for (int64_t k = 0; k < view.k; ++k) {
      double want = w.AsDouble(sv->Offset(n, k)) * s;
      if (pre) want *= At(*pre, sv->InputChannel(n, k));
      double got = c.AsDouble(view.Offset(n, k));
      if (want == 0 || std::fabs(want) < 1e-36) {
        if (std::fabs(got) > 1e-36) return false;
        continue;
      }
      double r = got / want;
      if (!(std::fabs(r - 1) <= count * 2 * u)) return false;
      ratio.push_back(r);
    }
    if (ratio.empty()) continue;
    std::vector<double> sorted = ratio;
    std::nth_element(sorted.begin(), sorted.begin() + sorted.size() / 2, sorted.end());
    double median = sorted[sorted.size() / 2];
    double residual = (pre ? count : kFoldResidual) * u;
    for (double r : ratio) {
      double off = std::fabs(r / median - 1);
      if (ratio.size() >= 4 && off > residual) return false;
      *worst = std::max(*worst, std::fabs(r - 1) / u);
    }
  }
  return true;
}

SnapPool::Match SnapPool::Find(const Tensor& c, const Node* reader, int input) const {
  Match best;
  if (!IsFloat(c.dtype()) || c.size() == 0) return best;
  double u = HalfUlp(c.dtype()), best_worst = 1e300;
  auto consider = [&](int entry, double worst, bool weights, const WeightView& view) {
    if (worst < best_worst) best_worst = worst, best = Match{entry, view, weights};
  };
  auto close = [&](const Tensor& want, const Tensor& magnitude, double count, double* worst) {
    if (!want.defined() || want.size() != c.size()) return false;
    *worst = 0;
    for (int64_t i = 0; i < c.size(); ++i) {
      double bound = u * count * std::max(std::fabs(want.AsDouble(i)), std::fabs(At(magnitude, i)));
      double off = std::fabs(c.AsDouble(i) - want.AsDouble(i));
      if (!(off <= bound) && off != 0) return false;
      if (bound > 0) *worst = std::max(*worst, off / bound);
    }
    return true;
  };
  std::optional<WeightView> view;
  if (reader && input == 1) view = ViewWeights(*reader, c.shape());
  for (size_t f = 0; f < impl_->forms.size(); ++f) {
    const Form& form = impl_->forms[f];
    const FormValue& fv = impl_->real[f];
    if (!fv.s.defined() || form.folds == 0) continue;
    double worst, count = 2.0 * (2 + form.folds);
    if (view && form.contraction >= 0 && impl_->WeightsMatch(form, fv, c, *view, &worst)) {
      consider(static_cast<int>(f) * 3 + 2, worst, true, *view);
    }
    if (close(fv.s, fv.s, count, &worst)) consider(static_cast<int>(f) * 3, worst, false, {});
    if (fv.magnitude.size() <= c.size() && close(fv.t, fv.magnitude, count, &worst)) {
      consider(static_cast<int>(f) * 3 + 1, worst, false, {});
    }
  }
  for (size_t i = 0; i < impl_->computed.size(); ++i) {
    Result<Tensor> v = impl_->ConstantIn(impl_->computed[i], Store::kDouble, &impl_->constants);
    if (!v.ok() || !IsFloat(v->dtype()) || v->size() != c.size()) continue;
    double worst;
    Tensor d = v->store() == Store::kDouble || v->dtype() == DType::kDouble ? *v : v->To(Store::kDouble);
    if (close(d, d, kComputedBound, &worst)) consider(impl_->EntryOfComputed(i), worst, false, {});
  }
  return best;
}

Result<Tensor> SnapPool::FieldValue(const Match& match, const Tensor& like, Cache& cache) const {
  return ValueIn(Store::kField, match, like, cache);
}

Result<Tensor> SnapPool::Rounded(const Match& match, const Tensor& like) const {
  Cache cache;
  Tensor real = TRY(ValueIn(Store::kDouble, match, like, cache));
  return real.To(Store::kNative);
}

std::vector<SnapPool::Match> SnapPool::Candidates(const Tensor& c, const Node* reader, int input, size_t most) const {
  std::vector<std::pair<double, Match>> ranked;  // by distance relative to magnitude
  if (!IsFloat(c.dtype()) || c.size() == 0) return {};
  double norm = 0;
  for (int64_t i = 0; i < c.size(); ++i) norm += std::fabs(c.AsDouble(i));
  auto consider = [&](const Match& m) {
    Result<Tensor> v = Rounded(m, c);
    if (!v.ok()) return;
    double distance = 0;
    for (int64_t i = 0; i < c.size(); ++i) distance += std::fabs(v->AsDouble(i) - c.AsDouble(i));
    ranked.push_back({distance / (norm + 1e-300), m});
  };
  std::optional<WeightView> view;
  if (reader && input == 1) view = ViewWeights(*reader, c.shape());
  for (size_t f = 0; f < impl_->forms.size(); ++f) {
    const Form& form = impl_->forms[f];
    const FormValue& fv = impl_->real[f];
    if (!fv.s.defined() || form.folds == 0) continue;
    int entry = static_cast<int>(f) * 3;
    if (view && form.contraction >= 0) {
      const PreparedNode& pn = impl_->source->nodes[form.contraction];
      if (impl_->source->initializer[pn.inputs[1]] < 0) continue;
      std::optional<WeightView> sv = ViewWeights(*pn.node, impl_->source->Initial(pn.inputs[1]).shape());
      if (sv && sv->n == view->n && sv->k == view->k && PerChannel(fv.s, view->n)) consider({entry + 2, *view, true});
    } else if (!view) {
      if (fv.s.size() == c.size()) consider({entry, {}, false});
      if (fv.t.size() == c.size()) consider({entry + 1, {}, false});
    }
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Match> out;
  for (size_t i = 0; i < ranked.size() && i < most; ++i) out.push_back(ranked[i].second);
  return out;
}

Result<Tensor> SnapPool::ValueIn(Store store, const Match& match, const Tensor& like, Cache& cache) const {
  const Impl& m = *impl_;
  constexpr Limits kNone{.elements = INT64_MAX, .bytes = INT64_MAX};
  // Forms are kept as double (or field) values; the result is held in `store` under the type of `like`.
  auto typed = [&](const Tensor& t) -> Result<Tensor> {
    if (store == Store::kField) return t.WithDType(like.dtype()).Reshaped(like.shape());
    Tensor out = TRY(Tensor::Make(like.dtype(), like.shape(), Store::kDouble, kNone));
    for (int64_t i = 0; i < out.size(); ++i) out.Set(i, t.AsDouble(i));
    return out;
  };
  int form_entries = static_cast<int>(m.forms.size()) * 3;
  if (match.entry >= form_entries) {
    Tensor t = TRY(m.ConstantIn(m.computed[match.entry - form_entries], store, &cache.constants));
    return typed(t);
  }
  // The form and its ancestors, oldest first.
  auto eval = [&](int f) -> Result<FormValue> {
    std::vector<int> chain;
    for (int x = f; x >= 0 && !cache.forms.count(x); x = m.forms[x].parent) chain.push_back(x);
    std::vector<FormValue> earlier;
    for (auto it = chain.rbegin(); it != chain.rend(); ++it) {
      int parent = m.forms[*it].parent;
      earlier.assign(static_cast<size_t>(std::max(parent, 0)) + 1, FormValue{});
      if (parent >= 0) earlier[parent] = cache.forms.at(parent);
      FormValue v = TRY(m.EvalForm(static_cast<size_t>(*it), store, earlier, &cache.constants));
      cache.forms.emplace(*it, std::move(v));
    }
    return cache.forms.at(f);
  };
  int f = match.entry / 3;
  FormValue v = TRY(eval(f));
  if (match.entry % 3 == 0) return typed(v.s);
  if (match.entry % 3 == 1) return typed(v.t);
  const Form& form = m.forms[f];
  const PreparedNode& pn = m.source->nodes[form.contraction];
  const Tensor& w = m.source->Initial(pn.inputs[1]);
  WeightView sv = *ViewWeights(*pn.node, w.shape());
  Tensor pre;
  if (form.pre >= 0) pre = TRY(eval(form.pre)).s;
  Tensor out = TRY(Tensor::Make(like.dtype(), like.shape(), store, kNone));
  auto fill = [&](auto zero) {
    using T = decltype(zero);
    T* y = out.mutable_data<T>();
    const T* s = v.s.data<T>();
    for (int64_t n = 0; n < sv.n; ++n) {
      T sn = s[v.s.size() == 1 ? 0 : n];
      for (int64_t k = 0; k < sv.k; ++k) {
        T x = T(w.AsDouble(sv.Offset(n, k))) * sn;
        if (pre.defined()) x *= pre.data<T>()[pre.size() == 1 ? 0 : sv.InputChannel(n, k)];
        y[match.view.Offset(n, k)] = x;
      }
    }
  };
  if (store == Store::kField) fill(Fp{});
  else fill(double{});
  return out;
}

}  // namespace assay
