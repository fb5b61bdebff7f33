#include "gen/builder.h"

#include <algorithm>
#include <cmath>

#include "gen/capability.h"

namespace assay {
namespace {

std::string Lower(const std::string& s) {
  std::string out = s;
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace

int GraphBuilder::Append(GenValue v) {
  int id = static_cast<int>(values_.size());
  if (v.kind == GenValue::Kind::kInput) input_ids_.push_back(id);
  if (v.varies && !IsList(v.dtype)) live_.push_back(id);
  values_.push_back(std::move(v));
  return id;
}

int GraphBuilder::AddInput(Choices& choices, DType dtype, const Shape& shape) {
  GenValue v;
  v.kind = GenValue::Kind::kInput;
  v.name = "x" + std::to_string(values_.size());
  v.dtype = dtype;
  if (dtype == DType::kBool)
    v.range = {0, 1, false};
  else if (!IsFloat(dtype))
    v.range = {0, 3, false};
  for (int s = 0; s < kSamples; ++s) {
    v.samples[s] = Sample::Of(DrawInput(choices, dtype, shape));
    if (s > 0) v.samples[s].native = Tensor();
  }
  Stats stats = Measure(v.samples[0].native);
  v.largest = std::max(std::fabs(stats.lo), std::fabs(stats.hi));
  return Append(std::move(v));
}

int GraphBuilder::AddConstant(Tensor t) {
  GenValue v;
  v.kind = GenValue::Kind::kConstant;
  v.name = "w" + std::to_string(values_.size());
  v.dtype = t.dtype();
  v.varies = false;
  v.range = RangeOf(t);
  v.samples[0] = Sample::Of(std::move(t));
  for (int s = 1; s < kSamples; ++s) v.samples[s].wide = v.samples[0].wide;
  return Append(std::move(v));
}

void GraphBuilder::NoteRead(int id, int node) {
  GenValue& v = values_[id];
  v.first_reader = v.uses == 0 ? node : std::min(v.first_reader, node);
  ++v.uses;
}

bool GraphBuilder::AddCaptures(const Node& node, std::vector<int>* inputs) const {
  std::vector<std::string> operands = OperandsOf(node);
  for (size_t i = node.inputs.size(); i < operands.size(); ++i) {
    size_t id = values_.size();
    while (id > 0 && values_[id - 1].name != operands[i]) --id;
    if (id == 0) return false;
    inputs->push_back(static_cast<int>(id) - 1);
  }
  return true;
}

int GraphBuilder::AddNode(const OpSpec& spec, Node node, const std::vector<int>& given,
                          const Leniency& allow, const std::vector<TypeInfo>* types) {
  GenNode n;
  n.spec = &spec;
  n.inputs = given;
  n.allow = allow;
  node.op = spec.name;
  node.inputs.clear();
  node.inputs.reserve(given.size());
  for (int id : given) node.inputs.push_back(id < 0 ? std::string() : values_[id].name);
  if (spec.Has(kRunsGraphs) && !AddCaptures(node, &n.inputs)) return -1;
  const std::vector<int>& inputs = n.inputs;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (!node.outputs[i].empty()) node.outputs[i] = "v" + std::to_string(values_.size() + i);
  }
  Trial trial(values_, spec, node, inputs, opset_, limits_, allow);
  if (types && !spec.Has(kRunsGraphs)) trial.KnowTypes(*types);
  if (!trial.Run()) return -1;
  DType first = inputs.empty() || inputs[0] < 0 ? DType::kUndefined : values_[inputs[0]].dtype;
  if (capability_ && !capability_->Supports(node, first, trial.output(0)[0].native.dtype()))
    return -1;
  int index = static_cast<int>(nodes_.size());
  node.name = Lower(spec.name) + "_" + std::to_string(index);
  for (int id : inputs) {
    if (id >= 0) NoteRead(id, index);
  }
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    GenValue v;
    v.kind = GenValue::Kind::kNode;
    v.name = node.outputs[i];
    v.producer = index;
    v.samples = std::move(trial.output(i));
    v.largest = trial.largest();
    Describe(spec, node, inputs, static_cast<int>(i), &v);
    n.outputs.push_back(Append(std::move(v)));
  }
  n.values_read = trial.values_read();
  bool plain = !spec.Has(kRunsGraphs) && !IsList(values_.back().dtype);
  if (plain && nodes_.size() < kMostFollowed) n.types = trial.TakeTypes();
  n.node = std::make_shared<Node>(std::move(node));
  nodes_.push_back(std::move(n));
  return nodes_.back().outputs[0];
}

namespace {
bool AreWhole(const Tensor& t) {
  for (int64_t i = 0; i < t.size(); ++i) {
    double x = t.AsDouble(i);
    if (x != std::nearbyint(x)) return false;
  }
  return true;
}
}  // namespace

void GraphBuilder::Describe(const OpSpec& spec, const Node& node, const std::vector<int>& inputs,
                            int output, GenValue* v) const {
  v->dtype = v->samples[0].native.dtype();
  v->exact = true;
  v->varies = false;
  std::vector<Range> ranges;
  ranges.reserve(inputs.size());
  for (int id : inputs) {
    ranges.push_back(id < 0 ? Range{} : values_[id].range);
    if (id < 0) continue;
    if (IsFloat(values_[id].dtype)) v->exact &= values_[id].exact;
    v->varies |= values_[id].varies;
  }
  // An output without a name holds nothing.
  v->varies &=
      !spec.Has(kReadsShape) && v->dtype != DType::kUndefined && v->samples[0].native.size() > 0;
  if (IsList(v->dtype)) return;
  // Decisions (integers, bools, the whole numbers of Floor) were checked to be steady; other floats
  // are exact only where nothing is computed.
  v->exact = !IsFloat(v->dtype) || (v->exact && spec.accuracy == Accuracy::kExact) ||
             (spec.Has(kDiscontinuous) && AreWhole(v->samples[0].native));
  v->range = v->varies ? RangeOf(spec, node, ranges, output) : RangeOf(v->samples[0].native);
}

void GraphBuilder::Rollback(Mark mark) {
  while (nodes_.size() > mark.nodes) {
    for (int id : nodes_.back().inputs) {
      if (id >= 0) --values_[id].uses;
    }
    nodes_.pop_back();
  }
  int end = static_cast<int>(mark.values);
  while (!input_ids_.empty() && input_ids_.back() >= end) input_ids_.pop_back();
  while (!live_.empty() && live_.back() >= end) live_.pop_back();
  values_.resize(mark.values);
}

void GraphBuilder::RetireValue(int id) {
  GenValue& v = values_[id];
  v.retired_shape = v.samples[0].native.shape();
  v.retired = true;
  for (Sample& s : v.samples) s.wide = Tensor();
  // The model holds its constants, and test data its inputs and outputs.
  if (v.kind == GenValue::Kind::kNode && v.uses > 0 && !v.exposed) v.samples[0].native = Tensor();
}

void GraphBuilder::Retire(size_t most) {
  while (live_.size() > most) {
    // The older half is looked through for a value that was read.
    size_t at = 0;
    for (size_t i = 0; i < most / 2; ++i) {
      if (values_[live_[i]].uses == 0) continue;
      at = i;
      break;
    }
    RetireValue(live_[at]);
    live_.erase(live_.begin() + static_cast<ptrdiff_t>(at));
  }
  // Constants belong to the nodes beside them.
  constexpr int kSpan = 8;  // values for each live one
  int end = static_cast<int>(values_.size()) - kSpan * static_cast<int>(most);
  for (; oldest_constant_ < end; ++oldest_constant_) {
    if (!values_[oldest_constant_].varies) RetireValue(oldest_constant_);
  }
}

}  // namespace assay
