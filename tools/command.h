// A verb of the command line is one row: a file tools/commands/<verb>.cc that defines
// `Command command_<verb>()`. Nothing else is edited; the build finds the file. (A verb with a '-'
// names its file with a '_'.)
//
//   struct Flags { std::string model; JsonFlag json; };
//   Result<int> Execute(const Flags& f) { ... return exit_code::kFine; }
//   Runner Setup(CLI::App& app) {
//     auto f = std::make_shared<Flags>();
//     app.add_option("model", f->model, "an ONNX model")->required();
//     f->json.Add(app);
//     return [f] { return Execute(*f); };
//   }
//   Command command_show() { return {"show", "prints a model", "Details for --help.", Setup}; }
//
// Results go to stdout, human text and progress to stderr. A runner returns exit_code::kFine or
// kFinding, or an Error: main prints it as one line "assay VERB: where: message" and exits with its
// code. What the parser refuses exits 2 before a runner is called. Exceptions of libraries end as
// one line too (out of memory: 5).
#pragma once

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "interp/result.h"

namespace assay {

namespace exit_code {
inline constexpr int kFine = 0;     // fine, equivalent, nothing found
inline constexpr int kFinding = 1;  // different, not repaired, a case failed
inline constexpr int kUsage = 2;    // the rest comes from Error::ExitCode
inline constexpr int kLimit = 5;
inline constexpr int kInternal = 70;
}  // namespace exit_code

// What a verb does once its flags are parsed.
using Runner = std::function<Result<int>()>;

struct Command {
  std::string name;
  std::string summary;  // one line of `assay --help`
  std::string
      details;  // printed after the flags by `assay VERB --help`: what it reads, writes, can't do
  Runner (*setup)(CLI::App& app);  // adds the flags; the app outlives the runner
};

// All rows, in the order of the file names.
std::vector<Command> AllCommands();

// The whole program: parses, runs, prints errors; returns the exit code. Thread-hostile (one call a
// process).
int Main(int argc, char** argv);

// ---- flags that mean the same everywhere ----

// --json FILE|-
struct JsonFlag {
  std::string target;  // "" when not asked for
  void Add(CLI::App& app);
  // Where human-readable results go: stdout, unless the JSON goes there.
  std::FILE* human() const { return target == "-" ? stderr : stdout; }
  // Writes the document when asked for. Bytes that aren't UTF-8 are replaced, numbers that aren't
  // finite null.
  Status Write(const nlohmann::json& document) const;
};
void AddSeed(CLI::App& app, uint64_t* seed);  // --seed N, default 0
void AddJobs(CLI::App& app, int* jobs);       // --jobs N, default: all cores; at least 1
void AddQuiet(CLI::App& app, bool* quiet);    // --quiet

// ---- running ----

// Calls f(0) .. f(n-1) on `jobs` threads. Stops early (not every call is made) after Interrupted().
void ParallelFor(int jobs, int64_t n, const std::function<void(int64_t)>& f);

// From the first call on, SIGINT and SIGTERM set a flag instead of ending the process (a second one
// ends it). Verbs that save state call CatchInterrupts, ask Interrupted and return
// InterruptedError.
void CatchInterrupts();
bool Interrupted();
Error InterruptedError();

// One line on stderr, rewritten in place on a terminal, otherwise printed now and then.
// Thread-safe.
class Progress {
 public:
  Progress(std::string label, int64_t total, bool quiet);
  ~Progress();  // ends the line
  void Step(int64_t n = 1, const std::string& note = "");

 private:
  std::string label_;
  int64_t total_, done_ = 0;
  bool quiet_, terminal_, printed_ = false;
  std::chrono::steady_clock::time_point last_;
  std::mutex mutex_;
};

// A text from outside made printable as one line: control characters escaped, overlong texts cut.
std::string OneLine(const std::string& text);

}  // namespace assay
