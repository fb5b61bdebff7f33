// What does a proof cost, and a whole case? Of small generated models, and of a ResNet-50.
#include <benchmark/benchmark.h>

#include <fmt/format.h>

#include "fuzz/convert.h"
#include "fuzz/run_case.h"
#include "gen/graph_gen.h"
#include "interp/text.h"
#include "oracle/lab.h"

namespace assay {
namespace {

struct Pair {
  Model source, target;
};

Pair Rewritten(const Model& source, int rewrites, uint64_t seed) {
  Choices choices(seed);
  return {source, Convert(source, {.rewrites = rewrites}, choices).value().target};
}

void Prove(const Pair& pair) {
  std::unique_ptr<Lab> lab = Lab::Make(pair.source, pair.target, {}).value();
  std::string reason;
  benchmark::DoNotOptimize(lab->Prove(pair.target, &reason).ok());
}

// A model of about `range` operators against itself after three rewrites.
void BM_SmallProof(benchmark::State& state) {
  std::vector<Pair> pairs;
  for (uint64_t seed = 0; pairs.size() < 64; ++seed) {
    GenOptions options;
    options.nodes = static_cast<int>(state.range(0));
    Choices choices(seed);
    Result<Generated> g = GenerateCase(choices, options);
    if (g.ok()) pairs.push_back(Rewritten(g->model, 3, seed));
  }
  size_t at = 0;
  for (auto _ : state) Prove(pairs[at++ % pairs.size()]);
  state.SetItemsProcessed(static_cast<int64_t>(at));
}
BENCHMARK(BM_SmallProof)->Arg(10)->Arg(40)->Unit(benchmark::kMicrosecond);

// Generate, convert, judge, verify, repair, judge again: items are cases.
void BM_Case(benchmark::State& state) {
  CaseOptions options;
  options.nodes = static_cast<int>(state.range(0));
  CaseCommands commands = CaseCommands::Of(options).value();
  int64_t index = 0;
  for (auto _ : state) benchmark::DoNotOptimize(RunCase(options, commands, index++ % 256, ""));
  state.SetItemsProcessed(index);
}
BENCHMARK(BM_Case)->Arg(10)->Unit(benchmark::kMillisecond);

// Text of a ResNet-50: convolutions, each with a BatchNormalization behind.
class ResNet {
 public:
  Model Make() {
    std::string x = Relu(Conv("x", 3, 64, 7, 2));
    body_ += "pool = MaxPool(" + x + ") {kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]}\n";
    x = "pool";
    int channels = 64;
    for (int stage = 0; stage < 4; ++stage) {
      constexpr int kBlocks[] = {3, 4, 6, 3};
      int width = 64 << stage;
      for (int block = 0; block < kBlocks[stage]; ++block) {
        int stride = stage > 0 && block == 0 ? 2 : 1;
        std::string skip = block == 0 ? Conv(x, channels, 4 * width, 1, stride) : x;
        std::string y = Relu(Conv(x, channels, width, 1, 1));
        y = Relu(Conv(y, width, width, 3, stride));
        y = Conv(y, width, 4 * width, 1, 1);
        std::string sum = Fresh();
        body_ += sum + " = Add(" + y + ", " + skip + ")\n";
        x = Relu(sum);
        channels = 4 * width;
      }
    }
    body_ += "fw = float[2048,1000] random(1)\np = GlobalAveragePool(" + x + ")\nf = Flatten(p)\ny = MatMul(f, fw)\n";
    return ParseText("graph(float[1,3,224,224] x) -> (float[1,1000] y) {\n" + body_ + "}").value();
  }

 private:
  std::string Fresh() { return "v" + std::to_string(++names_); }
  std::string Conv(const std::string& x, int in, int out, int kernel, int stride) {
    std::string c = Fresh(), n = Fresh(), w = "w_" + c;
    int pad = kernel / 2;
    body_ += fmt::format("{} = float[{},{},{},{}] random({})\n", w, out, in, kernel, kernel, names_);
    body_ += fmt::format("{} = Conv({}, {}) {{strides=[{},{}], pads=[{},{},{},{}]}}\n", c, x, w, stride, stride, pad,
                         pad, pad, pad);
    for (const char* p : {"s", "b", "m"}) body_ += fmt::format("{}_{} = float[{}] random({})\n", p, n, out, ++names_);
    body_ += fmt::format("v_{} = float[{}] fill(1.5)\n{} = BatchNormalization({}, s_{}, b_{}, m_{}, v_{})\n", n, out, n,
                         c, n, n, n, n);
    return n;
  }
  std::string Relu(const std::string& x) {
    std::string r = Fresh();
    body_ += r + " = Relu(" + x + ")\n";
    return r;
  }
  std::string body_;
  int names_ = 0;
};

void BM_ResNet50Proof(benchmark::State& state) {
  Pair pair = Rewritten(ResNet().Make(), 5, 1);
  for (auto _ : state) Prove(pair);
}
BENCHMARK(BM_ResNet50Proof)->Unit(benchmark::kSecond)->Iterations(1);

}  // namespace
}  // namespace assay
