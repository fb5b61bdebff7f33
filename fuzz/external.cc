#include "fuzz/external.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <utility>

namespace assay {
namespace {

using Clock = std::chrono::steady_clock;

const char* const kPlaceholders[] = {"source", "target", "inputs", "outputs", "out"};

std::vector<std::string> NeededBy(CommandRole role) {
  switch (role) {
    case CommandRole::kConverter:
      return {"source", "target"};
    case CommandRole::kVerifier:
      return {"source", "target"};
    case CommandRole::kRepairer:
      return {"source", "target", "out"};
    case CommandRole::kRuntime:
      return {"source", "inputs", "outputs"};
  }
  return {};
}

std::string Filled(const std::string& word, const std::map<std::string, std::string>& values) {
  std::string out;
  for (size_t i = 0; i < word.size();) {
    size_t close = word[i] == '{' ? word.find('}', i) : std::string::npos;
    auto it =
        close == std::string::npos ? values.end() : values.find(word.substr(i + 1, close - i - 1));
    if (it == values.end()) {
      out += word[i++];
    } else {
      out += it->second;
      i = close + 1;
    }
  }
  return out;
}

// A pipe end that closes itself.
struct Fd {
  int fd = -1;
  Fd() = default;
  explicit Fd(int f) : fd(f) {}
  Fd(Fd&& o) noexcept : fd(std::exchange(o.fd, -1)) {}
  Fd& operator=(Fd&& o) noexcept {
    std::swap(fd, o.fd);
    return *this;
  }
  ~Fd() { Close(); }
  void Close() {
    if (fd >= 0) close(fd);
    fd = -1;
  }
};
struct Pipe {
  Fd read, write;
  bool Make() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    read.fd = ends[0];
    write.fd = ends[1];
    return true;
  }
};

// The child's side between fork and exec: async-signal-safe calls alone.
[[noreturn]] void BecomeCommand(char* const* argv, int out, int err, int failed, int64_t bytes) {
  setpgid(0, 0);
  int null = open("/dev/null", O_RDONLY);
  dup2(null, 0);
  dup2(out, 1);
  dup2(err, 2);
  rlimit memory{static_cast<rlim_t>(bytes), static_cast<rlim_t>(bytes)}, core{0, 0};
  setrlimit(RLIMIT_AS, &memory);
  setrlimit(RLIMIT_CORE, &core);
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execvp(argv[0], argv);
  int error = errno;
  ssize_t n = write(failed, &error, sizeof error);
  _exit(n == sizeof error ? 127 : 126);
}

// Reads what is there, keeping the last `kept` bytes. False at the end of the stream.
bool Drain(Fd& fd, size_t kept, std::string* text) {
  char buffer[4096];
  ssize_t n = read(fd.fd, buffer, sizeof buffer);
  if (n < 0) return errno == EINTR || errno == EAGAIN;
  if (n == 0) return false;
  text->append(buffer, static_cast<size_t>(n));
  if (text->size() > 2 * kept) text->erase(0, text->size() - kept);
  return true;
}

struct Child {
  pid_t pid = -1;
  Fd pidfd;  // readable when the process has ended; -1 on kernels without
  bool ended = false;
  int status = 0;

  bool Reap(bool wait) {
    while (!ended) {
      pid_t p = waitpid(pid, &status, wait ? 0 : WNOHANG);
      if (p == pid || (p < 0 && errno != EINTR)) ended = true;
      if (p == 0) break;
    }
    return ended;
  }
};

// Collects output until the process has ended or the deadline has passed.
void Watch(Child& child, Fd& out, Fd& err, Clock::time_point deadline, size_t kept,
           ExternalResult* r) {
  while (!child.Reap(false)) {
    auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return;
    pollfd fds[3] = {{out.fd, POLLIN, 0}, {err.fd, POLLIN, 0}, {child.pidfd.fd, POLLIN, 0}};
    int tick = child.pidfd.fd >= 0 ? 1000 : 10;
    if (poll(fds, 3, static_cast<int>(std::min<int64_t>(left + 1, tick))) <= 0) continue;
    if (fds[0].revents && !Drain(out, kept, &r->out)) out.Close();
    if (fds[1].revents && !Drain(err, kept, &r->err)) err.Close();
  }
}

// What is left in a pipe that nobody may write to any more.
void DrainRest(Fd& fd, size_t kept, std::string* text) {
  if (fd.fd >= 0) fcntl(fd.fd, F_SETFL, O_NONBLOCK);
  for (int i = 0; fd.fd >= 0 && i < 64; ++i) {  // 256 KiB at most: a pipe holds 64
    pollfd p{fd.fd, POLLIN, 0};
    if (poll(&p, 1, 0) <= 0 || !Drain(fd, kept, text)) break;
  }
  if (text->size() > kept) text->erase(0, text->size() - kept);
}

ExternalResult NotStarted(int error) {
  ExternalResult r;
  r.end = ExternalResult::End::kNotStarted;
  r.code = error;
  return r;
}

std::string LastLine(const std::string& text) {
  size_t end = text.find_last_not_of(" \t\r\n");
  if (end == std::string::npos) return "";
  size_t begin = text.find_last_of('\n', end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1,
                     end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

}  // namespace

const char* RoleName(CommandRole role) {
  const char* names[] = {"converter", "verifier", "repairer", "runtime"};
  return names[static_cast<int>(role)];
}

Result<std::vector<std::string>> SplitCommandLine(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '\0') return Usage("a command line can't hold a zero byte");
    if (quote) {
      if (c == quote)
        quote = 0;
      else if (c == '\\' && quote == '"' && i + 1 < text.size())
        word += text[++i];
      else
        word += c;
    } else if (c == '\'' || c == '"') {
      quote = c;
      in_word = true;
    } else if (c == '\\' && i + 1 < text.size()) {
      word += text[++i];
      in_word = true;
    } else if (std::string_view(" \t\r\n").find(c) != std::string_view::npos) {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote) return Usage(std::string("the command line has an open ") + quote + ": " + text);
  if (in_word) words.push_back(std::move(word));
  if (words.empty()) return Usage("the command line is empty");
  return words;
}

Result<ExternalCommand> ExternalCommand::Parse(const std::string& text, CommandRole role) {
  ExternalCommand command{text, TRY(SplitCommandLine(text))};
  if (command.words[0] == "{worker}") {
    return Unsupported(std::string("{worker}: a ") + RoleName(role) +
                       " that stays alive is not supported yet");
  }
  for (const std::string& name : NeededBy(role)) {
    bool found = std::any_of(command.words.begin(), command.words.end(), [&](const std::string& w) {
      return w.find("{" + name + "}") != std::string::npos;
    });
    if (!found)
      return Usage(std::string("the ") + RoleName(role) + " command has no {" + name +
                   "}: " + text);
  }
  for (const std::string& w : command.words) {
    for (size_t at = w.find('{'); at != std::string::npos; at = w.find('{', at + 1)) {
      size_t close = w.find('}', at);
      if (close == std::string::npos) break;
      std::string name = w.substr(at + 1, close - at - 1);
      bool plain = !name.empty() && std::all_of(name.begin(), name.end(),
                                                [](char c) { return c >= 'a' && c <= 'z'; });
      bool known = std::any_of(std::begin(kPlaceholders), std::end(kPlaceholders),
                               [&](const char* p) { return name == p; });
      if (plain && !known) return Usage("unknown placeholder {" + name + "} in: " + text);
    }
  }
  return command;
}

std::string ExternalResult::ToString() const {
  std::string tail = LastLine(err.empty() ? out : err);
  if (tail.size() > 200) tail.resize(200);
  tail = tail.empty() ? "" : ": " + tail;
  switch (end) {
    case End::kExited:
      return "exit code " + std::to_string(code) + tail;
    case End::kSignaled:
      return std::string("signal ") + std::to_string(code) + " (" + strsignal(code) + ")" + tail;
    case End::kTimedOut:
      return "no end within the time limit" + tail;
    case End::kNotStarted:
      return std::string("can't be started: ") + std::strerror(code);
  }
  return "";
}

ExternalResult RunExternal(const ExternalCommand& command,
                           const std::map<std::string, std::string>& values,
                           const CommandLimits& limits) {
  std::vector<std::string> words;
  for (const std::string& w : command.words) words.push_back(Filled(w, values));
  std::vector<char*> argv;
  for (std::string& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  Pipe out, err, failed;
  if (!out.Make() || !err.Make() || !failed.Make()) return NotStarted(errno);
  auto start = Clock::now();
  Child child;
  child.pid = fork();
  if (child.pid < 0) return NotStarted(errno);
  if (child.pid == 0)
    BecomeCommand(argv.data(), out.write.fd, err.write.fd, failed.write.fd, limits.bytes);
  setpgid(child.pid, child.pid);  // both sides: whoever comes first
  out.write.Close();
  err.write.Close();
  failed.write.Close();
  int error = 0;
  ssize_t n = 0;
  while ((n = read(failed.read.fd, &error, sizeof error)) < 0 && errno == EINTR) {
  }
  if (n == sizeof error) {
    child.Reap(true);
    return NotStarted(error);
  }
  child.pidfd.fd = static_cast<int>(syscall(SYS_pidfd_open, child.pid, 0));
  ExternalResult r;
  Watch(child, out.read, err.read,
        start + std::chrono::duration_cast<Clock::duration>(
                    std::chrono::duration<double>(limits.seconds)),
        limits.kept_bytes, &r);
  bool timed_out = !child.ended;
  kill(-child.pid, SIGKILL);  // whatever it left behind, too
  child.Reap(true);
  r.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  DrainRest(out.read, limits.kept_bytes, &r.out);
  DrainRest(err.read, limits.kept_bytes, &r.err);
  if (timed_out) {
    r.end = ExternalResult::End::kTimedOut;
  } else if (WIFSIGNALED(child.status)) {
    r.end = ExternalResult::End::kSignaled;
    r.code = WTERMSIG(child.status);
  } else {
    r.code = WEXITSTATUS(child.status);
  }
  return r;
}

}  // namespace assay
