// The promise of a motif, over the whole table: it can be placed on some value, and then the model
// is valid for us and for libonnx, reproducible, and finite on inputs that it was not built on.
#include "gen/motif.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <set>

#include "gen/graph_gen.h"
#include "interp/onnx_io.h"
#include "tests/libonnx.h"

namespace assay {
namespace {

constexpr uint64_t kSeeds = 60;
struct Placed {
  Model model;
  std::vector<Tensor> inputs, outputs;
};

// The motif on one graph input; nothing when it was refused there.
std::optional<Placed> Place(const Motif& motif, int opset, uint64_t seed) {
  Choices choices(seed);
  GraphBuilder builder(opset, {});
  int rank = static_cast<int>(choices.Between(motif.min_rank, motif.max_rank));
  Shape shape;
  for (int i = 0; i < rank; ++i) shape.push_back(choices.PickOf<int64_t>({1, 2, 2, 3, 4, 4, 5, 6}));
  std::vector<DType> types;
  for (int t = 1; t < kDTypeCount; ++t) {
    if (Contains(motif.types, static_cast<DType>(t))) types.push_back(static_cast<DType>(t));
  }
  int x = builder.AddInput(choices, choices.Pick(types), shape);
  if (!PlaceMotif(choices, builder, {}, motif, x)) return std::nullopt;
  Placed p{builder.Finish(), builder.InputSample(), builder.OutputSample()};
  return p;
}

bool AllFinite(const Model& model, uint64_t seed) {
  ExecOptions exec;
  exec.keep_all = true;
  Result<Execution> run = assay::Run(model, RandomInputs(model, seed).value(), exec);
  if (!run.ok()) {
    ADD_FAILURE() << run.error().ToString();
    return false;
  }
  for (const auto& [name, t] : run->values) {
    for (int64_t i = 0; IsFloat(t.dtype()) && i < t.size(); ++i) {
      if (!std::isfinite(t.AsDouble(i))) return false;
    }
  }
  return true;
}

class Motifs : public testing::TestWithParam<std::string> {};

TEST_P(Motifs, IsPlacedValidAndFinite) {
  const Motif& motif = *FindMotif(GetParam());
  EXPECT_FALSE(motif.doc.empty());
  EXPECT_NE(motif.tags, 0u);
  int placed = 0;
  std::set<std::string> distinct;
  for (uint64_t seed = 0; seed < kSeeds && placed < 12; ++seed) {
    int opset =
        seed % 3 == 0 ? std::max(motif.since, 9) : std::max(motif.since, seed % 3 == 1 ? 13 : 17);
    std::optional<Placed> p = Place(motif, opset, seed);
    if (!p) continue;
    ++placed;
    std::string where =
        motif.name + " opset " + std::to_string(opset) + " seed " + std::to_string(seed);
    Status valid = Validate(p->model);
    EXPECT_TRUE(valid.ok()) << where << ": " << valid.error().ToString();
    if (opset <= kNewestForLibonnx) {
      EXPECT_EQ(LibonnxSays(p->model), "") << where;
    }
    Result<Execution> run = assay::Run(p->model, p->inputs);
    ASSERT_TRUE(run.ok()) << where << ": " << run.error().ToString();
    for (size_t i = 0; i < p->outputs.size(); ++i)
      EXPECT_TRUE(run->outputs[i].Identical(p->outputs[i])) << where;
    for (uint64_t k = 0; k < 3; ++k) EXPECT_TRUE(AllFinite(p->model, k)) << where;
    std::string bytes = SerializeModel(p->model).value();
    EXPECT_TRUE(bytes == SerializeModel(Place(motif, opset, seed)->model).value()) << where;
    distinct.insert(bytes);
  }
  EXPECT_GE(placed, 3) << motif.name;
  EXPECT_GE(distinct.size(), 2u) << motif.name;
}

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (const Motif& m : AllMotifs()) names.push_back(m.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, Motifs, testing::ValuesIn(Names()),
                         [](const auto& info) { return info.param; });

TEST(MotifTable, EveryTwistIsTaken) {
  // A bait row that offers every opportunity: what is off shows in the graph.
  const Motif& bait = *FindMotif("layer_norm");
  std::set<size_t> sizes;
  bool overridable = false, exposed = false, body = false, cast = false;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    std::optional<Placed> p = Place(bait, 17, seed);
    if (!p) continue;
    const Graph& g = p->model.graph;
    sizes.insert(g.nodes.size());
    overridable |= g.inputs.size() > g.RequiredInputs().size();
    exposed |= g.outputs.size() > 1;
    for (const NodePtr& n : g.nodes) body |= n->op == "If", cast |= n->op == "Cast";
  }
  EXPECT_GT(sizes.size(), 2u);
  EXPECT_TRUE(overridable);
  EXPECT_TRUE(exposed);
  EXPECT_TRUE(body);
  EXPECT_TRUE(cast);
}

TEST(MotifTable, KeepsToTheListOfOperators) {
  GenOptions options;
  options.motifs = {{kFusion, 1.0}};
  options.ops = {"Mul", "Sigmoid", "Relu"};
  for (uint64_t seed = 0; seed < 30; ++seed) {
    Choices choices(seed);
    Model m = Generate(choices, options).value();
    for (const NodePtr& n : m.graph.nodes)
      EXPECT_TRUE(n->op == "Mul" || n->op == "Sigmoid" || n->op == "Relu") << n->op;
  }
}

}  // namespace
}  // namespace assay
