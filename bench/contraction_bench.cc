// How fast are the contractions on one core, in each scalar domain? Argument of all: the Store (0
// native float, 2 double, 3 field). items/s are multiply-adds.
#include <benchmark/benchmark.h>

#include "interp/exec.h"
#include "interp/field.h"

namespace assay {
namespace {

Tensor Random(const Shape& shape, Store store) {
  Choices choices(1);
  Tensor t = Tensor::Make(DType::kFloat, shape).value();
  for (int64_t i = 0; i < t.size(); ++i) t.Set(i, choices.Normal());
  return t.To(store);
}

void Evaluate(benchmark::State& state, const char* op, const std::vector<Shape>& shapes,
              std::vector<Attribute> attrs) {
  Store store = static_cast<Store>(state.range(0));
  FieldContext context(1, {});
  FieldScope scope(&context);
  std::vector<Tensor> inputs;
  std::vector<const Tensor*> args;
  std::vector<std::string> names;
  for (const Shape& s : shapes) {
    inputs.push_back(Random(s, store));
    names.push_back("x" + std::to_string(names.size()));
  }
  for (const Tensor& t : inputs) args.push_back(&t);
  NodePtr node = MakeNode(op, names, {"y"}, std::move(attrs));
  const OpSpec& spec = *FindOp("", op, 17);
  for (auto _ : state) benchmark::DoNotOptimize(EvalNode(spec, *node, args, store, Limits{}, 17));
}

// The convolutions of ResNet-50 for one 224x224 image: 4.1e9 multiply-adds.
struct Layer {
  int64_t channels, extent, maps, kernel, stride, count;
};
constexpr Layer kResNet50[] = {
    {3, 224, 64, 7, 2, 1},    {64, 56, 64, 1, 1, 1},     {64, 56, 64, 3, 1, 3},
    {64, 56, 256, 1, 1, 4},   {256, 56, 64, 1, 1, 2},    {256, 56, 128, 1, 1, 1},
    {128, 56, 128, 3, 2, 1},  {256, 56, 512, 1, 2, 1},   {128, 28, 512, 1, 1, 4},
    {512, 28, 128, 1, 1, 3},  {128, 28, 128, 3, 1, 3},   {512, 28, 256, 1, 1, 1},
    {256, 28, 256, 3, 2, 1},  {512, 28, 1024, 1, 2, 1},  {256, 14, 1024, 1, 1, 6},
    {1024, 14, 256, 1, 1, 5}, {256, 14, 256, 3, 1, 5},   {1024, 14, 512, 1, 1, 1},
    {512, 14, 512, 3, 2, 1},  {1024, 14, 2048, 1, 2, 1}, {512, 7, 2048, 1, 1, 3},
    {2048, 7, 512, 1, 1, 2},  {512, 7, 512, 3, 1, 2},
};
void BM_ResNet50(benchmark::State& state) {
  Store store = static_cast<Store>(state.range(0));
  FieldContext context(1, {});
  FieldScope scope(&context);
  const OpSpec& spec = *FindOp("", "Conv", 17);
  struct Work {
    Tensor x, w;
    NodePtr node;
    int64_t count;
  };
  std::vector<Work> work;
  int64_t products = 0;
  for (const Layer& l : kResNet50) {
    std::vector<int64_t> strides(2, l.stride), pads(4, l.kernel / 2);
    work.push_back(
        {Random({1, l.channels, l.extent, l.extent}, store),
         Random({l.maps, l.channels, l.kernel, l.kernel}, store),
         MakeNode("Conv", {"x", "w"}, {"y"}, {{"strides", strides, {}}, {"pads", pads, {}}}),
         l.count});
    int64_t out = (l.extent + l.stride - 1) / l.stride;
    products += l.count * out * out * l.maps * l.channels * l.kernel * l.kernel;
  }
  for (auto _ : state) {
    for (const Work& w : work) {
      for (int64_t i = 0; i < w.count; ++i) {
        benchmark::DoNotOptimize(EvalNode(spec, *w.node, {&w.x, &w.w}, store, Limits{}, 17));
      }
    }
  }
  state.SetItemsProcessed(state.iterations() * products);
}
BENCHMARK(BM_ResNet50)->Arg(0)->Arg(2)->Arg(3)->Unit(benchmark::kMillisecond);

void BM_Depthwise(benchmark::State& state) {
  std::vector<int64_t> pads(4, 1);
  Evaluate(state, "Conv", {{1, 144, 56, 56}, {144, 1, 3, 3}},
           {{"group", int64_t{144}, {}}, {"pads", pads, {}}});
  state.SetItemsProcessed(state.iterations() * 144 * 56 * 56 * 9);
}
BENCHMARK(BM_Depthwise)->Arg(0)->Arg(2)->Arg(3)->Unit(benchmark::kMillisecond);

void BM_MatMul(benchmark::State& state) {
  Evaluate(state, "MatMul", {{384, 768}, {768, 3072}}, {});
  state.SetItemsProcessed(state.iterations() * 384 * 768 * 3072);
}
BENCHMARK(BM_MatMul)->Arg(0)->Arg(2)->Arg(3)->Unit(benchmark::kMillisecond);

void BM_Attention(benchmark::State& state) {
  Evaluate(state, "Einsum", {{1, 384, 12, 64}, {1, 384, 12, 64}},
           {{"equation", std::string("bqhd,bkhd->bhqk"), {}}});
  state.SetItemsProcessed(state.iterations() * 384 * 384 * 12 * 64);
}
BENCHMARK(BM_Attention)->Arg(0)->Arg(2)->Arg(3)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace assay
