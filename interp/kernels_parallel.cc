#include "interp/kernels_parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#define EIGEN_USE_THREADS
#include <unsupported/Eigen/CXX11/ThreadPool>

#include "interp/field.h"

namespace assay {

struct ThreadScope::Pool {
  explicit Pool(int threads) : size(threads), others(threads - 1) {}
  int size;
  Eigen::ThreadPool others;
};

namespace {
// Of the scope that the current thread is in; null while it runs a part.
thread_local ThreadScope::Pool* here = nullptr;
}  // namespace

ThreadScope::ThreadScope(int threads) {
  if (threads < 2 || here) return;
  pool_ = std::make_unique<Pool>(threads);
  here = pool_.get();
}

ThreadScope::~ThreadScope() {
  if (pool_) here = nullptr;
}

int ThreadsHere() { return here ? here->size : 1; }

void ParallelFor(int64_t parts, const std::function<void(int64_t, int)>& part) {
  ThreadScope::Pool* pool = here;
  if (!pool || parts < 2) {
    for (int64_t i = 0; i < parts; ++i) part(i, 0);
    return;
  }
  std::atomic<int64_t> next{0};
  std::exception_ptr thrown;  // out of memory ends the run, not the process
  std::mutex throwing;
  auto work = [&](int worker) {
    try {
      for (int64_t i = next++; i < parts; i = next++) part(i, worker);
    } catch (...) {
      std::lock_guard<std::mutex> lock(throwing);
      thrown = std::current_exception();
      next = parts;
    }
  };
  int others = static_cast<int>(std::min<int64_t>(pool->size, parts)) - 1;
  const FieldContext* field = FieldContext::current();
  Eigen::Barrier done(static_cast<unsigned>(others));
  for (int worker = 1; worker <= others; ++worker) {
    pool->others.Schedule([&, worker] {
      FieldScope scope(field);
      work(worker);
      done.Notify();
    });
  }
  here = nullptr;
  work(0);
  here = pool;
  done.Wait();
  if (thrown) std::rethrow_exception(thrown);
}

void ParallelRanges(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& f) {
  int64_t parts = (n + grain - 1) / grain;
  if (parts < 2) return f(0, n);
  ParallelFor(parts, [&](int64_t i, int) { f(i * grain, std::min(n, (i + 1) * grain)); });
}

}  // namespace assay
