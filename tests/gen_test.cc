// The generator: valid by our rules and by libonnx's, finite, alive, reproducible, within its
// options.
#include "gen/graph_gen.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "corpus/sequences.h"
#include "gen/catalog.h"
#include "gen/plant.h"
#include "gen/recipe.h"
#include "interp/exec.h"
#include "interp/onnx_io.h"
#include "tests/libonnx.h"

namespace assay {
namespace {

Generated MustGenerate(uint64_t seed, const GenOptions& options) {
  Choices choices(seed);
  Result<Generated> g = GenerateCase(choices, options);
  EXPECT_TRUE(g.ok()) << "seed " << seed << ": " << (g.ok() ? "" : g.error().ToString());
  return g.ok() ? *std::move(g) : Generated{};
}

bool AllFinite(const Tensor& t) {
  for (int64_t i = 0; IsFloat(t.dtype()) && i < t.size(); ++i) {
    if (!std::isfinite(t.AsDouble(i))) return false;
  }
  return true;
}

TEST(Generate, ModelsAreValidForUsAndForLibonnx) {
  GenOptions options;
  for (int opset : {9, 11, 13, 15, 17}) {
    options.opset = opset;
    for (uint64_t seed = 0; seed < 40; ++seed) {
      Generated g = MustGenerate(seed, options);
      Status valid = Validate(g.model);
      EXPECT_TRUE(valid.ok()) << "opset " << opset << " seed " << seed << ": "
                              << valid.error().ToString();
      EXPECT_EQ(LibonnxSays(g.model), "") << "opset " << opset << " seed " << seed;
    }
  }
}

TEST(Generate, OutputsAreWhatTheInterpreterComputes) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Generated g = MustGenerate(seed, {});
    ASSERT_FALSE(g.outputs.empty());
    Result<Execution> run = assay::Run(g.model, g.inputs);
    ASSERT_TRUE(run.ok()) << run.error().ToString();
    for (size_t i = 0; i < g.outputs.size(); ++i)
      EXPECT_TRUE(run->outputs[i].Identical(g.outputs[i])) << seed;
  }
}

// Not on the drawn samples alone: inputs that the generator never saw keep every intermediate
// finite too.
TEST(Generate, IntermediatesAreFiniteOnFreshInputs) {
  GenOptions options;
  options.nodes = 20;
  int broken = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Generated g = MustGenerate(seed, options);
    for (uint64_t k = 0; k < 4; ++k) {
      ExecOptions exec;
      exec.keep_all = true;
      Result<Execution> run = assay::Run(g.model, RandomInputs(g.model, k).value(), exec);
      ASSERT_TRUE(run.ok()) << "seed " << seed << ": " << run.error().ToString();
      for (const auto& [name, t] : run->values) broken += !AllFinite(t);
    }
  }
  EXPECT_EQ(broken, 0);
}

TEST(Generate, SameSeedSameBytes) {
  GenOptions options;
  std::set<std::string> distinct;
  for (uint64_t seed = 0; seed < 30; ++seed) {
    std::string a = SerializeModel(MustGenerate(seed, options).model).value();
    EXPECT_EQ(a, SerializeModel(MustGenerate(seed, options).model).value());
    distinct.insert(a);
  }
  EXPECT_EQ(distinct.size(), 30u);
}

TEST(Generate, SizeIsWhatWasAskedFor) {
  for (int nodes : {1, 5, 30}) {
    GenOptions options;
    options.nodes = nodes;
    double total = 0;
    for (uint64_t seed = 0; seed < 20; ++seed)
      total += static_cast<double>(MustGenerate(seed, options).model.graph.nodes.size());
    EXPECT_GE(total / 20, nodes);
    EXPECT_LE(total / 20, nodes * 1.3 + 1);
  }
}

TEST(Generate, KeepsToTheListOfOperators) {
  GenOptions options;
  options.ops = {"Add", "Relu", "Mul"};
  options.exclude = {"Mul"};
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (const NodePtr& n : MustGenerate(seed, options).model.graph.nodes) {
      EXPECT_TRUE(n->op == "Add" || n->op == "Relu") << n->op;
    }
  }
  options.ops = {"NoSuchOperator"};
  Choices choices(1);
  Result<Model> none = Generate(choices, options);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, Code::kUsage);
}

// Every operator set, all operators, all element types.
TEST(Generate, ProfileEverythingIsValidAndFinite) {
  GenOptions options = GenOptions::Profile("everything").value();
  options.nodes = 15;
  std::set<int> opsets;
  std::set<std::string> ops;
  for (uint64_t seed = 0; seed < 150; ++seed) {
    Generated g = MustGenerate(seed, options);
    opsets.insert(g.model.Opset());
    for (const NodePtr& n : g.model.graph.nodes) ops.insert(n->op);
    Status valid = Validate(g.model);
    EXPECT_TRUE(valid.ok()) << "seed " << seed << ": " << valid.error().ToString();
    if (g.model.Opset() <= 17) {
      EXPECT_EQ(LibonnxSays(g.model), "") << "seed " << seed;
    }
    ExecOptions exec;
    exec.keep_all = true;
    Result<Execution> run = assay::Run(g.model, g.inputs, exec);
    ASSERT_TRUE(run.ok()) << "seed " << seed << ": " << run.error().ToString();
    for (const auto& [name, t] : run->values) EXPECT_TRUE(AllFinite(t)) << seed << " " << name;
  }
  EXPECT_EQ(opsets.size(), 20u);
  EXPECT_GE(ops.size(), 120u);
}

// A model whose operator set was drawn is made again by the flag that names it.
TEST(Generate, ADrawnOpsetIsInTheRecipe) {
  Recipe recipe;
  recipe.profile = "everything";
  for (recipe.index = 0; recipe.index < 10; ++recipe.index) {
    Generated drawn = Make(recipe, OptionsOf(recipe).value()).value();
    Recipe named = recipe;
    named.opset = drawn.model.Opset();
    EXPECT_NE(drawn.model.metadata[kRecipeKey].find("--opset " + std::to_string(named.opset)),
              std::string::npos);
    Generated again = Make(named, OptionsOf(named).value()).value();
    EXPECT_EQ(SerializeModel(drawn.model).value(), SerializeModel(again.model).value());
  }
}

// Values retire, and yet the graph stays one: all kinds of operators to the end, few inputs.
TEST(Generate, LongGraphsStayDiverse) {
  GenOptions options;
  options.nodes = 2000;
  Generated g = MustGenerate(7, options);
  ASSERT_TRUE(Validate(g.model).ok());
  const Graph& graph = g.model.graph;
  EXPECT_GE(graph.nodes.size(), 2000u);
  EXPECT_LE(graph.inputs.size(), 100u);
  EXPECT_LE(graph.outputs.size(), graph.nodes.size() / 6);  // second outputs are seldom read
  std::set<std::string> last;
  for (size_t i = graph.nodes.size() - 300; i < graph.nodes.size(); ++i)
    last.insert(graph.nodes[i]->op);
  EXPECT_GE(last.size(), 60u);
  Result<Execution> run = assay::Run(g.model, g.inputs);
  ASSERT_TRUE(run.ok()) << run.error().ToString();
  for (size_t i = 0; i < g.outputs.size(); ++i)
    EXPECT_TRUE(run->outputs[i].Identical(g.outputs[i]));
}

// Following a changed constant of this model led a pooling to planes without elements.
TEST(Generate, FollowsNoChangedShape) {
  Recipe recipe;
  recipe.seed = 2;
  recipe.nodes = 15;
  recipe.opset = 17;
  for (recipe.index = 940; recipe.index < 960; ++recipe.index)
    EXPECT_TRUE(Make(recipe, OptionsOf(recipe).value()).ok()) << recipe.index;
}

TEST(Generate, AnyBytesDecideAModel) {
  GenOptions options;
  options.nodes = 5;
  std::vector<uint8_t> bytes;
  for (int i = 0; i < 64; ++i) {
    Choices choices{std::span<const uint8_t>(bytes)};
    Result<Model> m = Generate(choices, options);
    EXPECT_TRUE(!m.ok() || Validate(*m).ok());
    bytes.push_back(static_cast<uint8_t>(i * 37));
  }
}

// The operators of a sequence read one another in this order, whatever else the model holds.
TEST(Gen, PlantsSequences) {
  GenOptions options;
  options.sequence = {"Conv", "Relu", "MaxPool", "Flatten", "Gemm", "Softmax"};
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Generated g = MustGenerate(seed, options);
    ASSERT_TRUE(g.planted);
    SequenceSet set(static_cast<int>(options.sequence.size()));
    ASSERT_TRUE(set.Insert(g.model.graph).ok());
    EXPECT_TRUE(set.Contains(options.sequence)) << "seed " << seed;
  }
}

TEST(Gen, PlantsAnIf) {
  GenOptions options;
  options.sequence = {"Shape", "Gather", "Equal", "If", "Cos"};
  for (uint64_t seed = 0; seed < 5; ++seed) {
    Generated g = MustGenerate(seed, options);
    ASSERT_TRUE(g.planted);
    SequenceSet set(static_cast<int>(options.sequence.size()));
    ASSERT_TRUE(set.Insert(g.model.graph).ok());
    EXPECT_TRUE(set.Contains(options.sequence)) << "seed " << seed;
  }
}

// PRelu passes on what Relu makes: no random node would be so dull.
TEST(Gen, PlantsWhatTellsLittleWhenAskedByName) {
  GenOptions options;
  options.sequence = {"Relu", "PRelu", "PRelu"};
  for (uint64_t seed = 0; seed < 5; ++seed) EXPECT_TRUE(MustGenerate(seed, options).planted);
}

// Else graphs were bundles of chains: 0.9 edges between nodes for each node.
TEST(Gen, BranchesJoin) {
  GenOptions options = GenOptions::Profile("default").value();
  options.nodes = 15;
  size_t nodes = 0, edges = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    std::set<std::string> computed;
    for (const NodePtr& n : MustGenerate(seed, options).model.graph.nodes) {
      for (const std::string& i : n->inputs) edges += computed.count(i);
      for (const std::string& o : n->outputs) computed.insert(o);
      ++nodes;
    }
  }
  EXPECT_GE(static_cast<double>(edges), 1.05 * static_cast<double>(nodes));
}

// A value that is read for its shape alone would be an input that nothing depends on.
TEST(Gen, InputsAreNotReadForTheirShapeAlone) {
  GenOptions options;
  options.nodes = 3;
  options.sequence = {"Shape"};
  for (uint64_t seed = 0; seed < 30; ++seed) {
    Generated g = MustGenerate(seed, options);
    ASSERT_TRUE(g.planted);
    for (const ValueInfo& input : g.model.graph.inputs) {
      bool values_read = false;
      for (const NodePtr& n : g.model.graph.nodes) {
        bool reads = std::count(n->inputs.begin(), n->inputs.end(), input.name) > 0;
        values_read |= reads && n->op != "Shape" && n->op != "Size" && n->op != "EyeLike";
      }
      EXPECT_TRUE(values_read) << "seed " << seed << " " << input.name;
    }
  }
}

// Joined with themselves, texts would double with each node.
TEST(Gen, TextsStayShort) {
  GenOptions options = GenOptions::Profile("everything").value();
  options.opset = 20;
  options.ops = {"StringConcat", "Cast"};
  options.nodes = 60;
  for (uint64_t seed = 0; seed < 5; ++seed) {
    Generated g = MustGenerate(seed, options);
    for (const Tensor& t : g.outputs) {
      if (t.dtype() != DType::kString) continue;
      for (const std::string& text : t.strings()) EXPECT_LE(text.size(), 100u);
    }
    EXPECT_LE(SerializeModel(g.model)->size(), 100000u);
  }
}

TEST(Gen, RowsKnowWhatTheirCallbacksTake) {
  bool one_hot = false, nonzero = false;
  for (const Row& row : Catalog::Of(17).rows()) {
    if (row.spec->name == "OneHot") {
      one_hot = true;
      EXPECT_FALSE(row.Takes(DType::kFloat));  // what is computed seldom is an index
      EXPECT_TRUE(row.Takes(DType::kInt64));
    }
    if (row.spec->name == "NonZero") {
      nonzero = true;
      EXPECT_TRUE(row.constant_first);  // the shape depends on the values
    }
    if (row.spec->name == "LSTM") {
      EXPECT_TRUE(row.TakesRank(3));
      EXPECT_FALSE(row.TakesRank(2));
    }
  }
  EXPECT_TRUE(one_hot && nonzero);
}

// Whatever the operator set that a model would draw, it has both operators that it is to join.
TEST(Gen, DrawsOperatorSetsThatHaveTheLink) {
  GenOptions everything = GenOptions::Profile("everything").value();
  for (uint64_t i = 0; i < 2000; ++i) {
    GenOptions options = everything;
    WantLink(&options, 3, i);
    for (const std::string& op : options.sequence) {
      const OpSpec* spec = FindOp("", op, options.oldest);
      EXPECT_TRUE(spec || options.oldest >= kFirstMlOpset) << op << " at " << options.oldest;
    }
  }
}

TEST(Gen, AsksForEveryLinkInTurn) {
  GenOptions options;
  options.ops = {"Conv", "Relu", "Cast", "Not", "Gemm"};
  Links links = FeasibleLinks(options);
  std::set<std::pair<std::string, DType>> seen;
  std::set<std::string> by_name;
  for (uint64_t i = 0; i < links.all.size() + links.pairs; ++i) {
    WantLink(&options, 7, i);
    std::string pair = options.sequence[0] + ">" + options.sequence[1];
    if (options.link == DType::kUndefined)
      by_name.insert(pair);
    else
      seen.insert({pair, options.link});
    if (i + 1 == links.pairs) {
      EXPECT_EQ(seen.size(), links.pairs);
    }
    // What the first turn has not placed comes soon again, in any type.
    if (i + 1 == 2 * links.pairs) {
      EXPECT_EQ(by_name.size(), links.pairs);
    }
  }
  EXPECT_EQ(seen.size(), links.all.size());
}

TEST(Gen, SaysWhenASequenceCantBe) {
  GenOptions options;
  options.sequence = {"Not", "Conv"};
  EXPECT_FALSE(MustGenerate(1, options).planted);
}

TEST(Gen, LinksAreThoseOfTypesAndRanks) {
  GenOptions options;
  Links feasible = FeasibleLinks(options);
  std::set<std::string> links;
  for (const Link& l : feasible.all) links.insert(l.from->name + ">" + l.to->name);
  EXPECT_EQ(links.size(), feasible.pairs);
  for (const char* there :
       {"Conv>Relu", "Relu>Conv", "Greater>Where", "ArgMax>Cast", "Flatten>Gemm", "TopK>Gather"})
    EXPECT_TRUE(links.count(there)) << there;
  // Of a DynamicQuantizeLinear the scale alone is a float, and a scalar.
  for (const char* not_there : {"Not>Conv", "Conv>Not", "Flatten>Conv", "Relu>BitShift",
                                "DynamicQuantizeLinear>Conv", "DynamicQuantizeLinear>Softmax"})
    EXPECT_FALSE(links.count(not_there)) << not_there;
}

// Bounds, types that an attribute decides, shapes that are drawn and extents that are always 1 say
// what can't be.
TEST(Gen, FeasiblePairsAreThoseThatCanBe) {
  const auto& pairs = FeasiblePairs();
  auto feasible = [&](const char* from, const char* to) {
    return std::binary_search(pairs.begin(), pairs.end(),
                              std::pair<std::string, std::string>(from, to));
  };
  struct Case {
    const char *from, *to;
    bool feasible;
  };
  const Case cases[] = {
      {"LogSoftmax", "Log", false},
      {"LogSoftmax", "Reciprocal", true},
      {"HannWindow", "Log", false},
      {"HammingWindow", "Log", true},
      {"HannWindow", "ReduceLogSum", true},
      {"Hardmax", "Atanh", false},
      {"HannWindow", "BitShift", false},
      {"EyeLike", "BitShift", true},
      {"MeanVarianceNormalization", "Acosh", false},
      {"LayerNormalization", "Acosh", true},
      {"AffineGrid", "GRU", false},
      {"AffineGrid", "Conv", true},
      {"Gemm", "LRN", false},
      {"Reshape", "LRN", true},
      {"Relu", "AffineGrid", true},
      {"GlobalMaxPool", "AffineGrid", false},
      {"GlobalMaxPool", "Conv", true},
      {"GlobalLpPool", "InstanceNormalization", false},
      {"LpPool", "InstanceNormalization", true},
      {"GlobalAveragePool", "RotaryEmbedding", false},
      {"ReduceMean", "RotaryEmbedding", true},
      {"DFT", "AffineGrid", false},
      {"LSTM", "AffineGrid", true},
      {"Unsqueeze", "AffineGrid", false},
      {"Unsqueeze", "RotaryEmbedding", true},
      {"NonZero", "Concat", true},
  };
  for (const Case& c : cases)
    EXPECT_EQ(feasible(c.from, c.to), c.feasible) << c.from << ">" << c.to;
}

// Few values have the shape that the second operator reads; the plan begins with it.
TEST(Gen, PlantsBehindWhatTheSecondOperatorAsksFor) {
  GenOptions options = GenOptions::Profile("everything").value();
  options.opset = kNewestOpset;
  options.nodes = 2;
  options.plans = 200;
  for (const char* first :
       {"Abs", "MatMul", "Expand", "LSTM", "ReduceMax", "Where", "LabelEncoder"}) {
    int planted = 0;
    for (uint64_t seed = 0; seed < 20 && planted == 0; ++seed) {
      options.sequence = {first, "AffineGrid"};
      planted += MustGenerate(seed, options).planted;
    }
    EXPECT_GE(planted, 1) << first;
  }
}

// As the list of sequences that coverage writes names operators.
TEST(Gen, PlantsOperatorsNamedWithTheirDomain) {
  Recipe recipe;
  recipe.profile = "everything";
  recipe.opset = kNewestOpset;
  recipe.sequence = {"Relu", "ai.onnx.ml.Binarizer", "Neg"};
  Result<GenOptions> options = OptionsOf(recipe);
  ASSERT_TRUE(options.ok()) << options.error().ToString();
  Generated g = Make(recipe, *options).value();
  EXPECT_TRUE(g.planted);
  recipe.sequence = {"Relu", "ai.onnx.ml.Nonsense"};
  EXPECT_EQ(OptionsOf(recipe).error().code, Code::kUsage);
}

TEST(Profile, KnownNamesAndOthers) {
  for (const std::string& name : GenOptions::ProfileNames())
    EXPECT_TRUE(GenOptions::Profile(name).ok());
  Result<GenOptions> none = GenOptions::Profile("nonsense");
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, Code::kUsage);
}

}  // namespace
}  // namespace assay
