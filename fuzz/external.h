// A user's own command, run as a subprocess with a time and a memory limit: what it does, crash and
// hang included, is a result and never an error of ours.
//
// A command line is split without a shell: words end at blanks, '...' and "..." keep blanks, a
// backslash keeps the next character (inside '...' it is itself). Placeholders {source}, {target},
// {inputs}, {outputs}, {out} are replaced inside the words after splitting, so that paths need no
// quotes. The command runs in a process group of its own, which is killed when it ends or when its
// time is up; stdin is empty; stdout and stderr are kept up to a bound. Thread rule: all functions
// may be called by several threads at once.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "interp/result.h"

namespace assay {

struct CommandLimits {
  double seconds = 60;               // wall time
  int64_t bytes = int64_t{8} << 30;  // address space of each of its processes
  size_t kept_bytes = 1 << 16;       // of stdout and of stderr, the last ones
};

enum class CommandRole : uint8_t { kConverter, kVerifier, kRepairer, kRuntime };
const char* RoleName(CommandRole role);  // "converter", ...

struct ExternalCommand {
  std::string text;  // as the user wrote it
  std::vector<std::string> words;
  // Errors: Usage for an open quote, an empty line, an unknown placeholder or one that the role
  // needs and that is missing; Unsupported for {worker}.
  static Result<ExternalCommand> Parse(const std::string& text, CommandRole role);
};

struct ExternalResult {
  enum class End : uint8_t { kExited, kSignaled, kTimedOut, kNotStarted };
  End end = End::kExited;
  int code = 0;  // exit code, signal, or errno of a command that did not start
  double seconds = 0;
  std::string out, err;
  bool ok() const { return end == End::kExited && code == 0; }
  // "exit code 3: last line of stderr"
  std::string ToString() const;
};
// `values`: placeholder name -> path.
ExternalResult RunExternal(const ExternalCommand& command,
                           const std::map<std::string, std::string>& values,
                           const CommandLimits& limits);

// Splits a command line as described above. Errors: Usage.
Result<std::vector<std::string>> SplitCommandLine(const std::string& text);

}  // namespace assay
