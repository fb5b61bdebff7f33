#include "interp/blocked_layout.h"

#include <algorithm>
#include <set>

#include "interp/blocked_layout_internal.h"
#include "interp/infer.h"

namespace assay {
namespace {

class Writer {
 public:
  Writer(const Model& model, BlockedSurvey& survey)
      : s_(survey), names_(model.graph.AllNames()), out_(model) {}
  Result<Model> Run();

 private:
  // Of a subgraph of a node of `outer`: it sees what is there.
  Writer(const Writer& outer, const Graph& graph, BlockedSurvey& survey)
      : s_(survey), names_(graph.AllNames()), types_(outer.types_) {
    out_.graph = graph;
    out_.opsets = outer.out_.opsets;
    names_.insert(outer.names_.begin(), outer.names_.end());
  }
  Status Write();
  Result<NodePtr> WithPlainBodies(const NodePtr& node);
  Status Emit(const NodePtr& node);
  Status EmitReorderInput(const Node& n);
  void EmitReorderOutput(const Node& n);
  Status EmitConvolution(const Node& n);
  void EmitPool(const Node& n);
  void EmitUpsample(const Node& n);
  void Append(NodePtr node);
  std::string Fresh(const std::string& stem);
  std::string Constant(const std::string& stem, Tensor t);
  Result<std::string> Plain(const Node& n, size_t operand, const Shape& shape);
  // Channels without those that only pad; `padded` where that is not known.
  int64_t Real(const std::string& value, int64_t padded) const {
    auto it = s_.blocked.find(value);
    const int64_t real =
        it == s_.blocked.end() ? -1 : s_.groups[static_cast<size_t>(it->second.group)].real;
    return real < 0 ? padded : real;
  }
  const Tensor* Fixed(const std::string& value) const {
    auto it = s_.fixed.find(value);
    return it == s_.fixed.end() ? nullptr : it->second;
  }

  BlockedSurvey& s_;
  std::set<std::string> names_;
  Model out_;
  std::map<std::pair<std::string, Shape>, std::string> plain_;  // a filter or bias, cut to a shape
  std::set<std::string> replaced_;                              // these
  std::map<std::string, TypeInfo> types_;  // of the new graph, as far as they are followed
};

std::string Writer::Fresh(const std::string& stem) {
  std::string name = stem;
  for (int i = 1; !names_.insert(name).second; ++i) name = stem + "_" + std::to_string(i);
  return name;
}

std::string Writer::Constant(const std::string& stem, Tensor t) {
  std::string name = Fresh(stem);
  types_[name] = TypeInfo::Of(t);
  out_.graph.initializers.push_back({name, std::move(t), {}});
  return name;
}

// Appends a node, and what is known of its outputs.
void Writer::Append(NodePtr node) {
  out_.graph.nodes.push_back(node);
  const OpSpec* row = FindOp(node->domain, node->op, out_.Opset(node->domain));
  if (!row) return;
  std::vector<const TypeInfo*> types;
  std::vector<const Tensor*> values;
  for (const std::string& v : node->inputs) {
    auto it = types_.find(v);
    types.push_back(it == types_.end() ? nullptr : &it->second);
    values.push_back(v.empty() ? nullptr : Fixed(v));
  }
  Result<std::vector<TypeInfo>> known = InferNode(*row, *node, types, values);
  if (!known.ok()) return;  // inference of the whole model says so, or knows more
  for (size_t i = 0; i < node->outputs.size(); ++i) {
    if (!node->outputs[i].empty()) types_[node->outputs[i]] = (*known)[i];
  }
}

// An operand of a convolution, its filter or its bias, in the plain layout and without the channels
// beyond `shape`.
Result<std::string> Writer::Plain(const Node& n, size_t operand, const Shape& shape) {
  const std::string& name = n.inputs[operand];
  const Tensor* blocked = Fixed(name);
  const bool fits =
      blocked && blocked->dtype() == DType::kFloat && blocked->shape().size() == shape.size();
  if (!fits || blocked->dim(0) < shape[0]) {
    return Unsupported(
        "bias '" + name + "' in the blocked layout is no float initializer for each channel",
        NodeLabel(n));
  }
  auto [it, fresh] = plain_.emplace(std::pair(name, shape), "");
  if (!fresh) return it->second;
  Tensor plain = Tensor::Make(DType::kFloat, shape).value();
  float* to = plain.mutable_data<float>();
  const float* from = blocked->data<float>();
  if (shape.size() == 1) {
    std::copy_n(from, shape[0], to);
  } else {
    const int64_t kernel = shape[2] * shape[3];
    for (int64_t e = 0; e < plain.size(); ++e) {
      const int64_t o = e / kernel / shape[1], i = e / kernel % shape[1];
      to[e] = from[PlaceInBlocks(blocked->shape(), s_.block, o, i, e % kernel)];
    }
  }
  replaced_.insert(name);
  return it->second = Constant(name + "_plain", std::move(plain));
}

// Channels to the front.
Status Writer::EmitReorderInput(const Node& n) {
  const bool last = n.Int("channels_last", 0) != 0;
  if (last) {
    Append(MakeNode("Transpose", {n.inputs[0]}, n.outputs,
                    {{"perm", std::vector<int64_t>{0, 3, 1, 2}, {}}}, n.name));
  } else {
    Append(MakeNode("Identity", {n.inputs[0]}, n.outputs, {}, n.name));
  }
  auto it = types_.find(n.outputs[0]);
  const bool known =
      it != types_.end() && it->second.dims.size() == 4 && it->second.dims[1].known();
  if (!known) return Unsupported("ReorderInput of an unknown number of channels", NodeLabel(n));
  const int64_t channels = it->second.dims[1].value(),
                padded = channels + (s_.block - channels % s_.block) % s_.block;
  BlockedGroup& g = s_.groups[static_cast<size_t>(s_.blocked.at(n.outputs[0]).group)];
  const bool fits = channels >= 1 && channels >= g.used && (g.real < 0 || g.real == channels) &&
                    (g.padded < 0 || g.padded == padded) && (!g.whole || channels == padded);
  if (!fits) {
    return Invalid("ReorderInput of " + std::to_string(channels) +
                       " channels, where its readers want " +
                       std::to_string(std::max({g.used, g.real, g.padded})),
                   NodeLabel(n));
  }
  g.real = channels;
  return {};
}

// At times not all channels, and at times to the back.
void Writer::EmitReorderOutput(const Node& n) {
  const bool last = n.Int("channels_last", 0) != 0;
  const int64_t channels = n.Int("channels", 0);
  std::string x = n.inputs[0];
  if (Real(x, -1) != channels) {
    const std::vector<int64_t> begin = {0}, end = {channels}, axis = {1};
    const std::string cut = Fresh(n.outputs[0] + "_cut");
    auto constant = [&](const char* what, const std::vector<int64_t>& v) {
      return Constant(n.outputs[0] + what, Tensor::Vector(v));
    };
    if (out_.Opset() >= 10) {
      Append(MakeNode(
          "Slice", {x, constant("_starts", begin), constant("_ends", end), constant("_axes", axis)},
          {cut}, {}, n.name + "_cut"));
    } else {
      Append(MakeNode("Slice", {x}, {cut},
                      {{"starts", begin, {}}, {"ends", end, {}}, {"axes", axis, {}}},
                      n.name + "_cut"));
    }
    x = cut;
  }
  if (last) {
    Append(MakeNode("Transpose", {x}, n.outputs, {{"perm", std::vector<int64_t>{0, 2, 3, 1}, {}}},
                    n.name));
  } else {
    Append(MakeNode("Identity", {x}, n.outputs, {}, n.name));
  }
}

// act(Conv(X, W, B) + Sum). Clip has attributes or operands, as the operator set says: FusedConv
// has it.
Status Writer::EmitConvolution(const Node& n) {
  Node conv = n;
  Shape shape = Fixed(n.inputs[1])->shape();
  const int64_t group = n.Int("group", 1), padded = shape[0];
  const bool depthwise = group == padded && shape[1] == 1 && s_.blocked.count(n.inputs[0]);
  shape[0] = Real(n.outputs[0], shape[0]);
  if (group == 1) shape[1] = Real(n.inputs[0], shape[1]);
  conv.inputs[1] = TRY(Plain(n, 1, shape));
  if (n.HasInput(2) && shape[0] != padded) conv.inputs[2] = TRY(Plain(n, 2, {shape[0]}));
  if (depthwise) conv.Set("group", shape[0]);
  const std::string activation = n.String("activation", "");
  if (activation == "Clip") {
    conv.op = "FusedConv";
    conv.domain = "com.microsoft";
    out_.opsets.emplace(conv.domain, 1);
    Append(std::make_shared<const Node>(std::move(conv)));
    return {};
  }
  std::vector<Attribute> attrs;
  if (auto p = n.Find("activation_params")) {
    auto numbers = std::get_if<std::vector<float>>(p);
    const bool two = activation == "HardSigmoid";
    if (!numbers || numbers->size() < (two ? 2 : 1))
      return Invalid("activation_params are numbers", NodeLabel(n));
    if (two || activation == "LeakyRelu") attrs.push_back({"alpha", (*numbers)[0], {}});
    if (two) attrs.push_back({"beta", (*numbers)[1], {}});
  }
  conv.domain = "";
  conv.Erase("activation");
  conv.Erase("activation_params");
  conv.inputs.resize(std::min<size_t>(3, conv.inputs.size()));
  if (conv.inputs.size() == 3 && conv.inputs[2].empty()) conv.inputs.pop_back();
  const bool sum = n.HasInput(3);
  std::string y = n.outputs[0];
  const bool acts = !activation.empty();
  if (sum || acts) conv.outputs = {Fresh(y + "_conv")};
  const std::string made = conv.outputs[0];
  Append(std::make_shared<const Node>(std::move(conv)));
  const std::string added = sum && acts ? Fresh(y + "_sum") : sum ? y : made;
  if (sum) Append(MakeNode("Add", {made, n.inputs[3]}, {added}, {}, n.name + "_sum"));
  if (acts) Append(MakeNode(activation, {added}, {y}, attrs, n.name + "_act"));
  return {};
}

// The domain's pools have every attribute of later versions, written out with its default.
void Writer::EmitPool(const Node& n) {
  Node pool = n;
  pool.domain = "";
  const OpSpec* row = FindOp("", pool.op, out_.Opset());
  std::erase_if(pool.attrs, [&](const Attribute& a) {
    auto list = std::get_if<std::vector<int64_t>>(&a.value);
    const bool says_nothing =
        SameAttr(a.value, int64_t{0}) ||
        (list && std::count(list->begin(), list->end(), 1) == std::ssize(*list));
    return says_nothing && row && !row->FindAttr(a.name);
  });
  Append(std::make_shared<const Node>(std::move(pool)));
}

// Whole-numbered scales. The nearest element is the one at the floor of o / scale.
void Writer::EmitUpsample(const Node& n) {
  std::vector<float> scales;
  for (int64_t s : n.Ints("scales")) scales.push_back(static_cast<float>(s));
  const std::string mode = n.String("mode", "nearest");
  std::vector<Attribute> attrs = {{"mode", mode, {}}};
  const int opset = out_.Opset();
  if (opset < 9) {
    attrs.push_back({"scales", scales, {}});
    return Append(MakeNode("Upsample", {n.inputs[0]}, n.outputs, attrs, n.name));
  }
  const int64_t count = static_cast<int64_t>(scales.size());
  std::string s = Constant(n.outputs[0] + "_scales", Tensor::Floats({count}, scales));
  if (opset < 11) {
    return Append(
        MakeNode(opset < 10 ? "Upsample" : "Resize", {n.inputs[0], s}, n.outputs, attrs, n.name));
  }
  const bool nearest = mode == "nearest";
  attrs.push_back({"coordinate_transformation_mode",
                   nearest ? std::string("asymmetric")
                           : n.String("coordinate_transformation_mode", "asymmetric"),
                   {}});
  if (nearest) attrs.push_back({"nearest_mode", std::string("floor"), {}});
  // Before opset 13 the region is an operand that has to be there.
  std::string roi = opset >= 13 ? "" : Constant(n.outputs[0] + "_roi", Tensor::Floats({0}, {}));
  Append(MakeNode("Resize", {n.inputs[0], roi, s}, n.outputs, attrs, n.name));
}

Status Writer::Emit(const NodePtr& node) {
  const Node& n = *node;
  if (!IsBlockedOp(n)) {
    // Blocks split off as an axis are still the plain tensor.
    const bool reshaped = n.op == "Reshape" && !n.inputs.empty() && s_.blocked.count(n.inputs[0]);
    Append(reshaped ? MakeNode("Identity", {n.inputs[0]}, n.outputs, {}, n.name)
                    : TRY(WithPlainBodies(node)));
    return {};
  }
  if (IsBlockedOp(n, "ReorderInput")) return EmitReorderInput(n);
  if (IsBlockedOp(n, "ReorderOutput")) EmitReorderOutput(n);
  if (IsBlockedOp(n, "Conv")) return EmitConvolution(n);
  if (IsBlockedOp(n, "Upsample")) EmitUpsample(n);
  if (IsBlockedPool(n)) EmitPool(n);
  return {};
}

Result<NodePtr> Writer::WithPlainBodies(const NodePtr& node) {
  std::shared_ptr<Node> plain;
  for (size_t i = 0; i < node->attrs.size(); ++i) {
    auto body = std::get_if<std::shared_ptr<const Graph>>(&node->attrs[i].value);
    auto survey = body ? s_.bodies.find(body->get()) : s_.bodies.end();
    if (survey == s_.bodies.end()) continue;
    Writer inner(*this, **body, *survey->second);
    TRY(inner.Write());
    if (!plain) plain = std::make_shared<Node>(*node);
    plain->attrs[i].value = std::make_shared<const Graph>(std::move(inner.out_.graph));
    out_.opsets.merge(inner.out_.opsets);
    names_.merge(inner.names_);
    replaced_.merge(inner.replaced_);
  }
  return plain ? plain : node;
}

Status Writer::Write() {
  Graph& g = out_.graph;
  g.nodes.clear();
  for (const Initializer& i : g.initializers) {
    if (i.value.defined()) types_[i.name] = TypeInfo::Of(i.value);
  }
  for (const ValueInfo& v : g.inputs) {
    types_.erase(v.name);
    if (!v.shape) continue;
    std::vector<Dim> dims;
    for (const DimDecl& d : *v.shape) dims.push_back(d.value >= 0 ? Dim(d.value) : Dim::Unknown());
    types_[v.name] = TypeInfo::Of(v.dtype, dims);
  }
  for (const NodePtr& n : s_.order) TRY(Emit(n));
  std::set<std::string> read;
  for (const NodePtr& n : g.nodes) {
    for (const std::string& v : ReadBy(*n)) read.insert(v);
  }
  std::erase_if(g.initializers, [&](const Initializer& i) {
    return replaced_.count(i.name) && !read.count(i.name) && !g.IsOutput(i.name);
  });
  std::erase_if(g.value_info, [&](const ValueInfo& v) { return s_.blocked.count(v.name) > 0; });
  return {};
}

Result<Model> Writer::Run() {
  TRY(Write());
  return std::move(out_);
}

}  // namespace

bool HasBlockedLayout(const Model& model) {
  return model.Opset(kBlockedDomain) != 0 && HasBlockedNodes(model.graph);
}

Result<Model> WithPlainLayout(const Model& model) {
  std::unique_ptr<BlockedSurvey> survey = TRY(SurveyBlockedLayout(model));
  return Writer(model, *survey).Run();
}

}  // namespace assay
