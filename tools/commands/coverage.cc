// assay coverage: operator-sequence coverage of models, folders of models, corpora and campaigns.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <set>

#include "corpus/entry.h"
#include "corpus/sequence_list.h"
#include "corpus/sequences.h"
#include "fuzz/html.h"
#include "gen/plant.h"
#include "interp/onnx_io.h"
#include "interp/op_spec.h"
#include "tools/command.h"

namespace assay {
namespace {

namespace fs = std::filesystem;

struct Flags {
  std::vector<std::string> paths;
  int max_length = SequenceSet::kDefaultLength;
  std::string against, html;
  std::vector<std::string> lists;
  bool missing = false, quiet = false;
  int jobs = 1;
  JsonFlag json;
};

bool EndsWith(const fs::path& path, const char* suffix) { return path.string().ends_with(suffix); }

// The files of a folder that hold models or recorded sets. A case counts by its source; a campaign
// by the set it recorded, which the models it kept are part of.
Status Collect(const std::string& path, std::vector<std::string>* files) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    if (!fs::exists(path, error)) return Invalid("no such file or folder", path);
    files->push_back(path);
    return {};
  }
  std::vector<fs::path> open = {path};
  while (!open.empty()) {
    fs::path folder = open.back();
    open.pop_back();
    if (fs::exists(folder / kSequencesFile, error)) {
      files->push_back((folder / kSequencesFile).string());
      continue;
    }
    bool is_case = fs::exists(folder / "source.onnx", error);
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      const fs::path& at = it->path();
      std::error_code ignored;
      if (it->is_directory(ignored) && !it->is_symlink(ignored)) {
        open.push_back(at);
      } else if (EndsWith(at, kEntrySuffix) ||
                 (at.extension() == ".onnx" && (!is_case || at.filename() == "source.onnx"))) {
        files->push_back(at.string());
      }
    }
    if (error) return Invalid("can't read the folder: " + error.message(), folder.string());
  }
  return {};
}

// What a file adds: a graph's flow, or a recorded set.
struct Found {
  Flow flow;
  SequenceSet set{SequenceSet::kLongest};
  bool recorded = false;
};

Result<Found> Read(const std::string& path) {
  Found found;
  if (EndsWith(path, ".txt")) {
    std::string text = TRY(ReadFile(path));
    found.set = SequenceSet::Parse(text, SequenceSet::kLongest);
    found.recorded = true;
    if (found.set.Count(1) == 0) return Invalid("holds no operator sequence", path);
    return found;
  }
  Model model;
  if (EndsWith(path, kEntrySuffix)) {
    Entry entry = TRY(LoadCase(path));
    model = std::move(entry.source);
  } else {
    model = TRY(LoadModel(path));
  }
  Result<Flow> flow = FlowOf(model.graph);
  if (!flow.ok()) return flow.error().In(path);
  found.flow = std::move(*flow);
  return found;
}

struct Coverage {
  SequenceSet set;
  std::optional<SequenceList> wanted;
  int64_t models = 0, recorded = 0;
  std::vector<Error> unreadable;
};

Coverage Cover(const Flags& f, const std::vector<std::string>& files,
               std::optional<SequenceList> wanted) {
  Coverage c{SequenceSet(f.max_length), std::move(wanted), 0, 0, {}};
  std::vector<std::optional<Error>> errors(files.size());
  std::mutex mutex;
  Progress progress("models", static_cast<int64_t>(files.size()), f.quiet);
  ParallelFor(f.jobs, static_cast<int64_t>(files.size()), [&](int64_t i) {
    Result<Found> found = Read(files[i]);
    std::lock_guard<std::mutex> lock(mutex);
    progress.Step();
    if (!found.ok()) {
      errors[i] = found.error();
    } else if (found->recorded) {
      ++c.recorded;
      c.set.Merge(found->set);
      if (c.wanted) c.wanted->Cover(found->set);
    } else {
      ++c.models;
      c.set.Insert(found->flow);
      if (c.wanted) c.wanted->Cover(found->flow);
    }
  });
  for (std::optional<Error>& e : errors) {
    if (e) c.unreadable.push_back(std::move(*e));
  }
  return c;
}

// Of the feasible pairs; others are what only particular values make possible.
int64_t CoveredPairs(const SequenceSet& set) {
  return std::count_if(FeasiblePairs().begin(), FeasiblePairs().end(), [&](const auto& pair) {
    return set.Contains({pair.first, pair.second});
  });
}

nlohmann::json ToJson(const Coverage& c, bool missing) {
  nlohmann::json out;
  out["models"] = c.models;
  out["recorded_sets"] = c.recorded;
  out["unreadable"] = c.unreadable.size();
  std::vector<uint64_t> feasible = FeasibleSequences(FeasiblePairs(), c.set.max_length());
  for (int k = 1; k <= c.set.max_length(); ++k) {
    out["lengths"][std::to_string(k)] = {{"covered", c.set.Count(k)},
                                         {"feasible", feasible[k - 1]}};
  }
  out["pairs"] = {{"covered", CoveredPairs(c.set)}, {"feasible", FeasiblePairs().size()}};
  if (!c.wanted) return out;
  SequenceList::Count all = c.wanted->All();
  out["against"] = {{"covered", all.covered}, {"total", all.total}};
  for (const auto& [name, count] : c.wanted->ByList()) {
    out["against"]["lists"][name] = {{"covered", count.covered}, {"total", count.total}};
  }
  if (missing) out["against"]["missing"] = c.wanted->Missing();
  return out;
}

double Percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

void Print(const Coverage& c, bool missing, std::FILE* to) {
  fmt::print(to, "{} models", c.models);
  if (c.recorded > 0) fmt::print(to, ", {} recorded sets", c.recorded);
  fmt::print(to, "\nlength     covered            feasible  share\n");
  std::vector<uint64_t> feasible = FeasibleSequences(FeasiblePairs(), c.set.max_length());
  for (int k = 1; k <= c.set.max_length(); ++k) {
    fmt::print(to, "{:6} {:11} {:19} {:6.2f} %\n", k, c.set.Count(k), feasible[k - 1],
               Percent(static_cast<double>(c.set.Count(k)), static_cast<double>(feasible[k - 1])));
  }
  fmt::print(to, "feasible pairs: {} of {} covered ({:.1f} %)\n", CoveredPairs(c.set),
             FeasiblePairs().size(),
             Percent(static_cast<double>(CoveredPairs(c.set)),
                     static_cast<double>(FeasiblePairs().size())));
  if (!c.wanted) return;
  SequenceList::Count all = c.wanted->All();
  auto line = [&](const std::string& name, const SequenceList::Count& n) {
    fmt::print(to, "{}: {} of {} ({:.1f} %)\n", name, n.covered, n.total,
               Percent(static_cast<double>(n.covered), static_cast<double>(n.total)));
  };
  line("against the list", all);
  for (const auto& [name, count] : c.wanted->ByList()) {
    if (!name.empty()) line("  " + OneLine(name), count);
  }
  if (!missing) return;
  for (const std::string& name : c.wanted->Missing())
    fmt::print(to, "missing: {}\n", OneLine(name));
}

// A list of names as chips, folded away where it is long.
std::string NameList(const std::string& title, const std::vector<std::string>& names) {
  constexpr size_t kMost = 3000;
  std::string html = "<details><summary>" + title + " (" +
                     Grouped(static_cast<int64_t>(names.size())) +
                     ")</summary>\n<div class=\"chips\">";
  for (size_t i = 0; i < names.size() && i < kMost; ++i)
    html += "<span class=\"chip\">" + Escape(names[i], 200) + "</span>";
  return html + (names.size() > kMost ? " …" : "") + "</div></details>\n";
}

std::string LengthTable(const Coverage& c) {
  std::string html =
      "<div class=\"scroll\"><table><tr><th>length</th><th class=\"n\">covered</th><th "
      "class=\"n\">feasible</th>"
      "<th class=\"n\">share</th></tr>\n";
  std::vector<uint64_t> feasible = FeasibleSequences(FeasiblePairs(), c.set.max_length());
  for (int k = 1; k <= c.set.max_length(); ++k) {
    int64_t whole = static_cast<int64_t>(std::min<uint64_t>(feasible[k - 1], INT64_MAX));
    html += fmt::format(
        "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{:.2g} "
        "%</td></tr>\n",
        k, Grouped(c.set.Count(k)), Grouped(whole),
        Percent(static_cast<double>(c.set.Count(k)), static_cast<double>(whole)));
  }
  return html +
         "</table></div>\n<p class=\"soft\">Feasible: operators that are generated, pairs of them "
         "that fit by element type and rank, and the walks over such pairs.</p>\n";
}

std::string ListTable(const SequenceList& wanted) {
  std::string html =
      "<div class=\"scroll\"><table><tr><th>list</th><th class=\"n\">covered</th><th "
      "class=\"n\">of</th>"
      "<th class=\"n\">share</th></tr>\n";
  auto row = [&](const std::string& name, const SequenceList::Count& n) {
    html += "<tr><td class=\"mono\">" + Escape(name, 200) + "</td><td class=\"n\">" +
            Grouped(n.covered) + "</td><td class=\"n\">" + Grouped(n.total) +
            "</td><td class=\"n\">" + Share(n.covered, n.total) + "</td></tr>\n";
  };
  for (const auto& [name, count] : wanted.ByList()) {
    if (!name.empty()) row(name, count);
  }
  row("all, each sequence once", wanted.All());
  return html + "</table></div>\n";
}

std::string Page(const Coverage& c) {
  std::set<std::string> unseen;
  for (const OpSpec& spec : AllOps()) {
    std::string name = spec.domain.empty() ? spec.name : spec.domain + "." + spec.name;
    if (name != "Constant" && !c.set.Contains({name})) unseen.insert(name);
  }
  std::string html =
      "<p class=\"soft\">assay</p>\n<h1>Operator-sequence coverage</h1>\n<p class=\"lead\">" +
      Grouped(c.models) + (c.models == 1 ? " model" : " models");
  if (c.recorded > 0) html += ", " + Grouped(c.recorded) + " recorded sets";
  html += "</p>\n";
  if (!c.unreadable.empty()) {
    html += "<p class=\"warn\">" + Grouped(static_cast<int64_t>(c.unreadable.size())) +
            " files could not be read</p>\n";
  }
  html += "<h2>By length</h2>\n" + LengthTable(c);
  html += NameList("operators of the table that were not seen", {unseen.begin(), unseen.end()});
  html += NameList("operators seen", c.set.Names(1)) + NameList("pairs seen", c.set.Names(2));
  if (c.wanted)
    html += "<h2>Against the list</h2>\n" + ListTable(*c.wanted) +
            NameList("not covered", c.wanted->Missing());
  return HtmlPage("assay: operator-sequence coverage", html);
}

Result<int> Execute(const Flags& f) {
  std::vector<std::string> files;
  for (const std::string& path : f.paths) TRY(Collect(path, &files));
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  if (files.empty()) return Invalid("no model, case or sequence file found", f.paths[0]);
  std::optional<SequenceList> wanted;
  if (!f.against.empty()) {
    std::string text = TRY(ReadFile(f.against));
    wanted = TRY(SequenceList::Parse(text, f.against, f.lists));
  }
  Coverage c = Cover(f, files, std::move(wanted));
  TRY(f.json.Write(ToJson(c, f.missing)));
  if (!f.html.empty()) TRY(WriteFile(f.html, Page(c)));
  Print(c, f.missing, f.json.human());
  for (size_t i = 1; i < c.unreadable.size(); ++i) {
    fmt::print(stderr, "assay coverage: {}\n", OneLine(c.unreadable[i].ToString()));
  }
  if (!c.unreadable.empty()) return c.unreadable[0];
  return exit_code::kFine;
}

Runner Setup(CLI::App& app) {
  auto f = std::make_shared<Flags>();
  app.add_option("paths", f->paths,
                 "models, cases, recorded sets (*.txt), folders of them, corpora, campaigns")
      ->required();
  app.add_option("--max-length", f->max_length, "longest sequence to count")
      ->check(CLI::Range(1, SequenceSet::kLongest))
      ->capture_default_str();
  app.add_option("--against", f->against, "wanted sequences: JSON lists, or one A>B>C a line");
  app.add_option("--list", f->lists, "only these lists of a JSON file")
      ->delimiter(',')
      ->needs("--against");
  app.add_flag("--missing", f->missing, "also name the wanted sequences that are not covered");
  app.add_option("--html", f->html, "write a page to this file");
  AddJobs(app, &f->jobs);
  AddQuiet(app, &f->quiet);
  f->json.Add(app);
  return [f] { return Execute(*f); };
}

constexpr char kDetails[] =
    R"(A sequence is a contiguous run of operators along data edges; Constant nodes and initializers are no
operators, bodies of If, Loop and Scan are entered. 'feasible' counts the operators that `generate --profile
everything` knows, the pairs of which the first makes what the second reads (element type, rank and bounds), and
the walks over such pairs; `pairs` in the JSON result is how many of these pairs are covered. Nearly all are, within
minutes, in the sources of `campaign --profile everything --nodes 2 --faults 0 --rewrites 0 --no-repair --out DIR`.
A case counts by its source, a campaign by the set that it recorded (sequences.txt, up to 5 operators).
Files that can't be read are named on stderr and lead to exit code 3; the others are counted.)";

}  // namespace

Command command_coverage() { return {"coverage", "operator-sequence coverage", kDetails, Setup}; }

}  // namespace assay
