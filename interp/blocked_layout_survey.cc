// Which values of a model lie in the blocked layout, how many channels they have, and the block.
#include <algorithm>
#include <set>
#include <tuple>

#include "interp/blocked_layout_internal.h"
#include "interp/infer.h"

namespace assay {
namespace {

constexpr int64_t kUnknown = -1;

struct Convolution {
  NodePtr node;
  const Tensor* filter = nullptr;
  int64_t group = 1;
  bool blocked_input = false;
  int64_t outputs() const { return filter->dim(0); }
  int64_t inputs() const { return filter->dim(1); }  // of one group
  // ONNX Runtime writes products with a scalar as one of these; it fills channels that only pad
  // too.
  bool scales_channels() const { return depthwise() && filter->dim(2) * filter->dim(3) == 1; }
  bool depthwise() const { return inputs() == 1 && group == outputs() && blocked_input; }
};

class Survey {
 public:
  // `outer`: the initializers that a subgraph may read.
  Survey(const Model& model, const Graph& graph, std::map<std::string, const Tensor*> outer)
      : model_(model), graph_(graph) {
    s_->fixed = std::move(outer);
  }
  Result<std::unique_ptr<BlockedSurvey>> Run();

 private:
  Status Look();
  Status LookAtBodies(const Node& node);
  Status Settle(int64_t block);
  Status LookAtBlocked(const NodePtr& node);
  Status LookAtConvolution(const NodePtr& node);
  Status LookAtReader(const Node& node);
  bool LookAtReshape(const Node& node);
  bool Fits(int64_t block) const;
  bool Fits(const Convolution& c, int64_t block) const;
  bool PaddingIsZero(const Convolution& c, int64_t block) const;
  void CountUsed(const Convolution& c);

  // Groups, joined as ties are found.
  int Root(int g) const {
    auto parent = [&](int i) -> int& { return parent_[static_cast<size_t>(i)]; };
    while (parent(g) != g) g = parent(g) = parent(parent(g));
    return g;
  }
  BlockedGroup& Group(const std::string& value) {
    return s_->groups[static_cast<size_t>(Root(s_->blocked.at(value).group))];
  }
  const BlockedGroup& Group(const std::string& value) const {
    return s_->groups[static_cast<size_t>(Root(s_->blocked.at(value).group))];
  }
  BlockedGroup& Make(const std::string& value, bool split = false);
  Status Tie(const std::string& a, const std::string& b);

  bool Blocked(const std::string& value) const { return s_->blocked.count(value) > 0; }
  const Tensor* Fixed(const std::string& value) const {
    auto it = s_->fixed.find(value);
    return it == s_->fixed.end() ? nullptr : it->second;
  }

  const Model& model_;  // knows the operator sets
  const Graph& graph_;
  std::unique_ptr<BlockedSurvey> s_ = std::make_unique<BlockedSurvey>();
  std::map<const Graph*, Survey> bodies_;
  mutable std::vector<int> parent_;  // of groups; paths get shorter where they are walked
  std::vector<Convolution> convolutions_;
  std::set<int64_t> split_;  // blocks that Reshape nodes name
  // What was found of filters, which many nodes may share.
  mutable std::map<std::tuple<const Tensor*, int64_t, int64_t, int64_t>, bool>
      zero_;                                                   // PaddingIsZero
  std::map<const Tensor*, std::pair<int64_t, int64_t>> used_;  // outputs and inputs; of a bias too
};

BlockedGroup& Survey::Make(const std::string& value, bool split) {
  const int g = static_cast<int>(parent_.size());
  parent_.push_back(g);
  s_->groups.emplace_back();
  s_->blocked[value] = {g, split};
  return s_->groups.back();
}

Status Survey::Tie(const std::string& a, const std::string& b) {
  const int to = Root(s_->blocked.at(a).group), from = Root(s_->blocked.at(b).group);
  if (to == from) return {};
  parent_[static_cast<size_t>(std::max(to, from))] = std::min(to, from);
  BlockedGroup& g = s_->groups[static_cast<size_t>(std::min(to, from))];
  const BlockedGroup& other = s_->groups[static_cast<size_t>(std::max(to, from))];
  if (g.padded != kUnknown && other.padded != kUnknown && g.padded != other.padded) {
    return Invalid("'" + a + "' and '" + b + "' have " + std::to_string(g.padded) + " and " +
                   std::to_string(other.padded) + " channels in the blocked layout");
  }
  g.padded = std::max(g.padded, other.padded);
  g.real = std::max(g.real, other.real);
  g.whole |= other.whole;
  g.from_input |= other.from_input;
  return {};
}

Status Survey::LookAtConvolution(const NodePtr& node) {
  const Node& n = *node;
  const std::string label = NodeLabel(n);
  Convolution c{node, n.HasInput(1) ? Fixed(n.inputs[1]) : nullptr, n.Int("group", 1),
                Blocked(n.inputs[0])};
  if (!c.filter)
    return Unsupported("a filter in the blocked layout that is not an initializer", label);
  if (c.filter->rank() != 4 || c.filter->dtype() != DType::kFloat) {
    return Invalid(
        "a filter in the blocked layout is float[O,I,H,W]; got " + c.filter->TypeString(), label);
  }
  static const std::set<std::string> kActivations = {"Relu",      "Sigmoid",     "Tanh",
                                                     "LeakyRelu", "HardSigmoid", "Clip"};
  if (const AttrValue* a = n.Find("activation")) {
    auto name = std::get_if<std::string>(a);
    if (!name || !kActivations.count(*name))
      return Unsupported("activation of a blocked Conv", label);
  }
  if (c.group < 1 || c.group > std::max<int64_t>(1, c.outputs())) {
    return Invalid("group is between 1 and the output channels", label);
  }
  if (n.HasInput(3) && (!Blocked(n.inputs[3]) || s_->blocked[n.inputs[3]].split)) {
    return Invalid("Conv adds a tensor that is not in the blocked layout", label);
  }
  Make(n.outputs[0]).padded = c.outputs();
  convolutions_.push_back(c);
  if (n.HasInput(3)) TRY(Tie(n.inputs[3], n.outputs[0]));
  if (c.depthwise()) return Tie(n.inputs[0], n.outputs[0]);
  if (!c.blocked_input) return {};
  BlockedGroup& x = Group(n.inputs[0]);
  if (x.padded == kUnknown) x.padded = c.inputs() * c.group;
  if (x.padded != c.inputs() * c.group)
    return Invalid("the filter has not the channels of the input", label);
  x.whole |= c.group > 1;
  Group(n.outputs[0]).whole |= c.group > 1;
  return {};
}

Status Survey::LookAtBlocked(const NodePtr& node) {
  const Node& n = *node;
  const std::string label = NodeLabel(n);
  if (!n.HasInput(0) || n.outputs.size() != 1 || n.outputs[0].empty()) {
    return Invalid(n.op + " of " + kBlockedDomain + " needs an input and one output", label);
  }
  const bool blocked = Blocked(n.inputs[0]);
  if (blocked && s_->blocked[n.inputs[0]].split)
    return Invalid(n.op + " of a tensor whose blocks are an axis", label);
  if (IsBlockedOp(n, "Conv")) return LookAtConvolution(node);
  if (IsBlockedOp(n, "ReorderInput")) {
    if (blocked) return Invalid("ReorderInput of a tensor in the blocked layout", label);
    Make(n.outputs[0]).from_input = true;
    return {};
  }
  if (!blocked) return Invalid(n.op + " of a tensor that is not in the blocked layout", label);
  BlockedGroup& x = Group(n.inputs[0]);
  if (IsBlockedOp(n, "ReorderOutput")) {
    if (n.Int("channels", 0) < 1) return Invalid("channels is at least 1", label);
    x.real = std::max(x.real, n.Int("channels", 0));
    return {};
  }
  if (!IsBlockedPool(n) && !IsBlockedOp(n, "Upsample")) {
    return Unsupported(std::string("operator ") + kBlockedDomain + "." + n.op + " is not supported",
                       label);
  }
  x.whole |= IsBlockedPool(n);
  Make(n.outputs[0]);
  return Tie(n.inputs[0], n.outputs[0]);
}

// Blocks as an axis of their own, and back: the same tensor. Said by shapes [0,-1,0,0,b],
// [0,-1,0,0].
bool Survey::LookAtReshape(const Node& n) {
  if (n.op != "Reshape" || n.inputs.size() != 2 || !Blocked(n.inputs[0]) || n.outputs.size() != 1)
    return false;
  const bool was_split = s_->blocked[n.inputs[0]].split;
  const Tensor* shape = Fixed(n.inputs[1]);
  std::vector<int64_t> to = shape ? shape->AsInts() : std::vector<int64_t>{};
  const bool split = to.size() == 5;
  const int64_t block = to.empty() ? 0 : to.back();
  if (split) to.pop_back();
  if (to != std::vector<int64_t>{0, -1, 0, 0} || split == was_split || n.Int("allowzero", 0) != 0)
    return false;
  if (split) split_.insert(block);
  Make(n.outputs[0], split);
  return Tie(n.inputs[0], n.outputs[0]).ok();
}

// A node of another domain that reads blocked tensors: what it makes is blocked too.
Status Survey::LookAtReader(const Node& n) {
  std::vector<std::string> read = ReadBy(n), operands;
  std::copy_if(read.begin(), read.end(), std::back_inserter(operands),
               [&](const std::string& v) { return Blocked(v); });
  if (operands.empty()) return {};
  const bool onnx = n.domain.empty() || n.domain == "ai.onnx";
  if (onnx && LookAtReshape(n)) return {};
  const OpSpec* row = FindOp(n.domain, n.op, model_.Opset(n.domain));
  const bool joins = onnx && n.op == "Concat" && n.Int("axis", 0) == 1;
  const bool split = s_->blocked[operands[0]].split;
  bool fits = row && (row->Has(kElementwise) || (joins && !split)) && n.outputs.size() == 1;
  for (const std::string& v : n.inputs) {
    const Tensor* scalar = joins || v.empty() ? nullptr : Fixed(v);
    const bool same = Blocked(v) && s_->blocked[v].split == split;
    fits = fits && (v.empty() || same || (scalar && scalar->size() == 1));
  }
  if (!fits) {
    return Unsupported(n.op + " of '" + operands[0] + "', which is in the blocked layout",
                       NodeLabel(n));
  }
  Make(n.outputs[0], split);
  if (!joins) {
    for (const std::string& v : operands) TRY(Tie(v, n.outputs[0]));
    return {};
  }
  int64_t padded = 0;
  for (const std::string& v : n.inputs) {
    BlockedGroup& part = Group(v);
    part.whole = true;
    padded = part.padded == kUnknown || padded == kUnknown ? kUnknown : padded + part.padded;
  }
  Group(n.outputs[0]).padded = padded;
  Group(n.outputs[0]).whole = true;
  return {};
}

// Are weights of channels that only pad 0, as they are in the right layout?
bool Survey::PaddingIsZero(const Convolution& c, int64_t block) const {
  const Shape& shape = c.filter->shape();
  auto real_of = [&](const std::string& value, int64_t padded) {
    const int64_t real = Group(value).real;
    return real == kUnknown ? padded : real;
  };
  const int64_t outputs = real_of(c.node->outputs[0], shape[0]);
  const bool sums = c.group == 1 && c.inputs() >= block;
  const int64_t inputs = sums ? real_of(c.node->inputs[0], shape[1]) : shape[1];
  if (c.scales_channels() || (outputs >= shape[0] && inputs >= shape[1])) return true;
  auto [known, fresh] = zero_.emplace(std::tuple(c.filter, block, outputs, inputs), true);
  bool& zero = known->second;
  if (!fresh) return zero;
  const float* w = c.filter->data<float>();
  const int64_t kernel = shape[2] * shape[3];
  ForFilter(shape, block, [&](int64_t plain, int64_t place) {
    const int64_t o = plain / kernel / shape[1], i = plain / kernel % shape[1];
    zero = zero && ((o < outputs && i < inputs) || w[place] == 0);
  });
  return zero;
}

bool Survey::Fits(const Convolution& c, int64_t block) const {
  const int64_t outputs = c.outputs(), inputs = c.inputs();
  if (outputs % block != 0) return false;
  if (inputs < block) {
    if (!c.depthwise() && (c.group != 1 || c.blocked_input)) return false;
  } else if (inputs % block != 0 || outputs / c.group % block != 0 || !c.blocked_input) {
    return false;
  }
  return PaddingIsZero(c, block);
}

bool Survey::Fits(int64_t block) const {
  if (std::any_of(split_.begin(), split_.end(), [&](int64_t b) { return b != block; }))
    return false;
  for (size_t i = 0; i < s_->groups.size(); ++i) {
    const BlockedGroup& g = s_->groups[i];
    if (Root(static_cast<int>(i)) != static_cast<int>(i) || g.real == kUnknown) continue;
    if (g.whole && g.real % block != 0) return false;
    if (g.padded != kUnknown && (g.real > g.padded || g.padded - g.real >= block)) return false;
  }
  return std::all_of(convolutions_.begin(), convolutions_.end(),
                     [&](const Convolution& c) { return Fits(c, block); }) &&
         std::all_of(bodies_.begin(), bodies_.end(),
                     [&](const auto& body) { return body.second.Fits(block); });
}

// How many channels the weights of a convolution use, of its input and of its output.
void Survey::CountUsed(const Convolution& c) {
  if (c.scales_channels()) return;
  auto [known, fresh] = used_.emplace(c.filter, std::pair<int64_t, int64_t>(0, 0));
  std::pair<int64_t, int64_t>& count = known->second;
  if (fresh) {
    const Shape& shape = c.filter->shape();
    const float* w = c.filter->data<float>();
    const int64_t kernel = shape[2] * shape[3];
    ForFilter(shape, s_->block, [&](int64_t plain, int64_t place) {
      if (w[place] == 0) return;
      count.first = plain / kernel / shape[1] + 1;
      count.second = std::max(count.second, plain / kernel % shape[1] + 1);
    });
  }
  auto [outputs, inputs] = count;
  const Tensor* bias = c.node->HasInput(2) ? Fixed(c.node->inputs[2]) : nullptr;
  if (bias) {
    auto [seen, first] = used_.emplace(bias, std::pair<int64_t, int64_t>(0, 0));
    for (int64_t o = 0; first && o < bias->size(); ++o) {
      if (bias->AsDouble(o) != 0) seen->second.first = o + 1;
    }
    outputs = std::max(outputs, seen->second.first);
  }
  BlockedGroup& y = Group(c.node->outputs[0]);
  y.used = std::max(y.used, outputs);
  if (!c.blocked_input || c.depthwise() || c.group > 1) return;
  BlockedGroup& x = Group(c.node->inputs[0]);
  x.used = std::max(x.used, inputs);
}

// The block, and how many channels are real: as ReorderOutput says; else as many as weights use.
Status Survey::Settle(int64_t block) {
  s_->block = block;
  for (const Convolution& c : convolutions_) CountUsed(c);
  for (BlockedGroup& g : s_->groups) {
    if (g.whole && g.real == kUnknown) g.real = g.padded;
    if (g.real != kUnknown || g.from_input || g.padded == kUnknown) continue;
    g.real = std::clamp(g.used, std::max<int64_t>(1, g.padded - s_->block + 1),
                        std::max<int64_t>(1, g.padded));
  }
  for (auto& [name, value] : s_->blocked) {
    value.group = Root(value.group);
    const BlockedGroup& g = s_->groups[static_cast<size_t>(value.group)];
    if (g.real != kUnknown && g.used > g.real) {
      return Invalid("'" + name + "' has " + std::to_string(g.real) +
                     " channels, and weights for " + std::to_string(g.used));
    }
  }
  for (auto& [graph, body] : bodies_) {
    TRY(body.Settle(block));
    s_->bodies[graph] = std::move(body.s_);
  }
  return {};
}

Status Survey::LookAtBodies(const Node& n) {
  for (const Attribute& a : n.attrs) {
    auto body = std::get_if<std::shared_ptr<const Graph>>(&a.value);
    if (!body || !HasBlockedNodes(**body)) continue;
    auto [at, fresh] = bodies_.try_emplace(body->get(), model_, **body, s_->fixed);
    if (fresh) TRY(at->second.Look());
  }
  return {};
}

Status Survey::Look() {
  s_->order = TRY(Sorted(graph_));
  for (const Initializer& i : graph_.initializers) {
    if (i.value.defined()) s_->fixed[i.name] = &i.value;
  }
  for (const ValueInfo& v : graph_.inputs) s_->fixed.erase(v.name);  // defaults
  for (const NodePtr& n : s_->order) {
    TRY(IsBlockedOp(*n) ? LookAtBlocked(n) : LookAtReader(*n));
    TRY(LookAtBodies(*n));
  }
  for (const ValueInfo& v : graph_.outputs) {
    if (Blocked(v.name)) return Unsupported("output '" + v.name + "' is in the blocked layout");
  }
  return {};
}

Result<std::unique_ptr<BlockedSurvey>> Survey::Run() {
  TRY(Look());
  const int64_t block = Fits(16) ? 16 : Fits(8) ? 8 : 0;
  if (block == 0) {
    return Invalid(std::string("the tensors of ") + kBlockedDomain +
                   " fit no block of 16 or 8 channels");
  }
  TRY(Settle(block));
  return std::move(s_);
}

}  // namespace

bool HasBlockedNodes(const Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const NodePtr& n) {
    return IsBlockedOp(*n) || std::any_of(n->attrs.begin(), n->attrs.end(), [](const Attribute& a) {
             auto body = std::get_if<std::shared_ptr<const Graph>>(&a.value);
             return body && HasBlockedNodes(**body);
           });
  });
}

int64_t PlaceInBlocks(const Shape& shape, int64_t b, int64_t o, int64_t i, int64_t k) {
  const int64_t inputs = shape[1], kernel = shape[2] * shape[3];
  if (inputs < b) return ((o / b * inputs + i) * kernel + k) * b + o % b;
  return (((o / b * (inputs / b) + i / b) * kernel + k) * b + i % b) * b + o % b;
}

Result<std::unique_ptr<BlockedSurvey>> SurveyBlockedLayout(const Model& model) {
  return Survey(model, model.graph, {}).Run();
}

}  // namespace assay
