// The promises of faults and rewrites, over both tables: a rewrite computes the same wherever it
// applies, a fault leaves a valid model and shows in its own example; sites are safe on every
// graph; steps print, parse and replay.
#include <gtest/gtest.h>

#include <cmath>

#include "fuzz/convert.h"
#include "interp/exec.h"
#include "interp/onnx_io.h"
#include "interp/text.h"

namespace assay {
namespace {

constexpr size_t kSitesPerGraph = 24;

// Nothing when the graph needs an operator that has no row.
std::optional<Subject> Parse(const std::string& text, const std::string& name) {
  Result<Model> m = ParseText(text, name);
  EXPECT_TRUE(m.ok()) << m.error().ToString();
  if (!m.ok()) return std::nullopt;
  Result<Subject> s = Subject::Of(*m);
  EXPECT_TRUE(s.ok() || s.error().code == Code::kUnsupported)
      << name << ": " << s.error().ToString();
  if (!s.ok()) return std::nullopt;
  return std::move(s).value();
}

// The model with double for float, so that folds are rounded a thousand million times finer;
// nothing when an operator wants float.
std::optional<Subject> InDouble(const Model& model) {
  Model m = model;
  auto widen = [](DType* t) {
    if (*t == DType::kFloat) *t = DType::kDouble;
  };
  for (ValueInfo& v : m.graph.inputs) widen(&v.dtype);
  for (ValueInfo& v : m.graph.outputs) widen(&v.dtype);
  auto convert = [](const Tensor& t) {
    if (t.dtype() != DType::kFloat) return t;
    Tensor d = Tensor::Make(DType::kDouble, t.shape()).value();
    for (int64_t i = 0; i < t.size(); ++i) d.Set(i, t.AsDouble(i));
    return d;
  };
  for (Initializer& i : m.graph.initializers) i.value = convert(i.value);
  for (NodePtr& n : m.graph.nodes) {
    Node copy = *n;
    for (Attribute& a : copy.attrs) {
      if (auto t = std::get_if<Tensor>(&a.value)) a.value = convert(*t);
      if (copy.op == "Cast" && a.name == "to" && std::get<int64_t>(a.value) == 1)
        a.value = int64_t{11};
    }
    n = std::make_shared<const Node>(copy);
  }
  Result<Subject> s = Subject::Of(m);
  if (!s.ok() || !Validate(m).ok()) return std::nullopt;
  return std::move(s).value();
}

Result<std::vector<Tensor>> RunDouble(const Model& m, uint64_t seed) {
  std::vector<Tensor> inputs = TRY(RandomInputs(m, seed));
  ExecOptions options;
  options.store = Store::kDouble;
  Execution e = TRY(Run(m, inputs, options));
  return e.outputs;
}

// Largest difference relative to the largest magnitude of an output; infinite when the outputs are
// not comparable.
double Difference(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  if (a.size() != b.size()) return INFINITY;
  double worst = 0;
  for (size_t k = 0; k < a.size(); ++k) {
    if (a[k].dtype() != b[k].dtype() || a[k].shape() != b[k].shape()) return INFINITY;
    if (a[k].dtype() == DType::kString) continue;
    double scale = 0, most = 0;
    for (int64_t i = 0; i < a[k].size(); ++i) {
      double x = a[k].AsDouble(i), y = b[k].AsDouble(i);
      if (std::isnan(x) && std::isnan(y)) continue;
      if (std::isfinite(x)) scale = std::max(scale, std::fabs(x));
      if (x == y) continue;
      most = std::max(most, std::isfinite(x) && std::isfinite(y) ? std::fabs(x - y) : INFINITY);
    }
    worst = std::max(worst, most == 0 ? 0 : most / std::max(scale, 1e-30));
  }
  return worst;
}

std::vector<Subject> Examples() {
  std::vector<Subject> all;
  for (const std::vector<Transform>* table : {&AllFaults(), &AllRewrites()}) {
    for (const Transform& t : *table) {
      if (t.example.empty()) continue;
      if (std::optional<Subject> s = Parse(t.example, t.name)) all.push_back(std::move(*s));
    }
  }
  return all;
}

// Sites, at most so many, spread over the list.
std::vector<Site> SomeSites(const Transform& t, const Subject& s) {
  std::vector<Site> sites = t.sites(s), some;
  size_t step = std::max<size_t>(1, sites.size() / kSitesPerGraph);
  for (size_t i = 0; i < sites.size(); i += step) some.push_back(sites[i]);
  return some;
}

void ExpectPreserves(const Transform& t, const Subject& s, const Site& site, double bound) {
  std::string where = t.name + "@" + site.ToString() + "\n" + ToText(s.model);
  Result<Subject> after = t.Apply(s, site);
  // A fold may overflow its type; everything else that a row lists has to work.
  if (!after.ok() && after.error().code == Code::kUnsupported) return;
  if (!after.ok()) {
    EXPECT_NE(after.error().message.find("not finite"), std::string::npos)
        << after.error().ToString() << where;
    return;
  }
  ASSERT_TRUE(Validate(after->model).ok()) << Validate(after->model).error().ToString() << where;
  for (uint64_t seed : {1, 2}) {
    Result<std::vector<Tensor>> a = RunDouble(s.model, seed), b = RunDouble(after->model, seed);
    if (!a.ok()) return;
    ASSERT_TRUE(b.ok()) << b.error().ToString() << where << ToText(after->model);
    EXPECT_LE(Difference(*a, *b), bound) << where << ToText(after->model);
  }
}

TEST(Transforms, TablesAreComplete) {
  std::map<std::string, int> by_class;
  for (const Transform& t : AllFaults()) ++by_class[t.cls];
  for (const char* cls : {"PP", "ID", "TSS", "WB", "LH", "CG"}) EXPECT_GE(by_class[cls], 5) << cls;
  for (const std::vector<Transform>* table : {&AllFaults(), &AllRewrites()}) {
    for (const Transform& t : *table) {
      for (const std::string* field : {&t.doc, &t.cite, &t.precondition, &t.ops})
        EXPECT_FALSE(field->empty()) << t.name;
      EXPECT_TRUE(t.sites && t.apply) << t.name;
      EXPECT_EQ(FindTransform(t.name), &t);
    }
  }
}

TEST(Transforms, EveryRowAppliesToItsExample) {
  for (const std::vector<Transform>* table : {&AllFaults(), &AllRewrites()}) {
    for (const Transform& t : *table) {
      if (t.example.empty()) continue;
      std::optional<Subject> s = Parse(t.example, t.name);
      EXPECT_TRUE(!s || !t.sites(*s).empty()) << t.name;
    }
  }
}

TEST(Transforms, RewritesPreserveOnEveryExample) {
  std::vector<Subject> graphs = Examples();
  for (const Subject& s : graphs) {
    std::optional<Subject> wide = InDouble(s.model);
    for (const Transform& t : AllRewrites()) {
      for (const Site& site : SomeSites(t, wide ? *wide : s))
        ExpectPreserves(t, wide ? *wide : s, site, wide ? 2e-7 : 1e-4);
    }
  }
}

// Where inputs are no longer comparable the interface differs, which every user sees.
bool Observable(const Subject& s, const Subject& after) {
  for (uint64_t seed : {1, 2, 3}) {
    Result<std::vector<Tensor>> inputs = RandomInputs(s.model, seed);
    if (!inputs.ok()) return false;
    ExecOptions options;
    options.store = Store::kDouble;
    Result<Execution> a = Run(s.model, *inputs, options), b = Run(after.model, *inputs, options);
    if (!a.ok()) return false;
    if (!b.ok() || Difference(a->outputs, b->outputs) > 1e-9) return true;
  }
  return false;
}

TEST(Transforms, FaultsShowInTheirExampleAndStayValid) {
  for (const Transform& t : AllFaults()) {
    if (t.example.empty()) continue;
    std::optional<Subject> s = Parse(t.example, t.name);
    if (!s) continue;
    bool seen = false;
    for (const Site& site : SomeSites(t, *s)) {
      Result<Subject> after = t.Apply(*s, site);
      if (after.ok()) seen |= Observable(*s, *after);
    }
    EXPECT_TRUE(seen) << t.name;
  }
}

TEST(Transforms, FaultsLeaveValidModelsOnEveryExample) {
  std::vector<Subject> graphs = Examples();
  for (const Subject& s : graphs) {
    for (const Transform& t : AllFaults()) {
      for (const Site& site : SomeSites(t, s)) {
        Result<Subject> after = t.Apply(s, site);
        if (!after.ok()) continue;  // other extents need not fit what follows
        Status valid = Validate(after->model);
        EXPECT_TRUE(valid.ok()) << t.name << "@" << site.ToString() << valid.error().ToString();
      }
    }
  }
}

TEST(Transforms, StepsPrintParseAndReplay) {
  std::vector<Subject> graphs = Examples();
  for (const std::vector<Transform>* table : {&AllFaults(), &AllRewrites()}) {
    for (const Transform& t : *table) {
      for (const Subject& s : graphs) {
        std::vector<Site> sites = t.sites(s);
        if (sites.empty()) continue;
        Step step{t.name, sites.back()};
        Result<Step> parsed = Step::Parse(step.ToString());
        ASSERT_TRUE(parsed.ok());
        EXPECT_EQ(*parsed, step) << step.ToString();
        Result<Subject> once = t.Apply(s, step.site), again = t.Apply(s, parsed->site);
        ASSERT_EQ(once.ok(), again.ok());
        if (!once.ok()) continue;
        EXPECT_EQ(ToText(once->model), ToText(again->model)) << step.ToString();
      }
    }
  }
}

// Where the side condition of a rewrite does not hold, the argument is not offered.
TEST(Transforms, SideConditionsAreExact) {
  struct Row {
    const char* rewrite;
    const char* argument;
    const char* graph;
  };
  const Row rows[] = {
      {"B01", "fold",
       "graph(float[1,1,2,2] x, float[1,1,2,2] w) -> (y) { p = int64[8] {0,0,1,0,0,0,0,0} c = "
       "float[] {1} "
       "h = Pad(x, p, c) y = Conv(h, w) }"},
      {"B01", "fold",
       "graph(float[1,1,2,2] x, float[1,2,2,2] w) -> (y) { p = int64[8] {0,1,0,0,0,0,0,0} h = "
       "Pad(x, p) "
       "y = Conv(h, w) }"},
      {"B02", "fold",
       "graph(float[1,1,4,4] x) -> (y) { p = int64[8] {0,0,1,0,0,0,0,0} h = Pad(x, p) "
       "y = AveragePool(h) {kernel_shape=[3,3], pads=[1,1,1,1]} }"},
      {"B02", "fold",
       "graph(float[1,1,4,4] x) -> (y) { p = int64[8] {0,0,1,0,0,0,0,0} h = Pad(x, p) "
       "y = MaxPool(h) {kernel_shape=[3,3]} }"},
      {"B02", "split",
       "graph(float[1,1,4,4] x) -> (y) { y = AveragePool(x) {kernel_shape=[3,3], pads=[1,1,1,1]} "
       "}"},
      {"B04", "fold",
       "graph(float[1,1,2,2] x) -> (y, h) { w = float[1,1,1,1] {2} s = float[1] {1} "
       "h = Conv(x, w) y = BatchNormalization(h, s, s, s, s) }"},
      {"B08", "fuse0",
       "graph(float[2,3] x, float[3,2] w, float[3,2,2] b) -> (y) { h = MatMul(x, w) y = Add(h, b) "
       "}"},
      {"B08", "split", "graph(float[2,3] x, float[3,2] w) -> (y) { y = Gemm(x, w) {alpha=2.0} }"},
      {"B09", "fold_transA",
       "graph(float[2,2] x, float[2,2] w) -> (y) { t = Transpose(x) {perm=[0,1]} y = Gemm(t, w) }"},
      {"B12", "reshape", "graph(float[2,3] x) -> (y) { y = Transpose(x) {perm=[1,0]} }"},
      {"B12", "transpose",
       "graph(float[1,2,3] x) -> (y) { s = int64[3] {3,1,2} y = Reshape(x, s) }"},
      {"B16", "keep",
       "graph(float[2,3] x) -> (y) { a = int64[1] {1} z = int64[1] {0} r = ReduceSum(x, a) "
       "{keepdims=0} "
       "y = Unsqueeze(r, z) }"},
      {"B17", "pool", "graph(float[1,2,3,4] x) -> (y) { y = ReduceMean(x) {axes=[3]} }"},
      {"B18", "relu", "graph(float[2] x) -> (y) { c = float[] {0.5} y = Max(x, c) }"},
      {"B22", "remove", "graph(float[2] x) -> (y) { y = Identity(x) }"},
      {"B38", "remove", "graph(float[1] x) -> (y) { z = float[2] {0,0} h = Neg(x) y = Add(h, z) }"},
      {"B38", "remove", "graph(float[2] x) -> (y) { h = Cast(x) {to=10} y = Cast(h) {to=1} }"},
      {"B49", "collapse",
       "graph(float[2] x) -> (y) { a = float[] {0} b = float[] {1} h = Clip(x, a) y = Clip(h, a, "
       "b) }"},
      {"B50", "int64max0",
       "graph(float[5] x) -> (y) { s = int64[1] {1} t = int64[1] {4} y = Slice(x, s, t) }"},
      {"B51", "reverse",
       "graph(float[2,2] x) -> (y, r) { w = float[2,2] {1,2,3,4} h = MatMul(x, w) r = Relu(h) "
       "y = MatMul(r, w) }"},
      {"B53", "left", "graph(float[2] x) -> (y, h) { h = Add(x, x) y = Add(h, x) }"},
  };
  for (const Row& row : rows) {
    std::optional<Subject> s = Parse(row.graph, row.rewrite);
    const Transform* t = FindTransform(row.rewrite);
    ASSERT_TRUE(t) << row.rewrite;
    if (!s) continue;
    for (const Site& site : t->sites(*s)) {
      EXPECT_NE(site.argument, row.argument)
          << row.rewrite << "@" << site.ToString() << " " << row.graph;
    }
  }
}

TEST(Transforms, RefuseSitesTheyDoNotList) {
  std::vector<Subject> graphs = Examples();
  for (const std::vector<Transform>* table : {&AllFaults(), &AllRewrites()}) {
    for (const Transform& t : *table) {
      for (size_t g = 0; g < graphs.size(); g += 7) {
        for (const char* text : {"nothing", "nothing:0", "y:1,2,3", "*:-1", "*:x"}) {
          EXPECT_FALSE(t.Apply(graphs[g], Site::Parse(text)).ok()) << t.name << "@" << text;
        }
      }
    }
  }
}

}  // namespace
}  // namespace assay
