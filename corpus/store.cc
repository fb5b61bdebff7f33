#include "corpus/store.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "corpus/sequences.h"
#include "interp/onnx_io.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

bool ValidId(const std::string& id) {
  return !id.empty() && id[0] != '.' && id.size() <= 200 &&
         id.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
             std::string::npos;
}

std::string Joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& n : names) text += (text.empty() ? "" : ",") + n;
  return text.empty() ? "-" : text;
}

std::vector<std::string> StepNames(const Entry& entry, bool rewrites) {
  std::vector<std::string> names;
  for (const Step& s : entry.steps) {
    if (IsRewriteName(s.transform) != rewrites) continue;
    if (std::find(names.begin(), names.end(), s.transform) == names.end())
      names.push_back(s.transform);
  }
  return names;
}

// A field of the index: separators and control characters of untrusted names are replaced.
std::string Field(std::string text) {
  for (char& c : text) {
    if (c == '|' || static_cast<unsigned char>(c) < ' ') c = '_';
  }
  return text;
}

// Writes beside and renames, so that a killed process leaves the old file or the new one.
Status Replace(const std::string& path, const std::string& bytes) {
  std::string beside = path + ".new";
  TRY(WriteFile(beside, bytes));
  std::error_code error;
  fs::rename(beside, path, error);
  if (error) return Usage("can't rename: " + error.message(), path);
  return {};
}

}  // namespace

std::vector<std::string> FaultsOf(const Entry& entry) { return StepNames(entry, false); }
std::vector<std::string> RewritesOf(const Entry& entry) { return StepNames(entry, true); }

Result<std::vector<StoredCase>> ListEntries(const std::string& folder) {
  std::error_code error;
  std::vector<StoredCase> found;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    if (!name.ends_with(kEntrySuffix)) continue;
    found.push_back(
        {name.substr(0, name.size() - (sizeof(kEntrySuffix) - 1)), it->path().string()});
  }
  if (error) return Invalid("can't read the corpus folder: " + error.message(), folder);
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return found;
}

std::string IndexLine(const Entry& entry) {
  SequenceSet set(1);
  // A cyclic target still deserves its line.
  bool readable = set.Insert(entry.target.graph).ok();
  std::string ops = readable ? Joined(set.Names(1)) : "(cyclic)";
  return entry.id + " | " + entry.expected.ToString() + " | " + Field(Joined(FaultsOf(entry))) +
         " | " + Field(Joined(RewritesOf(entry))) + " | " + Field(ops) + " | " + Field(entry.note);
}

Result<std::string> IndexText(const std::string& folder, const Limits& limits) {
  std::string text = "# id | expected | faults | rewrites | operators of the target | note\n";
  std::vector<StoredCase> cases = TRY(ListEntries(folder));
  for (const StoredCase& c : cases) {
    Entry entry = TRY(LoadCase(c.path, limits));
    text += IndexLine(entry) + "\n";
  }
  return text;
}

Status WriteIndex(const std::string& folder, const Limits& limits) {
  std::string text = TRY(IndexText(folder, limits));
  return Replace(folder + "/index.txt", text);
}

Result<std::string> PutEntry(const std::string& folder, const Entry& entry, bool replace) {
  std::string id = entry.id.empty() ? EntryId(entry) : entry.id;
  if (!ValidId(id))
    return Usage("an id is made of letters, digits, '_', '.' and '-'; got '" + Field(id) + "'");
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return Usage("can't make the folder: " + error.message(), folder);
  std::string path = folder + "/" + id + kEntrySuffix;
  std::string bytes = TRY(EncodeEntry(entry));
  if (!replace && fs::exists(path, error)) {
    std::string old = TRY(ReadFile(path, kMaxEntryBytes));
    if (old != bytes) return Usage("another entry has this id", path);
  }
  TRY(Replace(path, bytes));
  return id;
}

Result<std::string> AddEntry(const std::string& folder, const Entry& entry) {
  std::string id = TRY(PutEntry(folder, entry));
  TRY(WriteIndex(folder));
  return id;
}

Status RemoveEntry(const std::string& folder, const std::string& id) {
  std::error_code error;
  std::string path = folder + "/" + id + kEntrySuffix;
  if (!ValidId(id) || !fs::remove(path, error)) return Usage("no such entry", path);
  return WriteIndex(folder);
}

Result<std::vector<std::string>> Redundant(const std::vector<Entry>& entries, int max_length) {
  struct Candidate {
    size_t entry;
    std::set<std::string> covers;
    size_t nodes;
  };
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < entries.size(); ++i) {
    const Entry& e = entries[i];
    SequenceSet set(max_length);
    TRY(set.Insert(e.source.graph));
    TRY(set.Insert(e.target.graph));
    Candidate c{i, {}, e.source.graph.nodes.size() + e.target.graph.nodes.size()};
    for (int k = 1; k <= set.max_length(); ++k) {
      for (std::string& name : set.Names(k)) c.covers.insert(std::move(name));
    }
    for (const Step& s : e.steps) c.covers.insert("step " + s.transform);
    c.covers.insert("expected " + e.expected.ToString());
    candidates.push_back(std::move(c));
  }
  // Greedy cover: the entry with most that is not covered yet, first.
  std::vector<std::string> redundant;
  while (!candidates.empty()) {
    auto better = [&](const Candidate& a, const Candidate& b) {
      if (a.covers.size() != b.covers.size()) return a.covers.size() > b.covers.size();
      if (a.nodes != b.nodes) return a.nodes < b.nodes;
      return entries[a.entry].id < entries[b.entry].id;
    };
    auto best = std::min_element(candidates.begin(), candidates.end(), better);
    if (best->covers.empty()) break;
    std::set<std::string> covered = std::move(best->covers);
    candidates.erase(best);
    for (Candidate& c : candidates) {
      for (auto it = c.covers.begin(); it != c.covers.end();)
        it = covered.count(*it) ? c.covers.erase(it) : std::next(it);
    }
  }
  for (const Candidate& c : candidates) redundant.push_back(entries[c.entry].id);
  std::sort(redundant.begin(), redundant.end());
  return redundant;
}

}  // namespace assay
