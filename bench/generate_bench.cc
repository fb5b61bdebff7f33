// How long do a model, a solved problem and a layer's worth of fresh weights take? One core.
#include <benchmark/benchmark.h>

#include "gen/catalog.h"
#include "gen/domain.h"
#include "gen/recipe.h"
#include "gen/solver.h"
#include "interp/onnx_io.h"

namespace assay {
namespace {

// Seed to checked, evaluated model, with its inputs and outputs. Argument: operators asked for.
void BM_Generate(benchmark::State& state) {
  GenOptions options;
  options.nodes = static_cast<int>(state.range(0));
  uint64_t seed = 0;
  int64_t nodes = 0;
  for (auto _ : state) {
    Choices choices(MixSeeds(1, seed++));
    Result<Generated> g = GenerateCase(choices, options);
    if (g.ok()) nodes += static_cast<int64_t>(g->model.graph.nodes.size());
  }
  state.counters["nodes"] = static_cast<double>(nodes) / static_cast<double>(state.iterations());
}
BENCHMARK(BM_Generate)->Arg(10)->Arg(15)->Arg(20)->Arg(40)->Arg(80)->Unit(benchmark::kMillisecond);

// The same, and the ONNX bytes; NNSmith's 10 and 80 asked nodes are 15 and 120 of ours.
void BM_GenerateToBytes(benchmark::State& state) {
  Recipe recipe;
  recipe.nodes = static_cast<int>(state.range(0));
  GenOptions options = OptionsOf(recipe).value();
  int64_t nodes = 0;
  for (auto _ : state) {
    ++recipe.index;
    Result<Generated> g = Make(recipe, options);
    if (!g.ok()) continue;
    nodes += static_cast<int64_t>(g->model.graph.nodes.size());
    benchmark::DoNotOptimize(SerializeModel(g->model));
  }
  state.counters["nodes/s"] =
      benchmark::Counter(static_cast<double>(nodes), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_GenerateToBytes)
    ->Arg(10)
    ->Arg(15)
    ->Arg(120)
    ->Arg(1000)
    ->Arg(10000)
    ->Unit(benchmark::kMillisecond);

// A 2-d Conv: weights' extents, group, strides, pads and dilations unknown.
void BM_SolveConv(benchmark::State& state) {
  const OpSpec* spec = FindOp("", "Conv", 17);
  Node node = BareNode(*spec, 1);
  node.inputs = {"x", "w"};
  uint64_t seed = 0;
  int64_t solved = 0;
  for (auto _ : state) {
    Choices choices(seed++);
    Problem p;
    p.spec = spec;
    p.node = &node;
    p.inputs = {TypeInfo::Of(DType::kFloat, DrawShape(choices, 4, 512)),
                {DType::kFloat, true, std::vector<Dim>(4, Dim(1, 64))}};
    p.values.assign(2, nullptr);
    for (const char* name : {"group", "strides", "pads", "dilations"}) {
      p.attributes[name] = UnknownAttribute(*spec->FindAttr(name), 4);
    }
    solved += Solve(choices, p);
  }
  state.counters["solved"] = static_cast<double>(solved) / static_cast<double>(state.iterations());
}
BENCHMARK(BM_SolveConv)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace assay
