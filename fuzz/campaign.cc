#include "fuzz/campaign.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "fuzz/campaign_folder.h"

namespace assay {
namespace {

// ---- which case crashed
// ----------------------------------------------------------------------------------------- A crash
// of assay itself ends the process. The handler writes the index of the thread's case to
// crashed.txt, so that the resumed campaign counts it as a finding instead of crashing again.

thread_local int64_t current_case = -1;
int crash_fd = -1;
constexpr int kFatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

extern "C" void NoteCrash(int signal) {
  int64_t n = current_case;
  if (n >= 0 && crash_fd >= 0) {
    char text[24];
    int at = sizeof text;
    text[--at] = '\n';
    do text[--at] = static_cast<char>('0' + n % 10);
    while ((n /= 10) > 0);
    const char message[] = "assay campaign: crashed in case ";
    ssize_t ignored = write(crash_fd, text + at, sizeof text - static_cast<size_t>(at));
    ignored = write(2, message, sizeof message - 1);
    ignored = write(2, text + at, sizeof text - static_cast<size_t>(at));
    (void)ignored;
  }
  raise(signal);  // SA_RESETHAND: ends the process as it would have ended
}

// Installs the handler where nobody else (a sanitizer) has one.
class CrashNotes {
 public:
  explicit CrashNotes(const std::string& path) : path_(path) {
    crash_fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    for (int s : kFatal) {
      struct sigaction old {
      }, mine{};
      mine.sa_handler = NoteCrash;
      mine.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
      if (sigaction(s, nullptr, &old) == 0 && old.sa_handler == SIG_DFL &&
          !(old.sa_flags & SA_SIGINFO))
        sigaction(s, &mine, nullptr);
    }
  }
  ~CrashNotes() {
    for (int s : kFatal) {
      struct sigaction now {};
      if (sigaction(s, nullptr, &now) == 0 && now.sa_handler == NoteCrash) signal(s, SIG_DFL);
    }
    if (crash_fd >= 0) close(crash_fd);
    crash_fd = -1;
    std::error_code ignored;
    if (std::filesystem::file_size(path_, ignored) == 0) std::filesystem::remove(path_, ignored);
  }

 private:
  std::string path_;
};

// ---- the crew ----

constexpr int64_t kAheadOfJob = 32;  // results that may wait for an earlier case, for each job
constexpr std::chrono::milliseconds kProgressEvery{200};

class Crew {
 public:
  Crew(const CampaignOptions& options, const CaseCommands& commands, CampaignFolder& folder)
      : options_(options), commands_(commands), folder_(folder), next_(folder.next()) {}

  Status Work() {
    std::vector<std::thread> threads;
    for (int i = 1; i < options_.jobs; ++i) threads.emplace_back([this] { Loop(); });
    Loop();
    for (std::thread& t : threads) t.join();
    if (options_.progress) options_.progress({folder_.counts(), folder_.seconds(), Total()});
    return failure_ ? Status(*failure_) : Status();
  }
  bool interrupted() const { return interrupted_; }

 private:
  void Loop();
  std::optional<int64_t> Claim(std::unique_lock<std::mutex>& lock);
  void Finish(CaseResult result);
  CaseResult Run(int64_t index) const;
  int64_t Total() const {
    return options_.limit < 0
               ? -1
               : std::max<int64_t>(
                     0, (options_.limit - options_.shard + options_.shards - 1) / options_.shards);
  }

  const CampaignOptions& options_;
  const CaseCommands& commands_;
  CampaignFolder& folder_;
  std::mutex mutex_;
  std::condition_variable committed_;
  int64_t next_;  // index of the next case to hand out
  std::map<int64_t, CaseResult>
      waiting_;  // results that an earlier case keeps from being committed
  std::optional<Error> failure_;
  bool interrupted_ = false;
  std::chrono::steady_clock::time_point shown_{};
};

// The next index, or nothing when the campaign is at its end.
std::optional<int64_t> Crew::Claim(std::unique_lock<std::mutex>& lock) {
  int64_t ahead = kAheadOfJob * options_.jobs * options_.shards;
  committed_.wait(lock, [&] { return failure_ || next_ < folder_.next() + ahead; });
  if (options_.interrupted && options_.interrupted()) interrupted_ = true;
  bool out_of_time = options_.seconds >= 0 && folder_.seconds() >= options_.seconds;
  bool done = options_.limit >= 0 && next_ >= options_.limit;
  if (failure_ || interrupted_ || out_of_time || done) return std::nullopt;
  return std::exchange(next_, next_ + options_.shards);
}

// A case that has no result but an error.
CaseResult Broken(int64_t index, const std::string& what) {
  CaseResult r;
  r.record.index = index;
  r.record.errors.push_back({"case", "internal", what});
  r.record.findings.push_back({"internal", "internal|case|" + what, what});
  return r;
}

CaseResult Crew::Run(int64_t index) const {
  if (folder_.Crashed(index)) return Broken(index, "assay crashed in this case");
  current_case = index;
  std::string scratch =
      (std::filesystem::path(options_.out) / fmt::format("scratch-{}", index)).string();
  CaseResult r;
  try {
    r = RunCase(options_.cases, commands_, index, scratch);
  } catch (const std::exception& e) {  // of a library: out of memory
    r = Broken(index, e.what());
  }
  current_case = -1;
  return r;
}

// Commits the result and those that waited for it. Called with the mutex held.
void Crew::Finish(CaseResult result) {
  waiting_.emplace(result.record.index, std::move(result));
  for (auto it = waiting_.begin(); it != waiting_.end() && it->first == folder_.next() && !failure_;
       it = waiting_.begin()) {
    Status s = folder_.Commit(std::move(it->second));
    waiting_.erase(it);
    if (!s.ok()) failure_ = s.error();
  }
  auto now = std::chrono::steady_clock::now();
  if (options_.progress && now - shown_ >= kProgressEvery) {
    shown_ = now;
    options_.progress({folder_.counts(), folder_.seconds(), Total()});
  }
}

void Crew::Loop() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (std::optional<int64_t> index = Claim(lock)) {
    lock.unlock();
    CaseResult r = Run(*index);
    lock.lock();
    Finish(std::move(r));
    committed_.notify_all();
  }
  committed_.notify_all();
}

}  // namespace

Result<CampaignResult> RunCampaign(const CampaignOptions& options) {
  if (options.shards < 1 || options.shard < 0 || options.shard >= options.shards) {
    return Usage(fmt::format("shard {}/{}: want 0 <= i < n", options.shard, options.shards));
  }
  CaseCommands commands = TRY(CaseCommands::Of(options.cases));
  std::unique_ptr<CampaignFolder> folder = TRY(CampaignFolder::Open(options));
  CrashNotes notes((std::filesystem::path(options.out) / "crashed.txt").string());
  Crew crew(options, commands, *folder);
  Status worked = crew.Work();
  Status saved = folder->Checkpoint(true);
  TRY(worked);
  TRY(saved);
  return CampaignResult{folder->counts(), folder->seconds(), crew.interrupted()};
}

}  // namespace assay
