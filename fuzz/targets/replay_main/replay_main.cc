// Runs a fuzz target without a fuzzing engine, so that every target builds with any compiler.
//
//   fuzz_x FILE|DIR...                           runs each file, and each file below each folder
//   fuzz_x -runs=N [-seed=N] [-max_len=N]        runs the empty input and N seeded random ones
//
// The flags are libFuzzer's, so scripts need not know which of the two they call; other flags that
// begin with '-' are ignored as libFuzzer's own. A failing target aborts, as under libFuzzer.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
// An engine's optional hook; a target that has none leaves it null.
extern "C" __attribute__((weak)) int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace {

namespace fs = std::filesystem;

constexpr uint64_t kDefaultMaxLen = 4096;

// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
uint64_t NextRandom(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void RunBytes(const std::vector<uint8_t>& bytes) {
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

// False if the file cannot be read. The name goes out first: it is all that is left after an abort.
bool RunFile(const fs::path& path) {
  std::fprintf(stderr, "Running: %s\n", path.c_str());
  std::ifstream in(path, std::ios::binary);
  const std::vector<uint8_t> bytes((std::istreambuf_iterator<char>(in)), {});
  if (!in.is_open() || in.bad()) {
    std::fprintf(stderr, "%s: cannot be read\n", path.c_str());
    return false;
  }
  RunBytes(bytes);
  return true;
}

// Runs a file or every file below a folder, in the order of their names.
bool RunPath(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return RunFile(path);
  std::vector<fs::path> files;
  for (fs::recursive_directory_iterator it(path, error), end; !error && it != end;
       it.increment(error)) {
    if (it->is_regular_file(error)) files.push_back(it->path());
  }
  if (error) {
    std::fprintf(stderr, "%s: %s\n", path.c_str(), error.message().c_str());
    return false;
  }
  std::sort(files.begin(), files.end());
  bool all_read = true;
  for (const fs::path& file : files) all_read = RunFile(file) && all_read;
  return all_read;
}

void RunRandom(uint64_t runs, uint64_t seed, uint64_t max_len) {
  RunBytes({});
  for (uint64_t run = 0; run < runs; ++run) {
    std::vector<uint8_t> bytes(NextRandom(seed) % (max_len + 1));
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(NextRandom(seed));
    RunBytes(bytes);
  }
  std::fprintf(stderr, "Done: %llu random inputs\n", static_cast<unsigned long long>(runs));
}

// True, and the number in `value`, if `arg` is `name` followed by a number.
bool ReadFlag(std::string_view arg, std::string_view name, uint64_t& value) {
  if (!arg.starts_with(name)) return false;
  value = std::strtoull(arg.data() + name.size(), nullptr, 10);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&argc, &argv);
  uint64_t runs = 0, seed = 0, max_len = kDefaultMaxLen;
  bool has_runs = false, all_read = true;
  std::vector<fs::path> paths;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (ReadFlag(arg, "-runs=", runs)) {
      has_runs = true;
    } else if (ReadFlag(arg, "-seed=", seed) || ReadFlag(arg, "-max_len=", max_len)) {
      continue;
    } else if (!arg.starts_with("-")) {
      paths.emplace_back(arg);
    }
  }
  if (paths.empty() && !has_runs) {
    std::fprintf(stderr, "usage: %s FILE|DIR... | -runs=N [-seed=N] [-max_len=N]\n", argv[0]);
    return 2;
  }
  for (const fs::path& path : paths) all_read = RunPath(path) && all_read;
  if (paths.empty()) RunRandom(runs, seed, max_len);
  return all_read ? 0 : 1;
}
