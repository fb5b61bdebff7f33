#include "fuzz/report.h"

#include <algorithm>
#include <filesystem>

#include "interp/onnx_io.h"

namespace assay {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kMostSmallFile = int64_t{64} << 20;
constexpr size_t kMostKept = 2000;

// A JSON file that may be missing or damaged; null then.
json ReadJson(const std::string& path) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  Result<std::string> text = ReadFile(path, kMostSmallFile);
  json parsed = text.ok() ? json::parse(*text, nullptr, false) : json();
  return parsed.is_discarded() ? json() : parsed;
}

std::string Text(const json& object, const char* key) {
  auto it = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

double Number(const json& object, const char* key) {
  auto it = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && it != object.end() && it->is_number() ? it->get<double>() : 0;
}

size_t KindRank(const std::string& kind) {
  const std::vector<FindingKind>& kinds = FindingKinds();
  return static_cast<size_t>(std::find_if(kinds.begin(), kinds.end(),
                                          [&](const FindingKind& k) { return k.name == kind; }) -
                             kinds.begin());
}

// finding.json holds the case's journal line; the folder's name says which of its findings it
// shows.
void ReadFinding(const fs::path& folder, CampaignData* data) {
  json about = ReadJson((folder / "finding.json").string());
  if (!about.is_object()) {
    data->notes.push_back(folder.string() + ": no readable finding.json");
    return;
  }
  KeptFinding f;
  f.folder = folder.string();
  f.replay = Text(about, "replay");
  f.index = static_cast<int64_t>(Number(about, "case"));
  std::string name = folder.filename().string();
  std::string kind = name.substr(0, name.rfind('-'));
  const json& list = about.contains("findings") ? about["findings"] : json::array();
  for (const json& item : list.is_array() ? list : json::array()) {
    if (!f.kind.empty() && Text(item, "kind") != kind) continue;
    f.kind = Text(item, "kind");
    f.signature = Text(item, "signature");
    f.what = Text(item, "what");
    if (f.kind == kind) break;
  }
  if (f.kind.empty()) f.kind = kind;
  if (!f.replay.empty()) data->replay.emplace(f.signature, f.replay);
  if (data->findings.size() < kMostKept) data->findings.push_back(std::move(f));
}

void ReadFindings(const std::string& folder, CampaignData* data) {
  std::error_code error;
  std::vector<fs::path> kept;
  for (fs::directory_iterator it(folder + "/findings", error), end; !error && it != end;
       it.increment(error)) {
    std::error_code ignored;
    if (it->is_directory(ignored)) kept.push_back(it->path());
  }
  std::sort(kept.begin(), kept.end());
  for (const fs::path& p : kept) ReadFinding(p, data);
  json summary = ReadJson(folder + "/summary.json");
  if (!summary.is_object() || !summary.contains("finding_groups")) return;
  for (const json& g :
       summary["finding_groups"].is_array() ? summary["finding_groups"] : json::array()) {
    if (!Text(g, "replay").empty()) data->replay.emplace(Text(g, "signature"), Text(g, "replay"));
  }
}

struct Read {
  Shard shard;
  Counts counts;
};

Result<Read> ReadShard(const std::string& folder) {
  Read r;
  r.shard.folder = folder;
  JournalState state =
      TRY(ReadJournal(folder + "/journal.jsonl", [&](const CaseRecord& c) { r.counts.Add(c); }));
  r.shard.header = std::move(state.header);
  r.shard.cases = r.counts.cases;
  r.shard.growth = r.counts.growth;
  r.shard.seconds = Number(ReadJson(folder + "/state.json"), "seconds");
  if (r.shard.seconds == 0) r.shard.seconds = Number(ReadJson(folder + "/summary.json"), "seconds");
  return r;
}

}  // namespace

Result<CampaignData> ReadCampaigns(const std::vector<std::string>& folders) {
  CampaignData data;
  std::map<std::string, Read> reads;  // by header: options and shard
  for (const std::string& folder : folders) {
    Read r = TRY(ReadShard(folder));
    std::string key = r.shard.header.dump(-1, ' ', true, json::error_handler_t::replace);
    auto it = reads.find(key);
    if (it == reads.end()) {
      reads.emplace(key, std::move(r));
    } else {
      const std::string& kept =
          it->second.shard.cases >= r.shard.cases ? folder : it->second.shard.folder;
      data.notes.push_back(kept + ": the same shard was given twice; counted once");
      if (it->second.shard.cases < r.shard.cases) it->second = std::move(r);
    }
  }
  bool sets = true;
  for (auto& [key, r] : reads) {
    data.counts.Merge(r.counts);
    data.seconds += r.shard.seconds;
    std::error_code ignored;
    std::string path = r.shard.folder + "/" + kSequencesFile;
    Result<std::string> text =
        fs::exists(path, ignored) ? ReadFile(path, kMostSmallFile * 4) : Invalid("missing", path);
    if (text.ok())
      data.sequences.Merge(SequenceSet::Parse(*text));
    else
      sets = false;
    ReadFindings(r.shard.folder, &data);
    data.shards.push_back(std::move(r.shard));
  }
  for (int i = 0; i < kSequenceLengths; ++i) {
    // The file is written at checkpoints, so it may lag behind the journal.
    data.counts.sequences[i] = std::max(data.counts.sequences[i], data.sequences.Count(i + 1));
  }
  if (!sets && data.shards.size() > 1) {
    data.notes.push_back("a shard has no " + std::string(kSequencesFile) +
                         "; sequence counts are lower bounds");
  }
  std::stable_sort(data.findings.begin(), data.findings.end(),
                   [](const KeptFinding& a, const KeptFinding& b) {
                     return std::tuple(KindRank(a.kind), a.signature, a.index) <
                            std::tuple(KindRank(b.kind), b.signature, b.index);
                   });
  return data;
}

nlohmann::ordered_json ReportJson(const CampaignData& data) {
  nlohmann::ordered_json out = CountsJson(data.counts, data.seconds);
  for (auto& group : out["finding_groups"]) {
    auto it = data.replay.find(group["signature"].get<std::string>());
    if (it != data.replay.end()) group["replay"] = it->second;
  }
  out["shards"] = nlohmann::ordered_json::array();
  for (const Shard& s : data.shards) {
    out["shards"].push_back(
        {{"folder", s.folder}, {"cases", s.cases}, {"seconds", s.seconds}, {"options", s.header}});
  }
  out["notes"] = data.notes;
  return out;
}

}  // namespace assay
