#include "fuzz/campaign_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "corpus/entry.h"
#include "fuzz/report.h"
#include "interp/onnx_io.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kKeptOfSignature = 3;
constexpr std::chrono::seconds kSyncEvery{1}, kSaveEvery{30};

// Replaces a file in one step, so that a reader never sees half of it.
Status ReplaceFile(const std::string& path, const std::string& bytes) {
  TRY(WriteFile(path + ".new", bytes));
  std::error_code failed;
  fs::rename(path + ".new", path, failed);
  if (failed) return Usage("can't be written: " + failed.message(), path);
  return {};
}

std::string Dump(const nlohmann::ordered_json& j, int indent) {
  return j.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Status SaveModels(const CaseOptions& options, const CaseResult& result, const FindingRecord& f,
                  const std::string& path) {
  Entry entry;
  entry.source = result.source;
  entry.target = result.target;
  entry.steps = result.steps;
  entry.inputs = {result.inputs};
  entry.note = f.kind + ": " + f.what;
  bool different = result.record.truth == "different";
  entry.expected.verdict = different ? Verdict::kDifferent : Verdict::kEquivalent;
  if (different && options.repair) entry.expected.healed = true;
  TRY(SaveCaseFolder(entry, path));
  if (result.fixed) TRY(SaveModel(*result.fixed, path + "/fixed.onnx"));
  return {};
}

}  // namespace

std::string CampaignFolder::Path(const char* name) const {
  return (fs::path(options_.out) / name).string();
}

nlohmann::ordered_json CampaignFolder::Header() const {
  nlohmann::ordered_json j = {{"assay_journal", kJournalVersion}};
  j.update(options_.cases.ToJson());
  j["shard"] = {options_.shard, options_.shards};
  return j;
}

Result<std::unique_ptr<CampaignFolder>> CampaignFolder::Open(const CampaignOptions& options) {
  std::unique_ptr<CampaignFolder> f(new CampaignFolder(options));
  std::error_code failed;
  fs::create_directories(fs::path(options.out) / "findings", failed);
  if (failed) return Usage("the folder can't be made: " + failed.message(), options.out);
  TRY(f->Lock());
  bool started =
      fs::exists(f->Path("journal.jsonl")) && fs::file_size(f->Path("journal.jsonl"), failed) > 0;
  if (started && !options.resume)
    return Usage("holds a campaign already: add --resume, or take another folder", options.out);
  TRY(started ? f->Resume() : f->Start());
  return f;
}

Status CampaignFolder::Lock() {
  lock_ = open(Path("lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0)
    return Usage(std::string("can't be written: ") + std::strerror(errno), Path("lock"));
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0)
    return Usage("another campaign works on this folder", options_.out);
  return {};
}

CampaignFolder::~CampaignFolder() {
  if (lock_ >= 0) close(lock_);
}

Status CampaignFolder::Start() {
  next_ = options_.shard;
  TRY(journal_.Open(Path("journal.jsonl"), 0));
  TRY(journal_.Append(Header().dump()));
  return journal_.Sync();
}

Status CampaignFolder::Resume() {
  std::map<std::string, int64_t> per_signature;
  int64_t last = -1;
  JournalState state = TRY(ReadJournal(Path("journal.jsonl"), [&](const CaseRecord& r) {
    counts_.Add(r);
    last = r.index;
    for (const FindingRecord& f : r.findings)
      kept_ += ++per_signature[f.signature] <= kKeptOfSignature;
  }));
  if (nlohmann::json(Header()) != state.header) {
    return Usage("holds a campaign with other options: " + state.header.dump(), options_.out);
  }
  if (last >= 0 && last != options_.shard + (counts_.cases - 1) * options_.shards) {
    return Invalid("cases are missing in the journal", Path("journal.jsonl"));
  }
  next_ = options_.shard + counts_.cases * options_.shards;
  TRY(journal_.Open(Path("journal.jsonl"), state.bytes));
  if (Result<std::string> text = ReadFile(Path("state.json")); text.ok()) {
    nlohmann::json j = nlohmann::json::parse(*text, nullptr, false);
    if (j.is_object() && j.contains("seconds") && j["seconds"].is_number()) {
      earlier_seconds_ = j["seconds"].get<double>();
    }
    const nlohmann::json ms = j.is_object() ? j.value("ms", nlohmann::json()) : nlohmann::json();
    for (size_t p = 0; ms.is_array() && p < ms_.size() && p < ms.size(); ++p) {
      if (ms[p].is_number()) ms_[p] = ms[p].get<double>();
    }
  }
  ReadCrashed();
  return RestoreSequences(last);
}

// The set as saved, and the sources that came after it made again.
Status CampaignFolder::RestoreSequences(int64_t last) {
  int64_t from = 0;
  if (Result<std::string> text = ReadFile(Path("sequences.txt")); text.ok()) {
    constexpr std::string_view kMark = "# cases: ";
    if (text->starts_with(kMark)) from = std::atoll(text->c_str() + kMark.size());
    if (from > 0 && from <= counts_.cases)
      sequences_ = SequenceSet::Parse(*text, kSequenceLengths);
    else
      from = 0;
  }
  for (int64_t k = from; options_.shard + k * options_.shards <= last; ++k) {
    Result<Flow> flow = SourceFlow(options_.cases, options_.shard + k * options_.shards);
    if (flow.ok()) sequences_.Insert(*flow);
  }
  return {};
}

void CampaignFolder::ReadCrashed() {
  std::ifstream file(Path("crashed.txt"));
  for (int64_t index; file >> index;) crashed_.insert(index);
}

double CampaignFolder::seconds() const {
  return earlier_seconds_ +
         std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

Status CampaignFolder::Commit(CaseResult result) {
  CHECK(result.record.index == next_);
  sequences_.Insert(result.flow);
  for (int i = 0; i < kSequenceLengths; ++i)
    result.record.sequences[static_cast<size_t>(i)] = sequences_.Count(i + 1);
  counts_.Add(result.record);
  next_ += options_.shards;
  for (size_t p = 0; p < ms_.size(); ++p) ms_[p] += result.ms[p];
  for (size_t k = 0; k < result.record.findings.size(); ++k) {
    bool fresh = counts_.groups[result.record.findings[k].signature].count <= kKeptOfSignature;
    if (!fresh || kept_ >= options_.keep_findings) continue;
    ++kept_;
    TRY(SaveFinding(options_.cases, result, k, options_.out));
  }
  TRY(journal_.Append(RecordLine(result.record)));
  auto now = std::chrono::steady_clock::now();
  if (now - synced_ >= kSyncEvery) {
    synced_ = now;
    TRY(journal_.Sync());
    TRY(SaveState());
  }
  if (now - saved_ >= kSaveEvery) {
    saved_ = now;
    TRY(Checkpoint(false));
  }
  return {};
}

nlohmann::ordered_json CampaignFolder::Summary() const {
  nlohmann::ordered_json j = CountsJson(counts_, seconds());
  for (nlohmann::ordered_json& g : j["finding_groups"]) {
    g["replay"] = ReplayCommand(options_.cases, g["cases"].at(0).get<int64_t>());
  }
  j["growth"] = nlohmann::ordered_json::array();
  for (const Counts::GrowthPoint& p : counts_.growth) {
    nlohmann::ordered_json row = {p.cases};
    for (int64_t n : p.sequences) row.push_back(n);
    j["growth"].push_back(row);
  }
  j["ms_per_case"] = nlohmann::ordered_json::object();
  for (int p = 0; p < kPhases; ++p) {
    double cases = static_cast<double>(std::max<int64_t>(counts_.cases, 1));
    j["ms_per_case"][PhaseName(static_cast<Phase>(p))] = ms_[static_cast<size_t>(p)] / cases;
  }
  j["options"] = Header();
  return j;
}

Status CampaignFolder::SaveState() {
  return ReplaceFile(Path("state.json"),
                     Dump({{"cases", counts_.cases}, {"seconds", seconds()}, {"ms", ms_}}, -1));
}

Status CampaignFolder::Checkpoint(bool final) {
  (void) final;
  TRY(journal_.Sync());
  TRY(ReplaceFile(Path("sequences.txt"),
                  fmt::format("# cases: {}\n", counts_.cases) + sequences_.ToText()));
  TRY(SaveState());
  TRY(ReplaceFile(Path("summary.json"), Dump(Summary(), 1)));
  if (!final) return {};
  return ReplaceFile(Path("report.html"), ReportHtml(TRY(ReadCampaigns({options_.out}))));
}

std::string ReplayCommand(const CaseOptions& options, int64_t index) {
  return fmt::format("assay campaign {} --case {} --out case-{}", options.Flags(), index, index);
}

Result<std::string> SaveFinding(const CaseOptions& options, const CaseResult& result, size_t k,
                                const std::string& folder) {
  const CaseRecord& r = result.record;
  const FindingRecord& f = r.findings[k];
  std::string path =
      (fs::path(folder) / "findings" / fmt::format("{}-{}", f.kind, r.index)).string();
  if (r.nodes > 0) TRY(SaveModels(options, result, f, path));
  std::error_code failed;
  fs::create_directories(path, failed);
  nlohmann::ordered_json j = nlohmann::ordered_json::parse(RecordLine(r));
  j["finding"] = f.kind;
  j["what"] = f.what;
  j["replay"] = ReplayCommand(options, r.index);
  if (!result.command_output.empty()) j["output"] = result.command_output;
  TRY(WriteFile(path + "/finding.json", Dump(j, 1)));
  return path;
}

Result<CampaignHeader> ReadCampaignHeader(const std::string& folder) {
  JournalState state =
      TRY(ReadJournal((fs::path(folder) / "journal.jsonl").string(), [](const CaseRecord&) {}));
  CampaignHeader h;
  h.cases = TRY(CaseOptions::FromJson(state.header));
  const nlohmann::json& shard = state.header.value("shard", nlohmann::json());
  if (shard.is_array() && shard.size() == 2 && shard[0].is_number_integer() &&
      shard[1].is_number_integer()) {
    h.shard = shard[0].get<int64_t>();
    h.shards = shard[1].get<int64_t>();
  }
  return h;
}

}  // namespace assay
