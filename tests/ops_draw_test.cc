// Over all rows: what a draw callback drafts satisfies the row's rule and runs, in every scalar
// domain with the same shapes.
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

}  // namespace
}  // namespace assay
