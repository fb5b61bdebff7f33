#include "gen/sketch.h"

#include <algorithm>

#include "gen/body.h"
#include "gen/guards.h"
#include "gen/restrictions.h"

namespace assay {
namespace {

constexpr double kShareWeight = 0.15;

int InputNamed(const OpSpec& spec, const std::string& name) {
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    if (spec.inputs[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

// What an attribute says, as the constant operand that took its place.
Tensor AsOperand(const AttrValue& value, DType dtype) {
  if (auto ints = std::get_if<std::vector<int64_t>>(&value)) return Tensor::Vector(*ints);
  if (auto tensor = std::get_if<Tensor>(&value)) return *tensor;
  if (auto number = std::get_if<int64_t>(&value))
    return ScalarOf(DType::kInt64, static_cast<double>(*number));
  auto real = std::get_if<float>(&value);
  return ScalarOf(dtype, real ? *real : 0);
}

}  // namespace

Tensor ScalarOf(DType dtype, double v) {
  Tensor t = Tensor::Make(dtype, {}).value();
  t.Set(0, v);
  return t;
}

const Shape Sketch::kRefusedShape(6, 1);

bool Sketch::Takes(Twist twist) {
  if (twist_ != twist || at_-- > 0) return false;
  twist_ = Twist::kNone;
  return true;
}

int Sketch::Plain(const char* op, const std::vector<int>& inputs,
                  const std::vector<Param>& params) {
  Twist kept = std::exchange(twist_, Twist::kNone);
  int id = Make(op, inputs, params, 1, false);
  twist_ = kept;
  return id;
}

int Sketch::Node(const char* op, const std::vector<int>& inputs, const std::vector<Param>& params,
                 int outputs) {
  return Make(op, inputs, params, outputs, false);
}

int Sketch::Sure(const char* op, const std::vector<int>& inputs, const std::vector<Param>& params) {
  return Make(op, inputs, params, 1, true);
}

bool Sketch::SetParam(const OpSpec& spec, const Param& param, int first, assay::Node* node,
                      std::vector<int>* inputs) {
  if (const AttrSpec* attr = spec.FindAttr(param.name)) {
    auto list = std::get_if<std::vector<int64_t>>(&param.value);
    if (attr->type == AttrType::kInt && list)
      node->Set(param.name, list->at(0));
    else
      node->Set(param.name, param.value);
    return true;
  }
  int at = InputNamed(spec, param.name);
  if (at < 0) return false;
  if (at >= static_cast<int>(inputs->size())) inputs->resize(static_cast<size_t>(at) + 1, kAbsent);
  DType like = first < 0 ? DType::kFloat : this->dtype(first);
  DType dtype = Contains(spec.InputAt(at).types, like) ? like : DType::kFloat;
  int id = builder_.AddConstant(AsOperand(param.value, dtype));
  (*inputs)[static_cast<size_t>(at)] = AlteredConstant(id);
  return true;
}

int Sketch::Make(const char* op, std::vector<int> inputs, const std::vector<Param>& params,
                 int outputs, bool sure) {
  const OpSpec* spec = FindOp("", op, builder_.opset());
  if (!spec || std::count(inputs.begin(), inputs.end(), kRefused) > 0) return kRefused;
  if (inputs.size() == 2 && spec->Has(kCommutative) && Takes(Twist::kCommute))
    std::swap(inputs[0], inputs[1]);
  assay::Node node;
  node.outputs.assign(static_cast<size_t>(outputs), "y");
  int first = inputs.empty() ? kAbsent : inputs[0];
  for (const Param& p : params) {
    if (!SetParam(*spec, p, first, &node, &inputs)) return kRefused;
  }
  std::vector<TypeInfo> types;
  for (size_t i = 0; i < inputs.size(); ++i) {
    int id = inputs[i];
    if (id == kRefused) return kRefused;
    types.push_back(id < 0 ? TypeInfo{} : value(id).type());
    if (id < 0) continue;
    DTypeSet allowed = spec->InputAt(static_cast<int>(i)).types;
    if (i == 0) allowed &= ~RestrictedTypes(*spec);
    if (!Contains(allowed, dtype(id))) return kRefused;
    Demand demand = DemandOf(*spec, static_cast<int>(i), dtype(id));
    if (!sure && demand.Any() && !Satisfies(value(id).range, demand)) return kRefused;
  }
  node.op = spec->name;
  if (!types.empty() && Restricted(*spec, node, types)) return kRefused;
  int id = builder_.AddNode(*spec, std::move(node), inputs, allow_);
  if (id < 0) return kRefused;
  return outputs == 1 ? Altered(id) : id;  // those of a node stay side by side
}

// The value as the next node is to read it.
int Sketch::Altered(int id) {
  if (twist_ == Twist::kNone || IsList(dtype(id))) return id;
  if (Takes(Twist::kBetween)) return Plain("Identity", {id});
  if (Takes(Twist::kOutput)) builder_.Expose(id);
  if (Takes(Twist::kReader)) {
    int reader = Plain(IsFloat(dtype(id)) ? "Neg" : "Identity", {id});
    return reader < 0 ? kRefused : id;
  }
  if (Takes(Twist::kCapture)) return AddCapture(choices_, builder_, id) < 0 ? kRefused : id;
  if (IsFloat(dtype(id)) && Takes(Twist::kType)) {
    DType other = dtype(id) == DType::kFloat ? DType::kDouble : DType::kFloat;
    int there = Plain("Cast", {id}, {{"to", static_cast<int64_t>(other)}});
    return Plain("Cast", {there}, {{"to", static_cast<int64_t>(dtype(id))}});
  }
  return id;
}

int Sketch::AlteredConstant(int id) {
  if (Takes(Twist::kOverridable)) builder_.Override(id);
  if (Takes(Twist::kFolded)) {
    bool reshape = choices_.Chance(0.3);
    if (!reshape) return Plain("Identity", {id});
    int shape = builder_.AddConstant(Tensor::Vector(Shape(this->shape(id))));
    return Plain("Reshape", {id, shape});
  }
  return id;
}

int Sketch::Scalar(int like, double v, const std::vector<double>& others) {
  if (like < 0) return kRefused;
  DType t = dtype(like);
  if (Takes(Twist::kValue)) {
    v = others.empty() ? choices_.PickOf({v + 1, v * 1.01 + 1e-3, -v, v * 2, 1.0})
                       : choices_.Pick(others);
  }
  if (others.empty() && Takes(Twist::kDynamic)) return builder_.AddInput(choices_, t, {});
  if (Takes(Twist::kRank)) {
    Shape ones(static_cast<size_t>(choices_.Between(1, 3)), 1);
    return builder_.AddConstant(ScalarOf(t, v).Reshaped(ones));
  }
  if (IsFloat(t) && v > 0 && twist_ == Twist::kFolded && choices_.Chance(0.5) &&
      Takes(Twist::kFolded)) {
    // A product that the compiler of the model is to work out.
    int half = builder_.AddConstant(ScalarOf(t, v * 4)),
        two = builder_.AddConstant(ScalarOf(t, 0.25));
    return Plain("Mul", {half, two});
  }
  return AlteredConstant(builder_.AddConstant(ScalarOf(t, v)));
}

int Sketch::Vector(const std::vector<int64_t>& v) {
  return AlteredConstant(builder_.AddConstant(Tensor::Vector(v)));
}

int Sketch::Weight(int like, const Shape& shape, double scale, const Range& range) {
  return like < 0 ? kRefused : Weight(dtype(like), shape, scale, range);
}

int Sketch::Weight(DType dtype, const Shape& shape, double scale, const Range& range) {
  if (choices_.Chance(kShareWeight)) {
    for (size_t id = builder_.values().size(); id-- > 0;) {
      const GenValue& v = builder_.value(static_cast<int>(id));
      if (v.kind == GenValue::Kind::kConstant && !v.retired && v.dtype == dtype &&
          v.shape() == shape && v.range.Within(range)) {
        return static_cast<int>(id);
      }
    }
  }
  return AlteredConstant(builder_.AddConstant(DrawWeight(choices_, dtype, shape, range, scale)));
}

}  // namespace assay
