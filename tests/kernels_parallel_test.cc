// Threads within operators (interp/kernels_parallel.h).
#include "interp/kernels_parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <stdexcept>

#include "interp/exec.h"
#include "interp/field.h"
#include "interp/text.h"

namespace assay {
namespace {

TEST(ParallelFor, CallsEachPartOnceWithAWorkerOfItsOwn) {
  ThreadScope scope(3);
  ASSERT_EQ(ThreadsHere(), 3);
  std::vector<std::atomic<int>> calls(100), busy(3);
  ParallelFor(100, [&](int64_t i, int worker) {
    ++calls[i];
    EXPECT_EQ(busy[worker]++, 0);
    EXPECT_EQ(ThreadsHere(), 1);
    ParallelFor(2, [](int64_t, int inner) { EXPECT_EQ(inner, 0); });
    --busy[worker];
  });
  for (const std::atomic<int>& c : calls) EXPECT_EQ(c, 1);
  EXPECT_EQ(ThreadsHere(), 3);
}

TEST(ParallelFor, AnExceptionOfAPartReachesTheCaller) {
  ThreadScope scope(2);
  auto fail = [] { ParallelFor(50, [](int64_t i, int) { if (i == 30) throw std::runtime_error("part 30"); }); };
  EXPECT_THROW(fail(), std::runtime_error);
  std::atomic<int> calls{0};
  ParallelFor(5, [&](int64_t, int) { ++calls; });
  EXPECT_EQ(calls, 5);
}

TEST(ParallelRanges, CoversEveryElement) {
  ThreadScope scope(2);
  std::vector<std::atomic<int>> seen(101);
  ParallelRanges(101, 10, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) ++seen[i];
  });
  for (const std::atomic<int>& s : seen) EXPECT_EQ(s, 1);
}

TEST(ThreadScope, OneThreadIsNoPoolAndScopesDoNotNest) {
  EXPECT_EQ(ThreadsHere(), 1);
  {
    ThreadScope one(1);
    EXPECT_EQ(ThreadsHere(), 1);
    ThreadScope two(2);
    ThreadScope four(4);
    EXPECT_EQ(ThreadsHere(), 2);
  }
  EXPECT_EQ(ThreadsHere(), 1);
}

// Every kernel that works in parts, large enough to have several.
constexpr const char* kGraph = R"(graph(float[2,64,40,40] x, float[1,300,14,13] s, float[300,700] a) -> (y, z, u, t, f, r, l) {
  w = float[96,64,3,3] random(1)
  b = float[96] random(2)
  v = float[96,1,5,5] random(3)
  p = float[200,96,1,1] random(4)
  m = float[700,400] random(5)
  n = float[400,9] random(6)
  c = Conv(x, w, b) {pads=[1,1,1,1]}
  d = Conv(c, v) {group=96, pads=[2,2,2,2]}
  y = Conv(d, p)
  o = float[130,300,3,3] random(7)
  q = float[16,96,1,1] random(8)
  t = Conv(s, o)
  f = Conv(d, q)
  r = MaxPool(x) {kernel_shape=[3,3], strides=[2,2]}
  l = Concat(y, f) {axis=1}
  z = MatMul(a, m)
  u = MatMul(z, n)
})";

TEST(ThreadScope, NumberOfThreadsChangesNoBit) {
  Result<Model> model = ParseText(kGraph);
  ASSERT_TRUE(model.ok()) << model.error().ToString();
  std::vector<Tensor> inputs = RandomInputs(*model, 1).value();
  FieldContext context(1, {0, 1});
  FieldScope field(&context);
  for (Store store : {Store::kNative, Store::kDouble, Store::kField}) {
    ExecOptions options;
    options.store = store;
    Execution alone = assay::Run(*model, inputs, options).value();
    for (int threads : {2, 5}) {
      ThreadScope scope(threads);
      Execution shared = assay::Run(*model, inputs, options).value();
      for (size_t i = 0; i < alone.outputs.size(); ++i)
        EXPECT_EQ(alone.outputs[i].ContentHash(), shared.outputs[i].ContentHash()) << threads << " threads, output " << i;
    }
  }
}

}  // namespace
}  // namespace assay
