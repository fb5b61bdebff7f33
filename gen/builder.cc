#include "gen/builder.h"

#include <cmath>

namespace assay {
namespace {

std::string Lower(const std::string& s) {
  std::string out = s;
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool AnyFloat(const std::vector<GenValue>& values, const std::vector<int>& ids) {
  for (int id : ids) {
    if (id >= 0 && IsFloat(values[id].dtype)) return true;
  }
  return false;
}

// Outputs of a perturbed run against the unperturbed ones: decisions equal, floats close.
bool Steady(const Tensor& a, const Tensor& b) {
  constexpr double kClose = 2e-3;
  if (!IsFloat(a.dtype())) return SameElements(a, b);
  if (a.shape() != b.shape()) return false;
  for (int64_t i = 0; i < a.size(); ++i) {
    double x = a.AsDouble(i), y = b.AsDouble(i);
    if (!(std::fabs(x - y) <= kClose * std::max(1.0, std::fabs(y)))) return false;
  }
  return true;
}

}  // namespace

int GraphBuilder::AddInput(Choices& choices, DType dtype, const Shape& shape) {
  GenValue v;
  v.kind = GenValue::Kind::kInput;
  v.name = "x" + std::to_string(values_.size());
  v.dtype = dtype;
  if (dtype == DType::kBool)
    v.range = {0, 1, false};
  else if (!IsFloat(dtype))
    v.range = {0, 3, false};
  for (Sample& s : v.samples) s = Sample::Of(DrawInput(choices, dtype, shape));
  values_.push_back(std::move(v));
  ++inputs_;
  return static_cast<int>(values_.size()) - 1;
}

int GraphBuilder::AddConstant(Tensor t) {
  GenValue v;
  v.kind = GenValue::Kind::kConstant;
  v.name = "w" + std::to_string(values_.size());
  v.dtype = t.dtype();
  v.varies = false;
  v.range = RangeOf(t);
  v.samples[0] = Sample::Of(std::move(t));
  for (int s = 1; s < kSamples; ++s) v.samples[s] = v.samples[0];
  values_.push_back(std::move(v));
  return static_cast<int>(values_.size()) - 1;
}

int GraphBuilder::AddNode(const OpSpec& spec, Node node, const std::vector<int>& inputs) {
  GenNode n;
  n.spec = &spec;
  n.inputs = inputs;
  node.op = spec.name;
  node.name = Lower(spec.name) + "_" + std::to_string(nodes_.size());
  node.inputs.clear();
  for (int id : inputs) node.inputs.push_back(id < 0 ? std::string() : values_[id].name);
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (!node.outputs[i].empty()) node.outputs[i] = "v" + std::to_string(values_.size() + i);
  }
  Outputs out;
  if (!Evaluate(spec, node, inputs, &out) || !Accept(spec, node, inputs, out)) return -1;
  for (int id : inputs) {
    if (id >= 0) ++values_[id].uses;
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    GenValue v;
    v.kind = GenValue::Kind::kNode;
    v.name = node.outputs[i];
    v.producer = static_cast<int>(nodes_.size());
    v.samples = std::move(out[i]);
    Describe(spec, node, inputs, static_cast<int>(i), &v);
    n.outputs.push_back(static_cast<int>(values_.size()));
    values_.push_back(std::move(v));
  }
  n.node = std::make_shared<Node>(std::move(node));
  nodes_.push_back(std::move(n));
  return nodes_.back().outputs[0];
}

void GraphBuilder::Describe(const OpSpec& spec, const Node& node, const std::vector<int>& inputs,
                            int output, GenValue* v) const {
  v->dtype = v->samples[0].native.dtype();
  v->exact = true;
  v->varies = false;
  std::vector<Range> ranges;
  for (int id : inputs) {
    ranges.push_back(id < 0 ? Range{} : values_[id].range);
    if (id < 0) continue;
    if (IsFloat(values_[id].dtype)) v->exact &= values_[id].exact;
    v->varies |= values_[id].varies;
  }
  if (spec.Has(kReadsShape)) v->varies = false;
  // Decisions (integers, bools) were checked to be steady; floats are exact only where nothing is
  // computed.
  v->exact = !IsFloat(v->dtype) || (v->exact && spec.accuracy == Accuracy::kExact);
  v->range = v->varies ? RangeOf(spec, node, ranges, output) : RangeOf(v->samples[0].native);
}

bool GraphBuilder::Evaluate(const OpSpec& spec, const Node& node, const std::vector<int>& inputs,
                            Outputs* out) const {
  const Limits limits = Limits::Small();
  out->resize(node.outputs.size());
  std::vector<const Tensor*> native(inputs.size()), wide(inputs.size());
  bool floats = AnyFloat(values_, inputs), varies = false;
  for (int id : inputs) varies |= id >= 0 && values_[id].varies;
  for (int s = 0; s < kSamples; ++s) {
    if (s > 0 && !varies) {
      for (auto& o : *out) o[s] = o[0];
      continue;
    }
    for (size_t i = 0; i < inputs.size(); ++i) {
      native[i] = inputs[i] < 0 ? nullptr : &values_[inputs[i]].samples[s].native;
      wide[i] = inputs[i] < 0 ? nullptr : &values_[inputs[i]].samples[s].wide;
    }
    Result<std::vector<Tensor>> a = EvalNode(spec, node, native, Store::kNative, limits, opset_);
    if (!a.ok()) return false;
    for (const Tensor& t : *a) floats |= IsFloat(t.dtype());
    Result<std::vector<Tensor>> b =
        floats ? EvalNode(spec, node, wide, Store::kDouble, limits, opset_) : a;
    if (!b.ok()) return false;
    for (size_t i = 0; i < out->size(); ++i) {
      if (node.outputs[i].empty()) continue;
      (*out)[i][s] = {std::move((*a)[i]), std::move((*b)[i])};
    }
  }
  return true;
}

bool GraphBuilder::AcceptOutput(const OpSpec& spec, const std::array<Sample, kSamples>& out,
                                bool varies) const {
  bool constant = true;
  double largest = 0;
  for (const Sample& s : out) {
    if (s.native.size() == 0 || s.native.shape() != out[0].native.shape() || !Agrees(s))
      return false;
    Stats stats = Measure(s.native);
    if (!stats.finite || std::fabs(stats.lo) > limits_.max_abs ||
        std::fabs(stats.hi) > limits_.max_abs)
      return false;
    constant &= stats.constant && s.native.size() > 1;
    largest = std::max({largest, std::fabs(stats.lo), std::fabs(stats.hi)});
  }
  if (!varies || spec.Has(kReadsShape)) return true;
  if (constant || (IsFloat(out[0].native.dtype()) && largest < limits_.min_abs)) return false;
  return !SameElements(out[0].native, out[1].native);
}

bool GraphBuilder::Accept(const OpSpec& spec, const Node& node, const std::vector<int>& inputs,
                          const Outputs& out) const {
  bool varies = false;
  for (int id : inputs) varies |= id >= 0 && values_[id].varies;
  for (size_t i = 0; i < out.size(); ++i) {
    // Secondary outputs (indices, masks) may be what they like, as long as they are
    // well-conditioned.
    if (!node.outputs[i].empty() && !AcceptOutput(spec, out[i], varies && i == 0)) return false;
  }
  return Stable(spec, node, inputs, out);
}

bool GraphBuilder::Stable(const OpSpec& spec, const Node& node, const std::vector<int>& inputs,
                          const Outputs& out) const {
  if (!limits_.perturb) return true;
  bool floats = false, inexact = false, decides = spec.Has(kDiscontinuous);
  for (int id : inputs) {
    bool computed = id >= 0 && IsFloat(values_[id].dtype) && values_[id].varies;
    floats |= computed;
    inexact |= computed && !values_[id].exact;
  }
  for (size_t i = 0; i < out.size(); ++i)
    decides |= !node.outputs[i].empty() && !IsFloat(out[i][0].native.dtype());
  // Decisions on what is only known up to rounding are looked at from both sides on all samples.
  if (inexact && decides) {
    for (int s = 0; s < kSamples; ++s) {
      if (!Steadfast(spec, node, inputs, out, s, false, false) ||
          !Steadfast(spec, node, inputs, out, s, true, false)) {
        return false;
      }
    }
    return true;
  }
  // A division by a variance of nearly 0 is ill-conditioned even where float and double happen to
  // agree.
  if (!floats || decides || spec.accuracy == Accuracy::kExact) return true;
  return Steadfast(spec, node, inputs, out, 0, false, true);
}

bool GraphBuilder::Steadfast(const OpSpec& spec, const Node& node, const std::vector<int>& inputs,
                             const Outputs& out, int sample, bool flip, bool move_exact) const {
  std::vector<Tensor> moved(inputs.size());
  std::vector<const Tensor*> args(inputs.size(), nullptr);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i] < 0) continue;
    const GenValue& v = values_[inputs[i]];
    bool move = v.varies && (move_exact || !v.exact);
    moved[i] = move ? Perturbed(v.samples[sample].wide, i, flip) : v.samples[sample].wide;
    args[i] = &moved[i];
  }
  Result<std::vector<Tensor>> r =
      EvalNode(spec, node, args, Store::kDouble, Limits::Small(), opset_);
  if (!r.ok()) return false;
  for (size_t i = 0; i < out.size(); ++i) {
    if (!node.outputs[i].empty() && !Steady((*r)[i], out[i][sample].wide)) return false;
  }
  return true;
}

void GraphBuilder::Rollback(Mark mark) {
  while (nodes_.size() > mark.nodes) {
    for (int id : nodes_.back().inputs) {
      if (id >= 0) --values_[id].uses;
    }
    nodes_.pop_back();
  }
  while (values_.size() > mark.values) {
    inputs_ -= values_.back().kind == GenValue::Kind::kInput;
    values_.pop_back();
  }
}

}  // namespace assay
