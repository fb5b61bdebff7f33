// Threads within one operator. A ThreadScope lends threads to the kernels that the current thread runs; without one
// everything runs on it alone, as in a campaign, where cases are what runs side by side.
//
// The parts of a kernel follow from shapes, never from the number of threads: the same operands give the same bits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>

namespace assay {

class ThreadScope {
 public:
  // `threads` counts the current one; below 2, or within another scope, nothing changes. The threads end with the scope.
  explicit ThreadScope(int threads);
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

  struct Pool;

 private:
  std::unique_ptr<Pool> pool_;
};

// How many calls of a part may run at once here: worker numbers of ParallelFor are below it.
int ThreadsHere();

// Calls part(i, worker) for each i in [0, parts), in any order, and returns when all have. Two calls at the same time
// have different workers. A part that asks for threads itself runs alone. The FieldContext bound here is bound there.
void ParallelFor(int64_t parts, const std::function<void(int64_t i, int worker)>& part);

// The same over ranges of [0, n) of `grain` elements, the last of fewer: f(begin, end).
void ParallelParts(int64_t n, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& f);
template <class F>
void ParallelRanges(int64_t n, int64_t grain, const F& f) {
  if (n <= grain)
    f(int64_t{0}, n);
  else
    ParallelParts(n, grain, f);
}

// Calls f(i) for each of n planes, channels or rows of `size` elements, in any order; a thread gets enough of them to be
// worth waking.
template <class F>
void ForPlanes(int64_t n, int64_t size, F&& f) {
  constexpr int64_t kElements = 1 << 13;
  auto range = [&](int64_t begin, int64_t end) {
    // A copy that nobody else can reach: what it captures by value stays in registers.
    std::decay_t<F> here = f;
    for (int64_t i = begin; i < end; ++i) here(i);
  };
  int64_t grain = 1 + kElements / std::max<int64_t>(size, 1);
  if (n <= grain || ThreadsHere() == 1)
    range(0, n);
  else
    ParallelRanges(n, grain, range);
}

// The same for single elements.
template <class F>
void ForElements(int64_t n, F&& f) {
  ForPlanes(n, 1, f);
}

}  // namespace assay
