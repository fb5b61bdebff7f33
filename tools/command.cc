#include "tools/command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <exception>
#include <new>
#include <thread>

#include "interp/kernels_parallel.h"
#include "interp/onnx_io.h"

namespace assay {

#define ENTRY(stem) Command command_##stem();
#include "tools_commands.inc"
#undef ENTRY

std::vector<Command> AllCommands() {
  return {
#define ENTRY(stem) command_##stem(),
#include "tools_commands.inc"
#undef ENTRY
  };
}

namespace {

const char kExitCodes[] =
    "Exit codes: 0 fine, equivalent, nothing found; 1 finding (different, not repaired, a case "
    "failed); 2 usage;\n"
    "3 invalid input file; 4 valid but unsupported; 5 a limit was hit; 70 our own bug; 130 "
    "interrupted.\n"
    "Results go to stdout, human text and progress to stderr. The same seed and flags give the "
    "same bytes.";

int Complain(const std::string& verb, const std::string& message, int code) {
  std::string line = "assay" + (verb.empty() ? "" : " " + verb) + ": " + OneLine(message) + "\n";
  std::fflush(stdout);
  std::fputs(line.c_str(), stderr);
  return code;
}

// Runs a verb; whatever happens ends in an exit code and at most one line on stderr.
int RunVerb(const std::string& verb, const Runner& run) {
  try {
    Result<int> r = run();
    if (!r.ok()) return Complain(verb, r.error().ToString(), r.error().ExitCode());
    if (std::fflush(stdout) != 0)
      return Complain(verb, "stdout can't be written", exit_code::kUsage);
    return *r;
  } catch (const std::bad_alloc&) {
    return Complain(verb, "out of memory", exit_code::kLimit);
  } catch (const std::length_error&) {
    return Complain(verb, "out of memory", exit_code::kLimit);
  } catch (const std::exception& e) {
    return Complain(verb, std::string("internal error: ") + e.what(), exit_code::kInternal);
  }
}

std::string WantedVerb(int argc, char** argv) {
  return argc > 1 && argv[1][0] != '-' ? argv[1] : "";
}

}  // namespace

int Main(int argc, char** argv) {
  CLI::App app(
      "assay generates neural networks, damages them like a buggy converter does, verifies and "
      "repairs them.",
      "assay");
  app.set_version_flag("--version", "assay " ASSAY_VERSION);
  app.footer(kExitCodes);
  app.require_subcommand(1);
  std::vector<Command> commands = AllCommands();
  std::vector<std::pair<CLI::App*, Runner>> verbs;
  for (const Command& c : commands) {
    CLI::App* sub = app.add_subcommand(c.name, c.summary);
    sub->footer(c.details);
    verbs.emplace_back(sub, c.setup(*sub));
  }
  std::string wanted = WantedVerb(argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {  // --help, --version
    return app.exit(e) == 0 ? exit_code::kFine : exit_code::kUsage;
  } catch (const CLI::ParseError& e) {
    bool known = false;
    for (const auto& [sub, run] : verbs) known = known || sub->get_name() == wanted;
    if (known)
      return Complain(wanted, std::string(e.what()) + " (see assay " + wanted + " --help)",
                      exit_code::kUsage);
    std::string what = std::string(e.what());
    if (argc > 1)
      what = wanted.empty() ? std::string("unknown flag '") + argv[1] + "'"
                            : "no verb '" + wanted + "'";
    return Complain("", what + " (see assay --help)", exit_code::kUsage);
  }
  for (const auto& [sub, run] : verbs) {
    if (sub->parsed()) return RunVerb(sub->get_name(), run);
  }
  return exit_code::kInternal;
}

void JsonFlag::Add(CLI::App& app) {
  app.add_option("--json", target, "write the machine-readable result to FILE, or to stdout for -")
      ->type_name("FILE|-");
}

Status JsonFlag::Write(const nlohmann::json& document) const {
  if (target.empty()) return {};
  std::string text = document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (target != "-") return WriteFile(target, text);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return {};
}

void AddSeed(CLI::App& app, uint64_t* seed) {
  // The parser would wrap a negative number around.
  auto not_negative = [](const std::string& s) {
    return s.empty() || s[0] != '-' ? std::string() : "a seed is a number from 0 on";
  };
  app.add_option("--seed", *seed, "where randomness starts; the same seed gives the same bytes")
      ->check(CLI::Validator(not_negative, ""))
      ->capture_default_str();
}

void AddJobs(CLI::App& app, int* jobs) {
  *jobs = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  app.add_option("--jobs", *jobs, "threads (default: all cores)")
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
}

void AddQuiet(CLI::App& app, bool* quiet) {
  app.add_flag("--quiet", *quiet, "no progress on stderr");
}

void ParallelFor(int jobs, int64_t n, const std::function<void(int64_t)>& f) {
  ThreadScope threads(static_cast<int>(std::min<int64_t>(jobs, n)));
  ParallelFor(n, [&](int64_t i, int) {
    if (!Interrupted()) f(i);
  });
}

namespace {
volatile std::sig_atomic_t g_interrupted = 0;
void OnSignal(int signal) {
  g_interrupted = 1;
  std::signal(signal, SIG_DFL);  // the next one ends the process
}
}  // namespace

void CatchInterrupts() {
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
}
bool Interrupted() { return g_interrupted != 0; }
Error InterruptedError() { return {Code::kInterrupted, "interrupted", {}}; }

Progress::Progress(std::string label, int64_t total, bool quiet)
    : label_(std::move(label)),
      total_(total),
      quiet_(quiet),
      terminal_(isatty(STDERR_FILENO)),
      last_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
  if (printed_ && terminal_) std::fputs("\n", stderr);
}

void Progress::Step(int64_t n, const std::string& note) {
  std::lock_guard<std::mutex> lock(mutex_);
  done_ += n;
  if (quiet_) return;
  auto now = std::chrono::steady_clock::now();
  auto pause = terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10'000);
  if (now - last_ < pause && !(printed_ && done_ == total_)) return;
  last_ = now;
  printed_ = true;
  std::string line =
      fmt::format("{} {}/{}{}{}", label_, done_, total_, note.empty() ? "" : " ", OneLine(note));
  std::fputs(((terminal_ ? "\r\033[K" : "") + line + (terminal_ ? "" : "\n")).c_str(), stderr);
}

std::string OneLine(const std::string& text) {
  constexpr size_t kLongest = 2000;
  std::string line;
  for (char c : text) {
    if (line.size() > kLongest) return line + "...";
    unsigned char u = static_cast<unsigned char>(c);
    if (u < 0x20 || u == 0x7f)
      line += fmt::format("\\x{:02x}", u);
    else
      line += c;
  }
  return line;
}

}  // namespace assay
