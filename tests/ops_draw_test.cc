// Over all rows: what a draw callback drafts satisfies the row's rule and runs, in every scalar
// domain with the same shapes; and operands or attributes of hostile values never trap, hang or
// allocate without bound.
#include <gtest/gtest.h>

#include <set>

#include "interp/draw.h"
#include "interp/exec.h"
#include "interp/field.h"

namespace assay {
namespace {

DType PickType(Choices& choices, DTypeSet types) {
  for (DType t : {DType::kFloat, DType::kInt64}) {
    if (Contains(types, t) && choices.Chance(0.5)) return t;
  }
  std::vector<DType> all;
  for (int i = 1; i < kDTypeCount; ++i) {
    if (Contains(types, static_cast<DType>(i))) all.push_back(static_cast<DType>(i));
  }
  return choices.Pick(all);
}

Shape PickShape(Choices& choices) {
  Shape shape(choices.Below(5));
  for (int64_t& d : shape) d = choices.PickOf<int64_t>({1, 2, 3, 4, 4, 6, 8});
  return shape;
}

// A draft with input 0 of a random type and the other required inputs of random types, shapes open.
Draft Start(Choices& choices, const OpSpec& spec) {
  Draft d;
  d.spec = &spec;
  d.opset = spec.since;
  std::vector<std::pair<std::string, DType>> bound;
  for (int i = 0; i < std::max(spec.MinInputs(), spec.inputs.empty() ? 0 : 1); ++i) {
    const Formal& f = spec.InputAt(i);
    DType t = PickType(choices, f.types);
    for (const auto& [name, dtype] : bound) t = name == f.type && !f.type.empty() ? dtype : t;
    bound.push_back({f.type, t});
    if (i == 0)
      d.inputs.push_back(TypeInfo::Of(t, PickShape(choices)));
    else
      d.inputs.push_back({t, false, {}});
  }
  d.constants.resize(d.inputs.size());
  return d;
}

struct Drawn {
  NodePtr node;
  std::vector<Tensor> inputs;
};

// The draft as a node with inputs. What the draft leaves open (parts to join, updates to scatter)
// gets the shape that the rules of those operators ask for.
Drawn Finish(Choices& choices, Draft d) {
  Drawn r;
  std::vector<std::string> names, outputs;
  d.constants.resize(d.inputs.size());
  for (size_t i = 0; i < d.inputs.size(); ++i) {
    bool absent = d.inputs[i].dtype == DType::kUndefined;
    Shape shape = d.shape(d.inputs[i].Static() ? i : (i == 2 ? 1 : 0));
    if (absent)
      r.inputs.emplace_back();
    else
      r.inputs.push_back(d.constants[i] ? *d.constants[i]
                                        : RandomConstant(choices, d.inputs[i].dtype, shape));
    names.push_back(absent ? "" : "x" + std::to_string(i));
  }
  for (int i = 0; i < std::max(d.outputs, d.spec->MinOutputs()); ++i)
    outputs.push_back("y" + std::to_string(i));
  r.node = MakeNode(d.spec->name, names, outputs, d.attrs);
  return r;
}

Result<std::vector<Tensor>> Evaluate(const OpSpec& spec, const Drawn& drawn, Store store) {
  std::vector<Tensor> stored;
  std::vector<const Tensor*> args;
  for (size_t i = 0; i < drawn.inputs.size(); ++i) {
    const Tensor& t = drawn.inputs[i];
    bool keep = !t.defined() || spec.InputAt(static_cast<int>(i)).parameter;
    stored.push_back(keep ? t : t.To(store));
  }
  for (const Tensor& t : stored) args.push_back(t.defined() ? &t : nullptr);
  return EvalNode(spec, *drawn.node, args, store, Limits::Small(), std::max(7, spec.since));
}

// Rows whose drafts leave nothing for a solver to decide.
bool DrawsEverything(const OpSpec& spec) {
  static const std::set<std::string> more = {"CumSum", "NonZero",         "Range",
                                             "Resize", "ScatterElements", "ScatterND",
                                             "TopK",   "Unique",          "Upsample"};
  return spec.Has(kMovesData) || more.count(spec.name);
}

TEST(OpsDraw, DraftsSatisfyTheRuleAndRunInEveryDomain) {
  FieldContext context(5, {});
  FieldScope scope(&context);
  for (const OpSpec& spec : AllOps()) {
    if (!spec.draw || !spec.eval || !DrawsEverything(spec)) continue;
    int drawn_count = 0;
    for (uint64_t seed = 0; seed < 200; ++seed) {
      Choices choices(MixSeeds(spec.since, seed));
      Draft d = Start(choices, spec);
      if (spec.name == "Concat") d.inputs.push_back(d.inputs[0]);
      if (!spec.draw(choices, d)) continue;
      ++drawn_count;
      Drawn drawn = Finish(choices, std::move(d));
      auto reals = Evaluate(spec, drawn, Store::kNative);
      ASSERT_TRUE(reals.ok()) << spec.name << "-" << spec.since << " seed " << seed << ": "
                              << reals.error().ToString();
      for (Store store : {Store::kDouble, Store::kField}) {
        auto other = Evaluate(spec, drawn, store);
        ASSERT_TRUE(other.ok()) << spec.name << "-" << spec.since << " seed " << seed << ": "
                                << other.error().ToString();
        for (size_t i = 0; i < reals->size(); ++i)
          EXPECT_EQ((*reals)[i].shape(), (*other)[i].shape()) << spec.name;
      }
    }
    EXPECT_GT(drawn_count, 2) << spec.name << "-" << spec.since;
  }
}

int64_t Hostile(Choices& choices) {
  return choices.PickOf<int64_t>({0, 1, -1, 2, -2, 3, 7, 64, 65, 1 << 20, int64_t{1} << 31,
                                  int64_t{1} << 40, int64_t{1} << 61, int64_t{1} << 62, INT64_MAX,
                                  INT64_MIN, INT64_MIN + 1, -(int64_t{1} << 62)});
}
double HostileReal(Choices& choices) {
  return choices.PickOf<double>(
      {0, -0.0, 1, -1, 0.5, 2, 1e-30, 1e30, 1e38, INFINITY, -INFINITY, NAN, 4.5, 1e9});
}

AttrValue HostileAttr(Choices& choices, const AttrSpec& a) {
  size_t n = choices.Below(6);
  switch (a.type) {
    case AttrType::kInt:
      return Hostile(choices);
    case AttrType::kFloat:
      return static_cast<float>(HostileReal(choices));
    case AttrType::kString:
      return a.domain.strings.empty() ? std::string("x") : choices.Pick(a.domain.strings);
    case AttrType::kInts: {
      std::vector<int64_t> v(n);
      for (int64_t& x : v) x = Hostile(choices);
      return v;
    }
    case AttrType::kFloats: {
      std::vector<float> v(n);
      for (float& x : v) x = static_cast<float>(HostileReal(choices));
      return v;
    }
    case AttrType::kStrings:
      return std::vector<std::string>(n, "x");
    case AttrType::kTensor:
      return RandomConstant(choices, DType::kFloat, PickShape(choices));
    default:
      return Opaque{};
  }
}

// Small tensors, some without elements, some holding hostile numbers.
Tensor HostileTensor(Choices& choices, DType dtype) {
  Shape shape(choices.Chance(0.5) ? 1 : choices.Below(5));
  for (int64_t& d : shape) d = choices.PickOf<int64_t>({0, 1, 1, 2, 2, 3, 4, 4});
  if (choices.Chance(0.03)) shape = {0, 1 << 14, 1 << 15};
  Tensor t = RandomConstant(choices, dtype, shape);
  if (dtype == DType::kString || choices.Chance(0.3)) return t;
  for (int64_t i = 0; i < t.size(); ++i) {
    if (dtype == DType::kInt64 && choices.Chance(0.7))
      t.mutable_data<int64_t>()[i] = Hostile(choices);
    else if (IsFloat(dtype))
      t.Set(i, HostileReal(choices));
    else if (IsInt(dtype))
      t.Set(i, static_cast<double>(Hostile(choices)));
  }
  return t;
}

Drawn HostileNode(Choices& choices, const OpSpec& spec) {
  Drawn r;
  std::vector<std::string> names, outputs;
  std::vector<Attribute> attrs;
  int inputs = spec.MinInputs() + static_cast<int>(choices.Below(3));
  std::vector<std::pair<std::string, DType>> bound;
  for (int i = 0; i < std::min(inputs, spec.MaxInputs()); ++i) {
    const Formal& f = spec.InputAt(i);
    DType t = PickType(choices, f.types);
    for (const auto& [name, dtype] : bound)
      t = name == f.type && !f.type.empty() && f.homogeneous ? dtype : t;
    bound.push_back({f.type, t});
    bool absent = f.arity == Arity::kOptional && choices.Chance(0.3);
    r.inputs.push_back(absent ? Tensor() : HostileTensor(choices, t));
    names.push_back(absent ? "" : "x");
  }
  for (const AttrSpec& a : spec.attrs) {
    if (a.type != AttrType::kGraph && (a.required || choices.Chance(0.4)))
      attrs.push_back({a.name, HostileAttr(choices, a), {}});
  }
  int n = spec.MinOutputs() + static_cast<int>(choices.Below(2));
  for (int i = 0; i < std::min(n, spec.MaxOutputs()); ++i)
    outputs.push_back(choices.Chance(0.1) ? "" : "y");
  r.node = MakeNode(spec.name, names, outputs, attrs);
  return r;
}

TEST(OpsDraw, HostileOperandsNeverTrap) {
  FieldContext context(5, {});
  FieldScope scope(&context);
  for (const OpSpec& spec : AllOps()) {
    if (!spec.draw) continue;
    for (uint64_t seed = 0; seed < 150; ++seed) {
      Choices choices(MixSeeds(spec.since + 100, seed));
      Drawn drawn = HostileNode(choices, spec);
      for (Store store : {Store::kNative, Store::kField}) {
        auto out = Evaluate(spec, drawn, store);
        if (out.ok()) continue;
        EXPECT_NE(out.error().code, Code::kInternal)
            << spec.name << "-" << spec.since << " seed " << seed << ": " << out.error().ToString();
      }
      // The same without knowing values or extents: what a dynamic model shows to inference.
      std::vector<TypeInfo> types;
      for (const Tensor& t : drawn.inputs) {
        types.push_back(t.defined() ? TypeInfo::Of(t) : TypeInfo{});
        for (Dim& x : types.back().dims) x = choices.Chance(0.4) ? Dim::Unknown() : x;
        if (choices.Chance(0.1)) types.back() = {types.back().dtype, false, {}};
      }
      std::vector<const TypeInfo*> args;
      for (size_t i = 0; i < types.size(); ++i)
        args.push_back(drawn.inputs[i].defined() ? &types[i] : nullptr);
      (void)InferNode(spec, *drawn.node, args, std::vector<const Tensor*>(args.size(), nullptr));
    }
  }
}

}  // namespace
}  // namespace assay
