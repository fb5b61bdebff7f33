#include "fuzz/journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace assay {
namespace {

using Json = nlohmann::ordered_json;

// Text from models may hold any bytes.
std::string Dump(const Json& j) { return j.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string Text(const nlohmann::json& j, const char* key) {
  auto it = j.find(key);
  return it != j.end() && it->is_string() ? it->get<std::string>() : std::string();
}
int64_t Number(const nlohmann::json& j, const char* key) {
  auto it = j.find(key);
  return it != j.end() && it->is_number_integer() ? it->get<int64_t>() : 0;
}
bool Flag(const nlohmann::json& j, const char* key) {
  auto it = j.find(key);
  return it != j.end() && it->is_boolean() && it->get<bool>();
}

template <class T, class F>
void ReadList(const nlohmann::json& j, const char* key, std::vector<T>* out, F&& read) {
  auto it = j.find(key);
  if (it == j.end() || !it->is_array()) return;
  for (const nlohmann::json& item : *it) {
    if (item.is_object()) out->push_back(read(item));
  }
}

}  // namespace

const std::vector<FindingKind>& FindingKinds() {
  static const std::vector<FindingKind> kinds = {
      {"missed", "an observable fault that the verifier called equivalent, or could not decide"},
      {"false_alarm", "a difference reported of a pair that differs in rewrites alone"},
      {"not_repaired", "an observable fault that was detected and not healed"},
      {"repair_refused", "a repair that replaces the target instead of editing it"},
      {"damaged", "a plugged-in converter changed what the model computes"},
      {"runtime_differs", "a plugged-in runtime computes something else than the interpreter"},
      {"crash", "a plugged-in command ended by a signal or with an unexpected exit code"},
      {"hang", "a plugged-in command hit its time limit"},
      {"garbage", "a plugged-in command left no output file or one that can't be read"},
      {"bad_rewrite", "the built-in converter's rewrites changed what the model computes"},
      {"internal", "an error of assay itself"},
  };
  return kinds;
}

std::string RecordLine(const CaseRecord& r) {
  Json j;
  j["case"] = r.index;
  j["nodes"] = r.nodes;
  if (!r.truth.empty()) j["truth"] = r.truth;
  if (!r.verdict.empty()) j["verdict"] = r.verdict;
  if (!r.repair.empty()) j["repair"] = r.repair;
  j["margin"] = r.margin;
  for (const FaultRecord& f : r.faults) {
    j["faults"].push_back({{"name", f.name},
                           {"class", f.cls},
                           {"op", f.op},
                           {"kind", f.kind},
                           {"detected", f.detected},
                           {"localized", f.localized},
                           {"repaired", f.repaired}});
  }
  if (!r.rewrites.empty()) j["rewrites"] = r.rewrites;
  for (const FindingRecord& f : r.findings) {
    j["findings"].push_back({{"kind", f.kind}, {"signature", f.signature}, {"what", f.what}});
  }
  for (const ErrorRecord& e : r.errors) {
    j["errors"].push_back({{"phase", e.phase}, {"code", e.code}, {"message", e.message}});
  }
  j["sequences"] = r.sequences;
  return Dump(j);
}

Result<CaseRecord> ParseRecord(std::string_view line) {
  nlohmann::json j = nlohmann::json::parse(line, nullptr, false);
  if (!j.is_object() || !j.contains("case") || !j["case"].is_number_integer())
    return Invalid("not a case record");
  CaseRecord r;
  r.index = Number(j, "case");
  r.nodes = static_cast<int>(Number(j, "nodes"));
  r.truth = Text(j, "truth");
  r.verdict = Text(j, "verdict");
  r.repair = Text(j, "repair");
  if (j.contains("margin") && j["margin"].is_number()) r.margin = j["margin"].get<double>();
  ReadList(j, "faults", &r.faults, [](const nlohmann::json& f) {
    return FaultRecord{Text(f, "name"),    Text(f, "class"),    Text(f, "op"),
                       Text(f, "kind"),    Flag(f, "detected"), Flag(f, "localized"),
                       Flag(f, "repaired")};
  });
  if (j.contains("rewrites") && j["rewrites"].is_array()) {
    for (const nlohmann::json& name : j["rewrites"]) {
      if (name.is_string()) r.rewrites.push_back(name.get<std::string>());
    }
  }
  ReadList(j, "findings", &r.findings, [](const nlohmann::json& f) {
    return FindingRecord{Text(f, "kind"), Text(f, "signature"), Text(f, "what")};
  });
  ReadList(j, "errors", &r.errors, [](const nlohmann::json& e) {
    return ErrorRecord{Text(e, "phase"), Text(e, "code"), Text(e, "message")};
  });
  if (j.contains("sequences") && j["sequences"].is_array()) {
    const nlohmann::json& s = j["sequences"];
    for (size_t i = 0; i < s.size() && i < r.sequences.size(); ++i) {
      if (s[i].is_number_integer()) r.sequences[i] = s[i].get<int64_t>();
    }
  }
  return r;
}

void FaultTally::Add(const FaultRecord& f) {
  ++injected;
  latent += f.kind == "latent";
  equivalent += f.kind == "equivalent";
  if (f.kind != "observable") return;
  ++observable;
  detected += f.detected;
  localized_top1 += f.localized;
  repaired += f.repaired;
}

void FaultTally::Merge(const FaultTally& o) {
  injected += o.injected;
  observable += o.observable;
  latent += o.latent;
  equivalent += o.equivalent;
  detected += o.detected;
  localized_top1 += o.localized_top1;
  repaired += o.repaired;
}

void Counts::Add(const CaseRecord& r) {
  ++cases;
  benign_cases += r.faults.empty();
  undecided += r.verdict == "undecided";
  unjudged += r.truth == "unjudged";
  for (const FaultRecord& f : r.faults) {
    faults.Add(f);
    by_class[f.cls].Add(f);
    by_fault[f.name].Add(f);
    by_fault_op[f.name][f.op].Add(f);
  }
  rewrites_applied += static_cast<int64_t>(r.rewrites.size());
  for (const std::string& name : r.rewrites) ++by_rewrite[name];
  for (const ErrorRecord& e : r.errors) ++errors[e.phase + ": " + e.code];
  for (const FindingRecord& f : r.findings) {
    ++findings;
    ++by_kind[f.kind];
    false_alarms += f.kind == "false_alarm";
    FindingGroup& g = groups[f.signature];
    if (g.count++ == 0) g.kind = f.kind, g.what = f.what;
    if (g.cases.size() < kFindingCases) g.cases.push_back(r.index);
  }
  sequences = r.sequences;
  AddGrowth();
}

// Keeps every growth_step_-th point and the last one; the step doubles when there are too many.
void Counts::AddGrowth() {
  bool last_is_loose = !growth.empty() && growth.back().cases % growth_step_ != 0;
  if (last_is_loose) growth.pop_back();
  growth.push_back({cases, sequences});
  if (growth.size() <= kGrowthPoints) return;
  growth_step_ *= 2;
  std::erase_if(growth, [&](const GrowthPoint& p) {
    return p.cases % growth_step_ != 0 && p.cases != cases;
  });
}

void Counts::Merge(const Counts& o) {
  cases += o.cases;
  benign_cases += o.benign_cases;
  false_alarms += o.false_alarms;
  undecided += o.undecided;
  unjudged += o.unjudged;
  rewrites_applied += o.rewrites_applied;
  findings += o.findings;
  faults.Merge(o.faults);
  for (const auto& [name, t] : o.by_class) by_class[name].Merge(t);
  for (const auto& [name, t] : o.by_fault) by_fault[name].Merge(t);
  for (const auto& [name, ops] : o.by_fault_op) {
    for (const auto& [op, t] : ops) by_fault_op[name][op].Merge(t);
  }
  for (const auto& [name, n] : o.by_rewrite) by_rewrite[name] += n;
  for (const auto& [name, n] : o.errors) errors[name] += n;
  for (const auto& [name, n] : o.by_kind) by_kind[name] += n;
  for (const auto& [signature, g] : o.groups) {
    FindingGroup& mine = groups[signature];
    if (mine.count == 0) mine.kind = g.kind, mine.what = g.what;
    mine.count += g.count;
    mine.cases.insert(mine.cases.end(), g.cases.begin(), g.cases.end());
    std::sort(mine.cases.begin(), mine.cases.end());
    if (mine.cases.size() > kFindingCases) mine.cases.resize(kFindingCases);
  }
  // Distinct sequences of two shards overlap; their union needs the sets. The larger one is a lower
  // bound.
  for (size_t i = 0; i < sequences.size(); ++i)
    sequences[i] = std::max(sequences[i], o.sequences[i]);
}

nlohmann::ordered_json TallyJson(const FaultTally& t) {
  return {{"injected", t.injected}, {"observable", t.observable},
          {"latent", t.latent},     {"equivalent", t.equivalent},
          {"detected", t.detected}, {"localized_top1", t.localized_top1},
          {"repaired", t.repaired}};
}

nlohmann::ordered_json CountsJson(const Counts& c, double seconds) {
  Json j;
  j["cases"] = c.cases;
  j["seconds"] = seconds;
  j["cases_per_second"] = seconds > 0 ? static_cast<double>(c.cases) / seconds : 0;
  j["benign_cases"] = c.benign_cases;
  j["faults"] = TallyJson(c.faults);
  j["faults"]["by_class"] = Json::object();
  j["faults"]["by_fault"] = Json::object();
  for (const auto& [name, t] : c.by_class) j["faults"]["by_class"][name] = TallyJson(t);
  for (const auto& [name, t] : c.by_fault) {
    Json& row = j["faults"]["by_fault"][name] = TallyJson(t);
    for (const auto& [op, tally] : c.by_fault_op.at(name)) row["by_op"][op] = TallyJson(tally);
  }
  j["rewrites"] = {{"applied", c.rewrites_applied},
                   {"false_alarms", c.false_alarms},
                   {"by_rewrite", Json::object()}};
  for (const auto& [name, n] : c.by_rewrite) j["rewrites"]["by_rewrite"][name] = n;
  j["sequences"] = Json::object();
  for (int i = 0; i < kSequenceLengths; ++i) j["sequences"][std::to_string(i + 1)] = c.sequences[i];
  j["findings"] = c.findings;
  j["findings_by_kind"] = Json::object();
  for (const auto& [kind, n] : c.by_kind) j["findings_by_kind"][kind] = n;
  j["finding_groups"] = Json::array();
  for (const auto& [signature, g] : c.groups) {
    j["finding_groups"].push_back({{"kind", g.kind},
                                   {"signature", signature},
                                   {"count", g.count},
                                   {"cases", g.cases},
                                   {"what", g.what}});
  }
  j["undecided"] = c.undecided;
  j["unjudged"] = c.unjudged;
  j["errors"] = Json::object();
  for (const auto& [name, n] : c.errors) j["errors"][name] = n;
  return j;
}

Result<JournalState> ReadJournal(const std::string& path,
                                 const std::function<void(const CaseRecord&)>& each) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Invalid("can't be read", path);
  JournalState state;
  std::string line;
  bool torn = false;
  for (int64_t number = 1; std::getline(file, line); ++number) {
    if (torn) return Invalid("line " + std::to_string(number - 1) + " is damaged", path);
    if (file.eof()) break;  // no newline at its end: the writer was stopped within it
    if (number == 1) {
      state.header = nlohmann::json::parse(line, nullptr, false);
      if (!state.header.is_object() || Number(state.header, "assay_journal") != kJournalVersion) {
        return Invalid("is no campaign journal of version " + std::to_string(kJournalVersion),
                       path);
      }
    } else {
      Result<CaseRecord> r = ParseRecord(line);
      torn = !r.ok() || r->index <= state.next;
      if (torn) continue;  // fine if it is the last one
      state.next = r->index;
      each(*r);
    }
    state.bytes += static_cast<int64_t>(line.size()) + 1;
  }
  if (state.header.is_null()) return Invalid("is an empty journal", path);
  return state;
}

JournalWriter::~JournalWriter() {
  if (fd_ >= 0) close(fd_);
}

Status JournalWriter::Open(const std::string& path, int64_t keep_bytes) {
  path_ = path;
  fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0 || ftruncate(fd_, keep_bytes) != 0 || lseek(fd_, 0, SEEK_END) < 0) {
    return Usage(std::string("can't be written: ") + std::strerror(errno), path);
  }
  return {};
}

Status JournalWriter::Append(const std::string& line) {
  std::string bytes = line + "\n";
  for (size_t at = 0; at < bytes.size();) {
    ssize_t n = write(fd_, bytes.data() + at, bytes.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return LimitHit(std::string("can't be written: ") + std::strerror(errno), path_);
    at += static_cast<size_t>(n);
  }
  return {};
}

Status JournalWriter::Sync() {
  if (fd_ >= 0 && fdatasync(fd_) != 0)
    return LimitHit(std::string("can't be synced: ") + std::strerror(errno), path_);
  return {};
}

}  // namespace assay
