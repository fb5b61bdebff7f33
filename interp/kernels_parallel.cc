#include "interp/kernels_parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "interp/field.h"

namespace assay {

namespace {
// A graph asks for the threads every few microseconds, and waking a sleeping one takes longer than many a kernel: who
// waits looks for about 100 microseconds before sleeping.
template <class Done>
void WaitFor(const std::atomic<int>& value, Done&& done) {
  constexpr int kLooks = 4000;
  for (int i = 0; i < kLooks; ++i) {
    if (done(value.load(std::memory_order_acquire))) return;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  for (int seen = value.load(std::memory_order_acquire); !done(seen); seen = value.load(std::memory_order_acquire))
    value.wait(seen, std::memory_order_acquire);
}
}  // namespace

// Threads that wait to join in a job. Who comes when it is over is not waited for.
struct ThreadScope::Pool {
  explicit Pool(int threads) {
    for (int worker = 1; worker < threads; ++worker) others.emplace_back([this, worker] { Serve(worker); });
  }
  ~Pool() {
    ending = true;
    NextRound();
    for (std::thread& t : others) t.join();
  }
  int size() const { return static_cast<int>(others.size()) + 1; }

  // Until End() other threads may call what(worker).
  void Begin(const std::function<void(int)>& what) {
    job = &what;
    state.store(kOpen, std::memory_order_release);
    NextRound();
  }
  // Returns when no thread runs the job any more.
  void End() {
    state.fetch_and(~kOpen, std::memory_order_acq_rel);
    WaitFor(state, [](int s) { return s == 0; });
  }

 private:
  static constexpr int kOpen = 1 << 30;

  void NextRound() {
    round.fetch_add(1, std::memory_order_release);
    round.notify_all();
  }
  bool Join() {
    int seen = state.load(std::memory_order_acquire);
    while ((seen & kOpen) && !state.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel)) {
    }
    return (seen & kOpen) != 0;
  }
  void Serve(int worker) {
    for (int last = 0; !ending;) {
      WaitFor(round, [last](int n) { return n != last; });
      last = round.load(std::memory_order_acquire);
      if (!Join()) continue;
      (*job)(worker);
      if (state.fetch_sub(1, std::memory_order_acq_rel) == 1) state.notify_one();
    }
  }

  const std::function<void(int)>* job = nullptr;
  std::atomic<int> state{0};  // how many others run the job; kOpen while they may join
  std::atomic<int> round{0};
  std::atomic<bool> ending{false};
  std::vector<std::thread> others;
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

int ThreadsHere() { return here ? here->size() : 1; }

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
  const FieldContext* field = FieldContext::current();
  std::function<void(int)> others = [&](int worker) {
    FieldScope scope(field);
    work(worker);
  };
  pool->Begin(others);
  here = nullptr;
  work(0);
  here = pool;
  pool->End();
  if (thrown) std::rethrow_exception(thrown);
}

void ParallelParts(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& f) {
  int64_t parts = (n + grain - 1) / grain;
  ParallelFor(parts, [&](int64_t i, int) { f(i * grain, std::min(n, (i + 1) * grain)); });
}

}  // namespace assay
