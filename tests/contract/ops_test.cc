// Over all rows of the operator table: examples run in every scalar domain, and nodes of random
// types, shapes, attributes and values, hostile ones among them, end in a value or an error, within
// the limits.
#include <gtest/gtest.h>

#include "fuzz/hostile_node.h"
#include "interp/exec.h"
#include "interp/field.h"
#include "interp/text.h"

namespace assay {
namespace {

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

// What inference that knows less says of a node that runs: nothing else.
void ExpectInferred(const OpSpec& spec, const HostileNode& h, const std::vector<TypeInfo>& known,
                    const std::vector<Tensor>& results) {
  std::vector<const TypeInfo*> types;
  for (size_t i = 0; i < known.size(); ++i)
    types.push_back(h.inputs[i].defined() ? &known[i] : nullptr);
  auto less = InferNode(spec, *h.node, types, std::vector<const Tensor*>(types.size(), nullptr));
  if (!less.ok()) {
    EXPECT_TRUE(less.error().code == Code::kUnsupported || spec.Has(kRunsGraphs))
        << NameOf(spec) << ": " << less.error().ToString();
    return;
  }
  for (size_t i = 0; i < results.size(); ++i) {
    const TypeInfo& t = (*less)[i];
    const Tensor& y = results[i];
    if (!y.defined() || IsList(y.dtype()) || !t.ranked) continue;
    ASSERT_EQ(t.dims.size(), static_cast<size_t>(y.rank())) << NameOf(spec);
    for (size_t d = 0; d < t.dims.size(); ++d) {
      EXPECT_NE(t.dims[d] == Dim(y.dim(static_cast<int>(d))), Truth::kFalse)
          << NameOf(spec) << ": " << t.ToString() << " against " << y.TypeString();
    }
  }
}

TEST(OpContract, HostileNodesEndInAValueOrAnError) {
  constexpr int kRounds = 150;
  int64_t values = 0;
  Limits limits = Limits::Small();
  limits.seconds = 0.05;  // of a loop without end
  for (size_t row = 0; row < AllOps().size(); ++row) {
    const OpSpec& spec = AllOps()[row];
    if (!spec.eval) continue;
    for (uint64_t round = 0; round < kRounds; ++round) {
      Choices choices(MixSeeds(row, round));
      const HostileNode h = DrawHostileNode(choices, spec);
      const std::vector<TypeInfo> known = PartlyKnown(choices, h);
      InEveryDomain([&](Store store) {
        std::vector<Tensor> stored;
        std::vector<const Tensor*> args;
        for (size_t i = 0; i < h.inputs.size(); ++i) {
          const Tensor& t = h.inputs[i];
          bool keep = !t.defined() || store == Store::kNative ||
                      spec.InputAt(static_cast<int>(i)).parameter;
          stored.push_back(keep ? t : t.To(store));
        }
        for (const Tensor& t : stored) args.push_back(t.defined() ? &t : nullptr);
        auto run = [&](bool overwrite) {
          return EvalNode(spec, *h.node, args, store, limits, std::max(spec.since, 7), 0,
                          overwrite);
        };
        auto out = run(false);
        if (!out.ok()) {
          EXPECT_NE(out.error().code, Code::kInternal)
              << NameOf(spec) << ": " << out.error().ToString();
          return;
        }
        ++values;
        if (store == Store::kNative) ExpectInferred(spec, h, known, *out);
        if ((spec.traits & (kElementwise | kInPlace)) && !spec.Has(kNondeterministic) &&
            args.size() > 0 && args[0]) {
          Tensor spare = stored[0].Clone();
          args[0] = &spare;
          auto over = run(true);
          ASSERT_TRUE(over.ok()) << NameOf(spec);
          for (size_t i = 0; i < out->size(); ++i)
            EXPECT_EQ((*out)[i].ContentHash(), (*over)[i].ContentHash())
                << NameOf(spec) << " in place of its operand";
        }
        for (size_t i = 0; i < out->size(); ++i) {
          const Tensor& t = (*out)[i];
          if (!t.defined()) continue;
          EXPECT_LE(t.size(), limits.elements) << NameOf(spec);
          EXPECT_TRUE(Contains(spec.OutputAt(static_cast<int>(i)).types, t.dtype()))
              << NameOf(spec);
        }
      });
    }
  }
  EXPECT_GE(values, 50000);
}

}  // namespace
}  // namespace assay
