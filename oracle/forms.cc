#include "oracle/forms.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "interp/exec.h"
#include "interp/kernels.h"

namespace assay {
namespace {

constexpr size_t kFormsPerValue = 6;
constexpr size_t kMostForms = 20000;
constexpr int64_t kChannels = 1 << 20;  // longer constants act on elements, not on channels
constexpr int kMostSteps = 3;
// Roundings of gamma / sqrt(var + epsilon), by a reciprocal square root where that is worse.
constexpr double kNormalizationError = 3.5;

// f(a, b) by channel, one of them perhaps the same for all; empty when the sizes do not go
// together.
template <class T, class F>
std::vector<T> Zip(const std::vector<T>& a, const std::vector<T>& b, F&& f) {
  if (a.empty() || b.empty() || (a.size() != b.size() && a.size() != 1 && b.size() != 1)) return {};
  std::vector<T> y(std::max(a.size(), b.size()));
  for (size_t i = 0; i < y.size(); ++i)
    y[i] = f(a[a.size() == 1 ? 0 : i], b[b.size() == 1 ? 0 : i]);
  return y;
}
template <class T>
std::vector<T> Plus(const std::vector<T>& a, const std::vector<T>& b) {
  return Zip(a, b, [](T x, T y) { return x + y; });
}
template <class T>
std::vector<T> Minus(const std::vector<T>& a, const std::vector<T>& b) {
  return Zip(a, b, [](T x, T y) { return x - y; });
}
template <class T>
std::vector<T> Times(const std::vector<T>& a, const std::vector<T>& b) {
  return Zip(a, b, [](T x, T y) { return x * y; });
}
template <class T>
std::vector<T> Over(const std::vector<T>& a, const std::vector<T>& b) {
  return Zip(a, b, [](T x, T y) { return x / y; });
}
std::vector<double> Absolute(std::vector<double> v) {
  for (double& x : v) x = std::fabs(x);
  return v;
}
bool All(const std::vector<double>& v, double value) {
  return std::all_of(v.begin(), v.end(), [&](double x) { return x == value; });
}

// Value of element i: exact in double, or the residue that a field tensor holds, or the embedded
// number.
template <class T>
T Element(const Tensor& t, int64_t i) {
  if constexpr (kIsFp<T>)
    return t.store() == Store::kField ? t.data<Fp>()[i] : Fp(t.AsDouble(i));
  else
    return t.AsDouble(i);
}

bool IsLayout(const std::string& op) {
  static const std::set<std::string> kOps = {"Identity",  "Dropout", "Reshape",  "Flatten",
                                             "Transpose", "Squeeze", "Unsqueeze"};
  return kOps.count(op) > 0;
}

}  // namespace

Forms::Forms(std::shared_ptr<const Prepared> source) : source_(std::move(source)) { Collect(); }

Result<Tensor> Forms::Evaluate(int value, Store store, std::unordered_map<int, Tensor>* memo,
                               Noise* noise) const {
  const Prepared& s = *source_;
  auto known = memo->find(value);
  if (known != memo->end()) return known->second;
  if (s.initializer[value] >= 0) {
    if (store != Store::kField) return s.Initial(value);
    return memo->emplace(value, s.Initial(value).To(store)).first->second;
  }
  std::set<int> needed;  // nodes, in topological order
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
      auto it = memo->find(i);
      held.push_back(it != memo->end() ? it->second : s.Initial(i).To(store));
      args.push_back(&held.back());
    }
    std::vector<Tensor> out = TRY(
        EvalNode(*node.row, *node.node, args, store, Limits{}, s.model.Opset(node.node->domain)));
    for (size_t o = 0; o < out.size(); ++o) {
      if (noise && IsFloat(out[o].dtype()) && !node.row->Has(kMovesData)) {
        out[o] = IsWindow(*node.row)
                     ? Shifted(out[o], kNoise * MetricUnit(DType::kFloat), *noise)
                     : Perturbed(out[o], kNoise * MetricUnit(out[o].dtype()), *noise);
      }
      if (node.outputs[o] >= 0) memo->emplace(node.outputs[o], out[o]);
    }
  }
  auto made = memo->find(value);
  if (made == memo->end()) return Invalid("a constant has no value");
  return made->second;
}

Tensor Forms::Real(int value) const {
  if (source_->initializer[value] >= 0) return source_->Initial(value);
  auto it = real_.find(value);
  return it == real_.end() ? Tensor() : it->second;
}

std::vector<double> Forms::Spread(int value) const {
  constexpr uint64_t kRuns = 4;
  Tensor real = Real(value);
  std::vector<double> spread(static_cast<size_t>(real.size()));
  for (uint64_t run = 0; run < kRuns; ++run) {
    Noise noise(run);
    std::unordered_map<int, Tensor> memo;
    Result<Tensor> t = Evaluate(value, Store::kDouble, &memo, &noise);
    if (!t.ok() || t->size() != real.size()) return {};
    for (int64_t i = 0; i < real.size(); ++i)
      spread[i] = std::max(spread[i], std::fabs(t->AsDouble(i) - real.AsDouble(i)));
  }
  return spread;
}

int Forms::Depth(int value) const {
  int depth = 0;
  std::set<int> seen;
  std::vector<int> work{value};
  while (!work.empty()) {
    int n = source_->producer[work.back()];
    work.pop_back();
    if (n < 0 || !seen.insert(n).second) continue;
    const PreparedNode& node = source_->nodes[n];
    depth += !node.row->Has(kMovesData) && node.node->op != "Constant" &&
             node.node->op != "ConstantOfShape";
    for (int i : node.inputs) {
      if (i >= 0) work.push_back(i);
    }
  }
  return depth;
}

Forms::Weights Forms::WeightsOf(const Form& form) const {
  const PreparedNode& pn = source_->nodes[form.contraction];
  Weights w;
  w.values = Real(pn.inputs[form.weight_input]);
  if (!w.defined() || !IsFloat(w.values.dtype())) return {};
  std::optional<WeightView> view = ViewWeights(*pn.node, form.weight_input, w.values.shape());
  if (!view) return {};
  w.view = *view;
  return w;
}

int64_t Forms::PreIndex(const Form& form, const WeightView& view, size_t size, int64_t n,
                        int64_t k) {
  int64_t c = view.InputChannel(n, k), channels = static_cast<int64_t>(size);
  if (channels == view.input_channels()) return c;
  return form.pre_repeats ? c / (view.input_channels() / channels) : c % channels;
}

// A constant as one number a channel, so that [1,C,1,1], [C,1,1] and [C] go together.
template <class T>
std::vector<T> Forms::Channels(const Tensor& t) const {
  if (!t.defined() || !IsFloat(t.dtype()) || t.size() == 0 || t.size() > kChannels) return {};
  std::vector<T> v(static_cast<size_t>(t.size()));
  for (int64_t i = 0; i < t.size(); ++i) v[i] = Element<T>(t, i);
  return v;
}

template <class T, class Get>
Affine<T> Forms::Step(const Form& form, const Affine<T>& parent, const Affine<T>& pre,
                      Get&& constant) const {
  const Node& node = *source_->nodes[form.node].node;
  const std::vector<T> one{T(1)}, zero{T(0)};
  if (form.parent < 0 && form.contraction == form.node) {
    bool gemm = node.op == "Gemm";
    T alpha = gemm ? T(static_cast<double>(node.Float("alpha", 1))) : T(1);
    Affine<T> y{{alpha}, zero};
    if (pre.defined()) {
      Weights w = WeightsOf(form);
      y.t.assign(static_cast<size_t>(w.view.n), T(0));
      for (int64_t n = 0; n < w.view.n; ++n) {
        for (int64_t k = 0; k < w.view.k; ++k) {
          T shift = pre.t[pre.t.size() == 1 ? 0 : PreIndex(form, w.view, pre.t.size(), n, k)];
          y.t[n] += Element<T>(w.values, w.view.Offset(n, k)) * shift;
        }
        y.t[n] *= alpha;
      }
    }
    if (node.op != "Gather" && node.HasInput(2)) {
      std::vector<T> bias = constant(2);
      if (gemm) bias = Times(bias, {T(static_cast<double>(node.Float("beta", 1)))});
      y.t = Plus(y.t, bias);
    }
    return y.t.empty() ? Affine<T>{} : y;
  }
  if (node.op == "BatchNormalization") {
    T epsilon = T(static_cast<double>(node.Float("epsilon", 1e-5f)));
    std::vector<T> root = constant(4);
    for (T& v : root) v = ScalarSqrt(v + epsilon);
    std::vector<T> a = Over(constant(1), root);
    return {Times(parent.s, a), Plus(Times(Minus(parent.t, constant(3)), a), constant(2))};
  }
  if (node.op == "Neg") return {Minus(zero, parent.s), Minus(zero, parent.t)};
  if (form.parent < 0)
    return {constant(1), node.HasInput(2) ? constant(2) : zero};  // a normalization's own scale
  std::vector<T> c = constant(form.constant_input);
  if (node.op == "Add") return {parent.s, Plus(parent.t, c)};
  if (node.op == "Sub" && form.constant_input == 1) return {parent.s, Minus(parent.t, c)};
  if (node.op == "Sub") return {Minus(zero, parent.s), Minus(c, parent.t)};
  if (node.op == "Mul") return {Times(parent.s, c), Times(parent.t, c)};
  return {Over(parent.s, c), Over(parent.t, c)};
}

// Magnitude and counted errors of a form whose `real` is known.
void Forms::Measure(Form* form) const {
  const Node& node = *source_->nodes[form->node].node;
  const PreparedNode& pn = source_->nodes[form->node];
  Form none;
  none.real = {{1}, {0}};
  none.magnitude = {0};
  const Form& p = form->parent >= 0 ? forms_[form->parent] : none;
  auto constant = [&](int i) { return Absolute(Channels<double>(Real(pn.inputs[i]))); };
  const bool unscaled = All(p.real.s, 1), unshifted = All(p.real.t, 0);
  form->scale_error = p.scale_error;
  form->shift_error = p.shift_error;
  form->steps = p.steps;
  form->magnitude = p.magnitude;
  if (form->parent < 0 && form->contraction == form->node) {
    form->magnitude = Absolute(form->real.t);
    bool alpha = node.op == "Gemm" && node.Float("alpha", 1) != 1;
    form->steps = alpha;
    form->shift_error = node.op == "Gemm" && node.Float("beta", 1) != 1;
    int depth = Depth(pn.inputs[form->weight_input]);
    if (depth > 0)
      form->steps += std::min(depth, 2), form->scale_error = 2 + 2 * std::min(depth, 2);
    if (form->pre >= 0) {
      const Form& pre = forms_[form->pre];
      Weights w = WeightsOf(*form);
      form->steps += std::max(1, std::min(pre.steps, 2));
      double k = static_cast<double>(w.view.k);
      form->shift_error +=
          pre.shift_error + pre.scale_error + 2 + std::min(k, 4 + 2 * std::sqrt(k));
      std::vector<double> sum(static_cast<size_t>(w.view.n), 0);
      for (int64_t n = 0; n < w.view.n; ++n) {
        for (int64_t i = 0; i < w.view.k; ++i) {
          double m = pre.magnitude[pre.magnitude.size() == 1
                                       ? 0
                                       : PreIndex(*form, w.view, pre.magnitude.size(), n, i)];
          sum[n] += std::fabs(w.values.AsDouble(w.view.Offset(n, i))) * m;
        }
      }
      form->magnitude = Plus(form->magnitude, sum);
    }
  } else if (node.op == "BatchNormalization") {
    std::vector<double> root = Channels<double>(Real(pn.inputs[4]));
    for (double& v : root) v = std::sqrt(v + node.Float("epsilon", 1e-5f));
    std::vector<double> a = Over(constant(1), root);
    form->magnitude = Plus(Times(Plus(p.magnitude, constant(3)), a), constant(2));
    form->scale_error += kNormalizationError + !unscaled;
    form->shift_error += kNormalizationError + 3;
    form->steps += 2;  // by gamma, and by the root
  } else if (node.op == "Neg") {
  } else if (form->parent < 0) {
    form->magnitude = Absolute(form->real.t);
    form->steps = 1;
  } else if (node.op == "Add" || node.op == "Sub") {
    form->magnitude = Plus(p.magnitude, constant(form->constant_input));
    form->shift_error += !unshifted;
  } else {
    bool divides = node.op == "Div";
    std::vector<double> c = constant(form->constant_input);
    form->magnitude = divides ? Over(p.magnitude, c) : Times(p.magnitude, c);
    form->scale_error += divides + !unscaled;
    form->shift_error += unshifted ? 0 : 1 + divides;
    form->steps += 1;
  }
  form->steps = std::min(form->steps, kMostSteps);
}

int Forms::Add(Form form) {
  if (forms_.size() >= kMostForms) return -1;
  if (form.node < 0) {
    form.real = {{1}, {0}};
    form.magnitude = {0};
  } else {
    static const Affine<double> kNone;
    form.real = Step<double>(form, form.parent >= 0 ? forms_[form.parent].real : kNone,
                             form.pre >= 0 ? forms_[form.pre].real : kNone, [&](int i) {
                               return Channels<double>(Real(source_->nodes[form.node].inputs[i]));
                             });
    // Sizes that do not go together: no form.
    if (form.real.s.empty() || form.real.t.empty()) return -1;
    Measure(&form);
    if (form.magnitude.empty()) return -1;
  }
  forms_.push_back(std::move(form));
  return static_cast<int>(forms_.size()) - 1;
}

void Forms::Extend(int node, int data_input, int constant_input) {
  const PreparedNode& pn = source_->nodes[node];
  std::vector<int> parents = of_value_[pn.inputs[data_input]];
  parents.push_back(0);  // every tensor may start a chain
  for (int p : parents) {
    if (of_value_[pn.outputs[0]].size() >= kFormsPerValue) break;
    Form f;
    f.node = node;
    f.parent = p;
    f.constant_input = constant_input;
    f.contraction = forms_[p].contraction;
    f.weight_input = forms_[p].weight_input;
    f.pre = forms_[p].pre;
    f.pre_repeats = forms_[p].pre_repeats;
    int made = Add(std::move(f));
    if (made >= 0) of_value_[pn.outputs[0]].push_back(made);
  }
}

void Forms::AddContraction(int node, int data_input, int weight_input) {
  const PreparedNode& pn = source_->nodes[node];
  Form f;
  f.node = f.contraction = node;
  f.weight_input = weight_input;
  Weights w = WeightsOf(f);
  if (!w.defined()) return;
  std::vector<int>& mine = of_value_[pn.outputs[0]];
  auto add = [&](const Form& form) {
    int made = Add(form);
    if (made >= 0) mine.push_back(made);
  };
  add(f);
  for (int p : std::vector<int>(of_value_[pn.inputs[data_input]])) {
    if (forms_[p].contraction >= 0 || mine.size() >= kFormsPerValue) continue;
    int64_t size = static_cast<int64_t>(std::max(forms_[p].real.s.size(), forms_[p].real.t.size()));
    if (w.view.input_channels() % size != 0) continue;
    f.pre = p;
    f.pre_repeats = false;
    add(f);
    if (size == 1 || size == w.view.input_channels()) continue;
    f.pre_repeats = true;
    add(f);
  }
}

void Forms::Visit(int node) {
  const Prepared& s = *source_;
  const PreparedNode& pn = s.nodes[node];
  const std::string& op = pn.node->op;
  auto constant = [&](size_t i) {
    return i < pn.inputs.size() && pn.inputs[i] >= 0 && s.constant[pn.inputs[i]];
  };
  auto absent = [&](size_t i) { return i >= pn.inputs.size() || pn.inputs[i] < 0; };
  if (op == "Conv" || op == "ConvTranspose" || op == "Gemm" || op == "MatMul") {
    if (!absent(2) && !constant(2)) return;
    if (constant(1))
      AddContraction(node, 0, 1);
    else if (constant(0) && op != "Conv" && op != "ConvTranspose")
      AddContraction(node, 1, 0);
  } else if (op == "Gather") {
    if (constant(0) && !constant(1)) AddContraction(node, 1, 0);
  } else if (op == "BatchNormalization") {
    if (!constant(1) || !constant(2) || !constant(3) || !constant(4)) return;
    normalizations_.push_back(node);
    Extend(node, 0, 1);
  } else if (op == "LayerNormalization" || op == "InstanceNormalization" ||
             op == "GroupNormalization") {
    if (!constant(1) || (!absent(2) && !constant(2))) return;
    Form f;
    f.node = node;
    int made = Add(std::move(f));
    if (made >= 0) of_value_[pn.outputs[0]].push_back(made);
  } else if (op == "Add" || op == "Mul" || op == "Sub" || op == "Div") {
    if (constant(1))
      Extend(node, 0, 1);
    else if (constant(0) && op != "Div")
      Extend(node, 1, 0);
  } else if (op == "Neg") {
    Extend(node, 0, 0);
  } else if (IsLayout(op)) {
    of_value_[pn.outputs[0]] = of_value_[pn.inputs[0]];
  }
}

void Forms::Collect() {
  const Prepared& s = *source_;
  of_value_.resize(s.names.size());
  CHECK(Add(Form{}) == 0);
  // Constants that nodes compute, where something else reads them.
  std::vector<char> read(s.names.size(), 0);
  for (const PreparedNode& pn : s.nodes) {
    if (pn.constant) continue;
    for (int i : pn.inputs) {
      if (i >= 0 && s.constant[i] && s.initializer[i] < 0) read[i] = 1;
    }
  }
  for (int o : s.outputs) {
    if (s.constant[o] && s.initializer[o] < 0) read[o] = 1;
  }
  std::unordered_map<int, Tensor> exact, rounded;
  for (size_t v = 0; v < s.names.size(); ++v) {
    if (!read[v]) continue;
    // What was only moved needs no wider type.
    bool moved = Depth(static_cast<int>(v)) == 0;
    Result<Tensor> t = Evaluate(static_cast<int>(v), moved ? Store::kNative : Store::kDouble,
                                moved ? &rounded : &exact);
    if (!t.ok()) continue;
    real_.emplace(static_cast<int>(v), *t);
    if (IsFloat(t->dtype())) computed_.push_back(static_cast<int>(v));
  }
  for (size_t n = 0; n < s.nodes.size(); ++n) {
    const PreparedNode& pn = s.nodes[n];
    if (pn.constant || !pn.node->domain.empty() || pn.outputs.empty() || pn.outputs[0] < 0)
      continue;
    Visit(static_cast<int>(n));
  }
}

Result<Tensor> Forms::Constant(int value, FieldMemo& memo) const {
  return Evaluate(value, Store::kField, &memo.constants);
}

Result<Affine<Fp>> Forms::InField(int form, FieldMemo& memo) const {
  std::set<int> needed;
  std::vector<int> work{form};
  while (!work.empty()) {
    int f = work.back();
    work.pop_back();
    if (f < 0 || memo.forms.count(f) || !needed.insert(f).second) continue;
    work.push_back(forms_[f].parent);
    // A contraction's weights take `pre` in; what extends it does not look at it again.
    if (forms_[f].node == forms_[f].contraction) work.push_back(forms_[f].pre);
  }
  for (int f : needed) {
    const Form& x = forms_[f];
    Affine<Fp> y{{Fp(1)}, {Fp(0)}};
    if (x.node >= 0) {
      Status failed;
      static const Affine<Fp> kNone;
      y = Step<Fp>(x, x.parent >= 0 ? memo.forms.at(x.parent) : kNone,
                   x.pre >= 0 && x.node == x.contraction ? memo.forms.at(x.pre) : kNone,
                   [&](int i) -> std::vector<Fp> {
                     Result<Tensor> t = Constant(source_->nodes[x.node].inputs[i], memo);
                     if (!t.ok()) {
                       failed = t.error();
                       return {};
                     }
                     return Channels<Fp>(*t);
                   });
      if (!failed.ok()) return failed.error();
      if (!y.defined()) return Invalid("a folded constant has no value in the field");
    }
    memo.forms.emplace(f, std::move(y));
  }
  return memo.forms.at(form);
}

}  // namespace assay
