// What does it cost to load a model, and to run it? Of the models given as arguments (.onnx files; of several, one
// round of all is one iteration), with 1 and 2 threads. bench/compare_onnxruntime asks ONNX Runtime the same.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "interp/exec.h"
#include "interp/kernels_parallel.h"
#include "interp/onnx_io.h"

namespace assay {
namespace {

using Files = std::vector<std::string>;

std::vector<Tensor> InputsOf(const Model& model) { return RandomInputs(model, 1).value(); }

void BM_LoadAndRun(benchmark::State& state, const Files& files) {
  std::vector<std::vector<Tensor>> inputs;
  for (const std::string& f : files) inputs.push_back(InputsOf(LoadModel(f).value()));
  for (auto _ : state) {
    for (size_t i = 0; i < files.size(); ++i) {
      Model model = LoadModel(files[i]).value();
      Result<Execution> run = Program::Compile(model).value().Run(inputs[i]);
      if (!run.ok()) state.SkipWithError((files[i] + ": " + run.error().ToString()).c_str());
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(files.size()));
}

void BM_Run(benchmark::State& state, const std::string& file, Store store, int threads) {
  Program program = Program::Compile(LoadModel(file).value()).value();
  std::vector<Tensor> inputs = InputsOf(program.model());
  ThreadScope scope(threads);
  ExecOptions options;
  options.store = store;
  for (auto _ : state) {
    Result<Execution> run = program.Run(inputs, options);
    if (!run.ok()) state.SkipWithError(run.error().ToString().c_str());
  }
}

// A folder stands for the models in it.
Files ModelsIn(const std::string& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  Files files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (entry.path().extension() == ".onnx") files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void Register(const std::string& path) {
  Files files = ModelsIn(path);
  benchmark::RegisterBenchmark(("load+run " + path).c_str(), [files](benchmark::State& s) { BM_LoadAndRun(s, files); })
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
  if (files.size() != 1) return;
  struct Mode {
    const char* name;
    Store store;
    int threads;
  };
  for (const Mode& m : {Mode{"run, 1 thread ", Store::kNative, 1}, Mode{"run, 2 threads ", Store::kNative, 2},
                        Mode{"run, double, 1 thread ", Store::kDouble, 1}}) {
    benchmark::RegisterBenchmark((m.name + files[0]).c_str(),
                                 [file = files[0], m](benchmark::State& s) { BM_Run(s, file, m.store, m.threads); })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  }
}

}  // namespace
}  // namespace assay

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench_run_bench [--benchmark_..] MODEL|DIR..\n");
    return 2;
  }
  for (int i = 1; i < argc; ++i) assay::Register(argv[i]);
  benchmark::RunSpecifiedBenchmarks();
}
