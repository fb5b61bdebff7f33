#include "corpus/entry.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <set>

#include "corpus/compress.h"
#include "interp/choices.h"
#include "interp/onnx_io.h"

namespace assay {
namespace {

constexpr std::string_view kMagic = "assay-case 1\n";
constexpr int kMaxInputSets = 4096;

std::string OneLine(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return line;
}

// One section of the container: "name size\n", the bytes, "\n".
void Put(std::string* out, const std::string& name, std::string_view bytes) {
  *out += name + " " + std::to_string(bytes.size()) + "\n";
  *out += bytes;
  *out += '\n';
}

struct Section {
  std::string_view name, bytes;
};

Result<std::vector<Section>> Sections(std::string_view text, const std::string& where) {
  std::vector<Section> sections;
  while (!text.empty()) {
    size_t end = text.find('\n');
    size_t space = text.substr(0, end).rfind(' ');
    if (end == std::string_view::npos || space == std::string_view::npos || space == 0) {
      return Invalid("a section has no header", where);
    }
    std::string_view digits = text.substr(space + 1, end - space - 1);
    uint64_t size = 0;
    auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
    if (error != std::errc() || stop != digits.data() + digits.size() || size > text.size() ||
        text.size() - size < end + 2 || text[end + 1 + size] != '\n') {
      return Invalid("section '" + OneLine(text.substr(0, space)) + "' has a wrong size", where);
    }
    sections.push_back({text.substr(0, space), text.substr(end + 1, size)});
    text = text.substr(end + 2 + size);
  }
  return sections;
}

std::string CaseText(const Entry& entry) {
  std::string text = "verdict: " + entry.expected.ToString() + "\n";
  if (!entry.note.empty()) text += "note: " + OneLine(entry.note) + "\n";
  return text;
}

Status ReadCaseText(std::string_view text, const std::string& where, Entry* entry) {
  while (!text.empty()) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.starts_with("verdict: ")) {
      Result<Expectation> e = Expectation::Parse(line.substr(9));
      if (!e.ok()) return e.error().In(where);
      entry->expected = *e;
    } else if (line.starts_with("note: ")) {
      entry->note = OneLine(line.substr(6));
    }
  }
  return {};
}

// "input <set> <place>" -> {set, place}; {-1, -1} for other names.
std::pair<int, int> InputPlace(std::string_view name) {
  int set = -1, place = -1;
  if (!name.starts_with("input ")) return {-1, -1};
  const char* end = name.data() + name.size();
  auto [next, error] = std::from_chars(name.data() + 6, end, set);
  if (error != std::errc() || next == end || *next != ' ') return {-1, -1};
  auto [stop, error2] = std::from_chars(next + 1, end, place);
  return error2 != std::errc() || stop != end ? std::pair(-1, -1) : std::pair(set, place);
}

Result<std::string> Payload(const Entry& entry) {
  std::string out(kMagic);
  Put(&out, "case", CaseText(entry));
  Put(&out, "steps", StepsText(entry.steps));
  std::string source = TRY(SerializeModel(entry.source)), target = TRY(SerializeModel(entry.target));
  Put(&out, "source", source);
  Put(&out, "target", target);
  std::vector<ValueInfo> names = entry.source.graph.RequiredInputs();
  for (size_t s = 0; s < entry.inputs.size(); ++s) {
    for (size_t j = 0; j < entry.inputs[s].size(); ++j) {
      std::string name = j < names.size() ? names[j].name : "input_" + std::to_string(j);
      std::string bytes = TRY(SerializeTensor(entry.inputs[s][j], name));
      Put(&out, "input " + std::to_string(s) + " " + std::to_string(j), bytes);
    }
  }
  return out;
}

}  // namespace

std::string Expectation::ToString() const {
  std::string text = VerdictName(verdict);
  if (healed) text += *healed ? " healed" : " unhealed";
  return text;
}

Result<Expectation> Expectation::Parse(std::string_view text) {
  for (Verdict v : {Verdict::kEquivalent, Verdict::kDifferent, Verdict::kUndecided}) {
    for (std::optional<bool> healed :
         {std::optional<bool>(), std::optional<bool>(true), std::optional<bool>(false)}) {
      Expectation e{v, healed};
      if (e.ToString() == text) return e;
    }
  }
  return Invalid("'" + OneLine(text) +
                 "' is no verdict; want equivalent, different or undecided, then healed, "
                 "unhealed or nothing");
}

bool IsRewriteName(std::string_view transform) {
  return transform.size() > 1 && transform[0] == 'B' &&
         transform.substr(1).find_first_not_of("0123456789") == std::string_view::npos;
}

std::string StepsText(const std::vector<Step>& steps) {
  std::string text;
  for (const Step& s : steps) text += s.ToString() + "\n";
  return text;
}

Result<std::vector<Step>> ParseSteps(std::string_view text, const std::string& where) {
  std::vector<Step> steps;
  for (int number = 1; !text.empty(); ++number) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty() || line[0] == '#') continue;
    Result<Step> step = Step::Parse(std::string(line));
    if (!step.ok()) return step.error().In(where + ":" + std::to_string(number));
    steps.push_back(std::move(*step));
  }
  return steps;
}

std::string EntryId(const Entry& entry) {
  std::string name;
  for (const Step& s : entry.steps) {
    if (name.empty() || (IsRewriteName(name) && !IsRewriteName(s.transform))) name = s.transform;
  }
  if (name.empty()) name = "pair";
  uint64_t hash = 0;
  Result<std::string> payload = Payload(entry);
  for (unsigned char c : payload.ok() ? *payload : name) hash = Mix(hash ^ c);
  static const char* kHex = "0123456789abcdef";
  name += '-';
  for (int shift = 60; shift >= 32; shift -= 4) name += kHex[hash >> shift & 15];
  return name;
}

Result<std::string> EncodeEntry(const Entry& entry) {
  std::string payload = TRY(Payload(entry));
  if (static_cast<int64_t>(payload.size()) > kMaxEntryBytes) {
    return LimitHit("a case of " + std::to_string(payload.size()) +
                    " bytes is too large for the corpus; minimize it");
  }
  return Compress(payload);
}

Result<Entry> DecodeEntry(std::string_view bytes, const std::string& where, std::string id,
                          const Limits& limits) {
  std::string payload = TRY(Decompress(bytes, std::min(kMaxEntryBytes, limits.bytes), where));
  if (!std::string_view(payload).starts_with(kMagic)) return Invalid("not an assay case", where);
  std::vector<Section> sections =
      TRY(Sections(std::string_view(payload).substr(kMagic.size()), where));
  Entry entry;
  entry.id = std::move(id);
  std::set<std::string_view> seen;
  for (const Section& s : sections) {
    if (!seen.insert(s.name).second)
      return Invalid("section '" + OneLine(s.name) + "' is there twice", where);
    auto [set, place] = InputPlace(s.name);
    if (s.name == "case") {
      TRY(ReadCaseText(s.bytes, where, &entry));
    } else if (s.name == "steps") {
      entry.steps = TRY(ParseSteps(s.bytes, where));
    } else if (s.name == "source") {
      entry.source = TRY(ParseModel(s.bytes, where + ":source", limits));
    } else if (s.name == "target") {
      entry.target = TRY(ParseModel(s.bytes, where + ":target", limits));
    } else if (set >= 0) {
      // Inputs come in order, so that no number of a file sizes memory.
      if (set == static_cast<int>(entry.inputs.size()) && set < kMaxInputSets)
        entry.inputs.emplace_back();
      if (set + 1 != static_cast<int>(entry.inputs.size()) ||
          place != static_cast<int>(entry.inputs[set].size())) {
        return Invalid("section '" + OneLine(s.name) + "' is out of order", where);
      }
      entry.inputs[set].push_back(
          TRY(ParseTensor(s.bytes, where + ":" + std::string(s.name), limits)));
    }
    // Sections of later versions are skipped.
  }
  if (!seen.count("source") || !seen.count("target"))
    return Invalid("source or target is missing", where);
  return entry;
}

Result<Entry> LoadCaseFolder(const std::string& folder, const Limits& limits) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  Entry entry;
  fs::path path(folder);
  entry.id = (path.has_filename() ? path : path.parent_path()).filename().string();
  entry.source = TRY(LoadModel(folder + "/source.onnx", limits));
  entry.target = TRY(LoadModel(folder + "/target.onnx", limits));
  std::string steps = folder + "/steps.txt", about = folder + "/case.txt";
  if (fs::exists(steps, ignored)) {
    std::string text = TRY(ReadFile(steps, kMaxEntryBytes));
    entry.steps = TRY(ParseSteps(text, steps));
  }
  if (fs::exists(about, ignored)) {
    std::string text = TRY(ReadFile(about, kMaxEntryBytes));
    TRY(ReadCaseText(text, about, &entry));
  }
  size_t count = entry.source.graph.RequiredInputs().size();
  for (int set = 0; set < kMaxInputSets; ++set) {
    std::string data = folder + "/test_data_set_" + std::to_string(set);
    if (!fs::is_directory(data, ignored)) break;
    entry.inputs.emplace_back();
    for (size_t j = 0; j < count; ++j) {
      entry.inputs.back().push_back(
          TRY(LoadTensor(data + "/input_" + std::to_string(j) + ".pb", limits)));
    }
  }
  return entry;
}

Status SaveCaseFolder(const Entry& entry, const std::string& folder) {
  namespace fs = std::filesystem;
  auto make = [](const std::string& path) -> Status {
    std::error_code error;
    fs::create_directories(path, error);
    if (error) return Usage("can't make the folder: " + error.message(), path);
    return {};
  };
  TRY(make(folder));
  TRY(SaveModel(entry.source, folder + "/source.onnx"));
  TRY(SaveModel(entry.target, folder + "/target.onnx"));
  TRY(WriteFile(folder + "/steps.txt", StepsText(entry.steps)));
  TRY(WriteFile(folder + "/case.txt", CaseText(entry)));
  std::vector<ValueInfo> names = entry.source.graph.RequiredInputs();
  for (size_t s = 0; s < entry.inputs.size(); ++s) {
    std::string data = folder + "/test_data_set_" + std::to_string(s);
    TRY(make(data));
    for (size_t j = 0; j < entry.inputs[s].size(); ++j) {
      std::string name = j < names.size() ? names[j].name : "input_" + std::to_string(j);
      TRY(SaveTensor(entry.inputs[s][j], name, data + "/input_" + std::to_string(j) + ".pb"));
    }
  }
  return {};
}

Result<Entry> LoadCase(const std::string& path, const Limits& limits) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return LoadCaseFolder(path, limits);
  std::string bytes = TRY(ReadFile(path, kMaxEntryBytes));
  std::string id = std::filesystem::path(path).filename().string();
  if (id.ends_with(kEntrySuffix)) id.resize(id.size() - (sizeof(kEntrySuffix) - 1));
  return DecodeEntry(bytes, path, id, limits);
}

}  // namespace assay
