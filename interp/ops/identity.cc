// Identity (ONNX opset 1, 13, 14, 16, 19, 21, 23, 24, 25) and Dropout (7 and 10 as inference runs it, 12, 13 and 22 in
// training as well).
#include "interp/lists.h"
#include "interp/ops/elementwise.h"
#include "interp/ops/random.h"
#include "interp/small_float.h"

namespace assay {
namespace {

void IdentityRule(RuleContext& c) { c.Out(0, c.type(0)); }

Status EvalIdentity(KernelContext& c) {
  c.Set(0, c.in(0));
  return {};
}

bool Training(const KernelContext& c) {
  return c.Has(2) && c.in(2).size() > 0 && c.in(2).AsInt(0) != 0;
}

// In training: the probability with which an element is dropped.
Result<double> RatioOf(const KernelContext& c) {
  if (!c.Has(1) || c.in(1).size() == 0) return 0.5;
  std::vector<double> ratio;
  if (IsSmallFloat(c.in(1).dtype()))
    ratio = {SmallFloatValue(c.in(1).dtype(), c.in(1).data<uint8_t>()[0])};
  else if (!RealsOf(c.in(1), &ratio))
    return Unsupported("a ratio that depends on data has no place in the field");
  if (!(ratio[0] >= 0 && ratio[0] < 1)) return Invalid("ratio is in [0, 1)");
  return ratio[0];
}

// output = data * mask / (1 - ratio), the mask being 0 with probability `ratio`; outside training
// output = data and all is kept.
Status EvalDropout(KernelContext& c) {
  const Tensor& x = c.in(0);
  double ratio = 0;
  if (Training(c)) ratio = TRY(RatioOf(c));
  Tensor* mask = nullptr;
  if (c.WantsOutput(1)) mask = TRY(c.Out(1));
  if (ratio == 0) {
    c.Set(0, x);
    for (int64_t i = 0; mask && i < mask->size(); ++i) mask->Set(i, 1);
    return {};
  }
  Tensor y = x.Clone();
  Choices random = RandomOf(c);
  for (int64_t i = 0; i < x.size(); ++i) {
    bool kept = !random.Chance(ratio);
    if (mask) mask->Set(i, kept);
    if (x.store() == Store::kField) {
      y.mutable_data<Fp>()[i] = kept ? x.data<Fp>()[i] / (Fp(1) - Fp(ratio)) : Fp();
    } else if (IsSmallFloat(x.dtype())) {
      double v = kept ? SmallFloatValue(x.dtype(), x.data<uint8_t>()[i]) / (1 - ratio) : 0;
      y.mutable_data<uint8_t>()[i] = SmallFloatBits(x.dtype(), v);
    } else {
      y.Set(i, kept ? x.AsDouble(i) / (1 - ratio) : 0);
    }
  }
  c.Set(0, std::move(y));
  return {};
}

void DropoutRule(RuleContext& c) {
  for (int i : {1, 2}) {
    if (!c.Has(i) || !c.Ranked(i)) continue;
    c.Require(c.Rank(i) <= 1, "ratio and training_mode have one element");
    if (c.Rank(i) == 1) c.Require(c.In(i, 0) == Dim(1), "ratio and training_mode have one element");
  }
  OutLike(c, 0, c.dtype(0));
  bool bool_mask = Contains(c.spec().outputs[1].types, DType::kBool);
  OutLike(c, 1, bool_mask ? DType::kBool : c.dtype(0));
}

bool DrawDropout(Choices& choices, Draft& d) {
  d.inputs.resize(1);
  d.constants.resize(std::min<size_t>(d.constants.size(), 1));
  if (choices.Chance(0.5))
    d.SetConstant(1, OneElement(DType::kFloat, choices.PickOf({0.5, 0.1, 0.25, 0.0})));
  if (choices.Chance(0.3)) d.SetConstant(2, OneElement(DType::kBool, 0));
  if (choices.Chance(0.2)) d.outputs = 2;
  return true;
}

}  // namespace

std::vector<OpSpec> ops_identity() {
  std::vector<OpSpec> rows;
  auto identity = [](int since, const char* type, DTypeSet types) {
    return Op("Identity", since)
        .In("input", type, types)
        .Out("output", type, types)
        .Rule(IdentityRule)
        .Eval(EvalIdentity)
        .Traits(kElementwise | kMovesData | kWithinInputs)
        .Class(Accuracy::kExact);
  };
  PushVersions(rows, identity(1, "T", kAll7), "T", {{13, kAll13}});
  constexpr DTypeSet kLists = kSequences | kOptionals;
  PushVersions(rows, identity(14, "V", kAll13 | kSequences), "V",
               {{16, kAll13 | kLists}, {19, kAll19 | kLists}, {21, kAll21 | kLists}, {23, kAll23 | kLists}, {24, kAll24 | kLists}, {25, kAll25 | kLists}});

  AttrDomain ratios{.floats = {0.5, 0.1, 0.0}};
  uint32_t traits = kElementwise | kMovesData | kWithinInputs;
  rows.push_back(Op("Dropout", 7)
                     .In("data", "T", kFloats16)
                     .Out("output", "T", kFloats16)
                     .Out("mask", "T", kFloats16, Arity::kOptional)
                     .Float("ratio", 0.5f, ratios)
                     .Rule(DropoutRule)
                     .Eval(EvalDropout)
                     .Traits(traits)
                     .Class(Accuracy::kExact));
  rows.push_back(Op("Dropout", 10)
                     .In("data", "T", kFloats16)
                     .Out("output", "T", kFloats16)
                     .Out("mask", "T1", kBoolSet, Arity::kOptional)
                     .Float("ratio", 0.5f, ratios)
                     .Rule(DropoutRule)
                     .Eval(EvalDropout)
                     .Traits(traits)
                     .Class(Accuracy::kExact));
  OpSpec v12 = Op("Dropout", 12)
                   .In("data", "T", kFloats16)
                   .In("ratio", "T1", kFloats16, Arity::kOptional)
                   .In("training_mode", "T2", kBoolSet, Arity::kOptional)
                   .Out("output", "T", kFloats16)
                   .Out("mask", "T2", kBoolSet, Arity::kOptional)
                   .Attr({"seed", AttrType::kInt, false, std::nullopt, {}})
                   .Rule(DropoutRule)
                   .Eval(EvalDropout)
                   .Draw(DrawDropout)
                   .Traits(traits)
                   .Class(Accuracy::kExact);
  PushVersions(rows, v12, "T", {{13, kFloatsBf16}, {22, kFloatsBf16 | kFloats8}});
  rows.back().Types("T1", kFloatsBf16 | kFloats8);
  return rows;
}

}  // namespace assay
