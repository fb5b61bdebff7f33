// Over all rows of the operator table: examples run in every scalar domain, and nodes of random
// types, shapes, attributes and values, hostile ones among them, end in a value or an error, within
// the limits.
#include <gtest/gtest.h>

#include <limits>

#include "interp/draw.h"
#include "interp/exec.h"
#include "interp/field.h"
#include "interp/text.h"

namespace assay {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min(),
                  kMax = std::numeric_limits<int64_t>::max();

std::string NameOf(const OpSpec& spec) {
  return spec.domain + "::" + spec.name + "-" + std::to_string(spec.since);
}

// Runs f in float, double and the field.
template <class F>
void InEveryDomain(F&& f) {
  static const FieldContext context(7, {0.5, 2, 1});
  for (Store store : {Store::kNative, Store::kDouble, Store::kField}) {
    FieldScope scope(store == Store::kField ? &context : nullptr);
    f(store);
  }
}

TEST(OpContract, ExamplesRunInEveryDomain) {
  int examples = 0;
  for (const OpSpec& spec : AllOps()) {
    for (const std::string& text : spec.examples) {
      ++examples;
      Result<Model> model = ParseText(text);
      ASSERT_TRUE(model.ok()) << NameOf(spec) << ": " << model.error().ToString();
      Result<std::vector<Tensor>> inputs = RandomInputs(*model, 3);
      ASSERT_TRUE(inputs.ok()) << NameOf(spec);
      Shape shape;
      bool places_are_data = spec.name == "GridSample" || spec.name == "DeformConv" ||
                             spec.name == "NonMaxSuppression" || spec.name == "RoiAlign" ||
                             spec.name == "MaxRoiPool";
      InEveryDomain([&](Store store) {
        if (store == Store::kField && places_are_data) return;
        ExecOptions options;
        options.store = store;
        Result<Execution> run = assay::Run(*model, *inputs, options);
        ASSERT_TRUE(run.ok()) << NameOf(spec) << ": " << run.error().ToString();
        if (store == Store::kNative) shape = run->outputs[0].shape();
        EXPECT_EQ(run->outputs[0].shape(), shape) << NameOf(spec);
        EXPECT_TRUE(Contains(spec.outputs[0].types, run->outputs[0].dtype())) << NameOf(spec);
      });
    }
  }
  EXPECT_GE(examples, 30);
}

// ---- hostile nodes

int64_t HostileInt(Choices& choices) {
  return choices.PickOf<int64_t>({0, 1, 1, 2, 3, 4, -1, -2, 7, 100, -100, int64_t{1} << 31,
                                  int64_t{1} << 40, kMax, kMin, kMax - 1});
}
float HostileFloat(Choices& choices) {
  return choices.PickOf<float>({0.0f, 1.0f, 0.5f, -1.0f, 1e-30f, 3e38f,
                                std::numeric_limits<float>::infinity(),
                                std::numeric_limits<float>::quiet_NaN()});
}

AttrValue HostileAttr(Choices& choices, const AttrSpec& a) {
  const AttrDomain& d = a.domain;
  bool tame = choices.Chance(0.7);
  auto number = [&] {
    if (tame && !d.ints.empty()) return choices.Pick(d.ints);
    if (tame && d.lo < d.hi) return choices.Between(d.lo, d.hi);
    return HostileInt(choices);
  };
  auto text = [&] {
    return !d.strings.empty() ? choices.Pick(d.strings)
                              : choices.PickOf<std::string>({"", "a", "Tanh", "\xff(["});
  };
  size_t n = choices.Below(5);
  switch (a.type) {
    case AttrType::kInt:
      return number();
    case AttrType::kFloat:
      return tame && !d.floats.empty() ? static_cast<float>(choices.Pick(d.floats))
                                       : HostileFloat(choices);
    case AttrType::kString:
      return text();
    case AttrType::kInts: {
      std::vector<int64_t> v(n);
      for (int64_t& i : v) i = number();
      return v;
    }
    case AttrType::kFloats: {
      std::vector<float> v(n);
      for (float& f : v) f = HostileFloat(choices);
      return v;
    }
    case AttrType::kStrings: {
      std::vector<std::string> v(n);
      for (std::string& s : v) s = text();
      return v;
    }
    default:
      return RandomConstant(
          choices,
          choices.PickOf<DType>({DType::kFloat, DType::kInt64, DType::kString, DType::kUint8}),
          {static_cast<int64_t>(n)});
  }
}

DType PickType(Choices& choices, DTypeSet types) {
  std::vector<DType> all;
  for (int i = 1; i < kDTypeCount; ++i) {
    if (Contains(types & ~kComplexes, static_cast<DType>(i))) all.push_back(static_cast<DType>(i));
  }
  return all.empty() ? DType::kComplex64 : choices.Pick(all);
}

// Small extents that often fit each other, at times empty or of another rank.
Shape PickShape(Choices& choices, const Shape& like) {
  if (choices.Chance(0.5)) return like;
  Shape shape(choices.Below(5));
  for (int64_t& d : shape) d = choices.PickOf<int64_t>({1, 2, 2, 3, 4, 4, 6, 0});
  return shape;
}

Tensor HostileTensor(Choices& choices, DType dtype, const Shape& shape) {
  Tensor t = Tensor::Make(dtype, shape).value();
  bool wild = choices.Chance(0.3);
  for (int64_t i = 0; i < t.size(); ++i) {
    if (dtype == DType::kString)
      t.mutable_strings()[i] = choices.PickOf<std::string>({"", "a b", "\xf0\x9f", "1.5"});
    else if (IsFloat(dtype))
      t.Set(i, wild ? static_cast<double>(HostileFloat(choices)) : choices.Normal());
    else if (dtype == DType::kInt64 && wild)
      t.mutable_data<int64_t>()[i] = HostileInt(choices);
    else
      t.Set(i, static_cast<double>(choices.Between(-1, 5)));
  }
  return t;
}

struct Case {
  NodePtr node;
  std::vector<Tensor> inputs;  // undefined: absent
};

Case MakeCase(Choices& choices, const OpSpec& spec) {
  Case c;
  int least = spec.MinInputs(), most = std::min(spec.MaxInputs(), least + 4);
  int count = static_cast<int>(choices.Between(least, std::max(least, most)));
  Shape like = PickShape(choices, {2, 3});
  std::vector<std::pair<std::string, DType>> bound;
  std::vector<std::string> names, outputs;
  for (int i = 0; i < count; ++i) {
    const Formal& f = spec.InputAt(i);
    DType type = PickType(choices, f.types);
    for (const auto& [name, dtype] : bound) type = !f.type.empty() && name == f.type ? dtype : type;
    bound.push_back({f.type, type});
    bool absent = f.arity == Arity::kOptional && choices.Chance(0.4);
    c.inputs.push_back(absent ? Tensor() : HostileTensor(choices, type, PickShape(choices, like)));
    names.push_back(absent ? "" : "x" + std::to_string(i));
  }
  int wanted = static_cast<int>(
      choices.Between(std::max(1, spec.MinOutputs()), std::min(spec.MaxOutputs(), 4)));
  for (int i = 0; i < wanted; ++i) outputs.push_back("y" + std::to_string(i));
  std::vector<Attribute> attrs;
  for (const AttrSpec& a : spec.attrs) {
    if (a.type == AttrType::kGraph || a.type == AttrType::kOpaque) continue;
    if (a.required || choices.Chance(0.4)) attrs.push_back({a.name, HostileAttr(choices, a), {}});
  }
  c.node = MakeNode(spec.name, names, outputs, attrs, "", spec.domain);
  return c;
}

TEST(OpContract, HostileNodesEndInAValueOrAnError) {
  constexpr int kRounds = 200;
  Choices choices(20);
  int64_t values = 0;
  for (const OpSpec& spec : AllOps()) {
    if (!spec.eval || spec.MinOutputs() > 4) continue;
    for (int round = 0; round < kRounds; ++round) {
      Case c = MakeCase(choices, spec);
      InEveryDomain([&](Store store) {
        std::vector<Tensor> stored;
        std::vector<const Tensor*> args;
        for (const Tensor& t : c.inputs)
          stored.push_back(t.defined() && store != Store::kNative ? t.To(store) : t);
        for (const Tensor& t : stored) args.push_back(t.defined() ? &t : nullptr);
        auto out = EvalNode(spec, *c.node, args, store, Limits::Small(), std::max(spec.since, 7));
        if (!out.ok()) return;
        ++values;
        if ((spec.traits & (kElementwise | kInPlace)) && !(spec.traits & kNondeterministic) && args.size() > 0 && args[0]) {
          Tensor spare = stored[0].Clone();
          args[0] = &spare;
          auto over = EvalNode(spec, *c.node, args, store, Limits::Small(), std::max(spec.since, 7), 0, true);
          args[0] = &stored[0];
          ASSERT_TRUE(over.ok()) << NameOf(spec);
          for (size_t i = 0; i < out->size(); ++i)
            EXPECT_EQ((*out)[i].ContentHash(), (*over)[i].ContentHash()) << NameOf(spec) << " in place of its operand";
        }
        for (size_t i = 0; i < out->size(); ++i) {
          const Tensor& t = (*out)[i];
          if (!t.defined()) continue;
          EXPECT_LE(t.size(), Limits::Small().elements) << NameOf(spec);
          EXPECT_TRUE(Contains(spec.OutputAt(static_cast<int>(i)).types, t.dtype()))
              << NameOf(spec);
        }
      });
    }
  }
  EXPECT_GE(values, 10000);
}

}  // namespace
}  // namespace assay
