// assay convert: the built-in buggy converter.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "fuzz/convert.h"
#include "fuzz/edit.h"
#include "interp/onnx_io.h"
#include "tools/command.h"

namespace assay {
namespace {

struct Flags {
  std::string source, target, faults, rewrites, steps, steps_from;
  bool keep_names = false;
  uint64_t seed = 0;
  JsonFlag json;
};

// "3" is a count, anything else a list of names.
Status CountOrNames(const std::string& text, int* count, std::vector<std::string>* names) {
  if (text.empty()) return {};
  std::optional<int64_t> n = ParseInt(text);
  if (!n) {
    *names = Fields(text, ',');
    return {};
  }
  if (*n < 0 || *n > 10'000) return Usage("a count is from 0 to 10000; got " + text);
  *count = static_cast<int>(*n);
  return {};
}

Result<std::string> ReadText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf())) return Usage("can't read the file", path);
  return text.str();
}
Status WriteText(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) return Usage("can't write the file", path);
  return {};
}

Result<Conversion> ConvertOrReplay(const Flags& f, const Model& source) {
  if (!f.steps_from.empty()) {
    std::string text = TRY(ReadText(f.steps_from));
    Result<std::vector<Step>> steps = StepsFromText(text);
    if (!steps.ok()) return steps.error().In(f.steps_from);
    Conversion c;
    c.target = TRY(Replay(source, *steps));
    c.steps = *steps;
    for (const Step& s : c.steps) {
      const Transform* t = FindTransform(s.transform);
      if (t->promise == Promise::kBreaks)
        ++c.faults;
      else if (s.transform != "B27" && s.transform != "B28")
        ++c.rewrites;
    }
    return c;
  }
  ConvertOptions options;
  options.scramble = !f.keep_names;
  TRY(CountOrNames(f.faults, &options.faults, &options.fault_names));
  TRY(CountOrNames(f.rewrites, &options.rewrites, &options.rewrite_names));
  Choices choices(f.seed);
  return Convert(source, options, choices);
}

Result<int> Execute(const Flags& f) {
  if (!f.steps_from.empty() && !(f.faults.empty() && f.rewrites.empty())) {
    return Usage("--steps-from replays a list; it takes neither --faults nor --rewrites");
  }
  Model source = TRY(LoadModel(f.source));
  if (Result<Inference> known = Infer(source); !known.ok()) return known.error().In(f.source);
  Conversion c = TRY(ConvertOrReplay(f, source));
  TRY(SaveModel(c.target, f.target));
  if (!f.steps.empty()) TRY(WriteText(f.steps, StepsToText(c.steps)));
  nlohmann::json steps = nlohmann::json::array();
  for (const Step& s : c.steps) {
    fmt::print(f.json.human(), "{}\n", s.ToString());
    const Transform* t = FindTransform(s.transform);
    steps.push_back({{"step", s.ToString()}, {"transform", s.transform}, {"class", t->cls}});
  }
  for (const std::string& n : c.without_site) fmt::print(stderr, "no site for {}\n", n);
  TRY(f.json.Write({{"target", f.target},
                    {"faults", c.faults},
                    {"rewrites", c.rewrites},
                    {"steps", steps},
                    {"without_site", c.without_site}}));
  return exit_code::kFine;
}

Runner Setup(CLI::App& app) {
  auto f = std::make_shared<Flags>();
  app.add_option("source", f->source, "an ONNX model")->required();
  app.add_option("--out", f->target, "where the target goes")->required();
  app.add_option("--faults", f->faults, "how many random faults, or names: N|NAME,..");
  app.add_option("--rewrites", f->rewrites, "how many random benign rewrites, or names: N|NAME,..");
  app.add_option("--steps", f->steps, "write the steps taken to FILE, one a line");
  app.add_option("--steps-from", f->steps_from, "replay the steps of FILE instead");
  app.add_flag("--keep-names", f->keep_names,
               "leave names and orders as they are (no B27, B28 at the end)");
  AddSeed(app, &f->seed);
  f->json.Add(app);
  return [f] { return Execute(*f); };
}

}  // namespace

Command command_convert() {
  return {"convert", "damages and rewrites a model as a buggy converter does",
          "Applies random or named rewrites and faults (see `assay rewrites`, `assay faults`), "
          "then renames and reorders\n"
          "everything as real converters do. A step reads NAME@SITE:ARGUMENT; the same seed gives "
          "the same bytes.\n"
          "A transform that finds no site is named on stderr and in without_site; the exit code "
          "stays 0.",
          Setup};
}

}  // namespace assay
