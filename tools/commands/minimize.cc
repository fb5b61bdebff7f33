// assay minimize: shrinks a finding, source and target together, while its verdict stays.
#include "fuzz/minimize.h"

#include <fmt/format.h>

#include "fuzz/minimize_signature.h"
#include "interp/onnx_io.h"
#include "tools/command.h"

namespace assay {
namespace {

struct Flags {
  std::string from, to, converter, verifier;
  uint64_t seed = 0;
  int64_t max_tries = MinimizeOptions{}.max_tries;
  double seconds = MinimizeOptions{}.seconds;
  double command_seconds = CommandLimits{}.seconds;
  bool quiet = false, repair = true;
  JsonFlag json;
};

Status Save(const Entry& entry, const std::string& to) {
  if (!to.ends_with(kEntrySuffix)) return SaveCaseFolder(entry, to);
  std::string bytes = TRY(EncodeEntry(entry));
  return WriteFile(to, bytes);
}

nlohmann::json Size(const Model& m) {
  ModelSize s = SizeOf(m);
  return {{"nodes", s.nodes}, {"elements", s.elements}, {"attributes", s.attributes}};
}

Result<int> Execute(const Flags& f) {
  CatchInterrupts();
  Entry entry = TRY(LoadCase(f.from));
  SignatureOptions what;
  what.replay.seed = f.seed;
  what.replay.repair = f.repair;
  what.converter = f.converter;
  what.verifier = f.verifier;
  what.limits.seconds = f.command_seconds;
  std::unique_ptr<SignatureMaker> maker = TRY(SignatureMaker::Make(what));
  if (maker->has_converter()) {
    entry.target = TRY(maker->Convert(entry.source));
    entry.steps.clear();
  }
  FindingSignature kept = TRY(maker->Of(entry));
  entry.expected = kept.found;
  if (entry.note.empty()) entry.note = kept.ToString();
  Progress progress("questions", f.max_tries, f.quiet);
  MinimizeOptions options;
  options.max_tries = f.max_tries;
  options.seconds = f.seconds;
  options.seed = f.seed;
  options.cancelled = Interrupted;
  options.progress = [&](const MinimizeProgress& p) {
    progress.Step(1, fmt::format("source {}, target {}, {} steps", p.source.ToString(),
                                 p.target.ToString(), p.steps));
  };
  if (maker->has_converter()) options.convert = [&](const Model& m) { return maker->Convert(m); };
  auto same = [&](const Entry& candidate) {
    Result<FindingSignature> s = maker->Of(candidate);
    return s.ok() && *s == kept;
  };
  Minimized m = TRY(Minimize(entry, same, options));
  TRY(Save(m.entry, f.to));
  TRY(f.json.Write(
      {{"verdict", kept.found.ToString()},
       {"kept", kept.ToString()},
       {"outputs_differ", kept.differs},
       {"tries", m.tries},
       {"accepted", m.accepted},
       {"minimal", m.minimal},
       {"steps", {{"before", entry.steps.size()}, {"after", m.entry.steps.size()}}},
       {"source", {{"before", Size(entry.source)}, {"after", Size(m.entry.source)}}},
       {"target", {{"before", Size(entry.target)}, {"after", Size(m.entry.target)}}}}));
  fmt::print(f.json.human(),
             "kept: {}\nsource: {} -> {}\ntarget: {} -> {}\nsteps: {} -> {}\n{} questions, {} "
             "accepted{}\n",
             kept.ToString(), SizeOf(entry.source).ToString(), SizeOf(m.entry.source).ToString(),
             SizeOf(entry.target).ToString(), SizeOf(m.entry.target).ToString(), entry.steps.size(),
             m.entry.steps.size(), m.tries, m.accepted,
             m.minimal ? "; nothing smaller does" : "; stopped early");
  for (const Step& s : m.entry.steps) fmt::print(f.json.human(), "  {}\n", OneLine(s.ToString()));
  if (Interrupted()) return InterruptedError();
  return exit_code::kFine;
}

Runner Setup(CLI::App& app) {
  auto f = std::make_shared<Flags>();
  app.add_option("case", f->from, "a finding's folder, or a corpus entry (*.case.zst)")->required();
  app.add_option("--out", f->to, "the smaller case: a folder, or a file *.case.zst")->required();
  app.add_option("--max-tries", f->max_tries, "most candidates to ask about")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--seconds", f->seconds, "most time to spend")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("!--no-repair", f->repair,
               "keep the verdict alone, not whether the repair succeeds");
  app.add_option("--converter", f->converter,
                 "make targets with this command, and keep how it fails")
      ->option_text("CMD");
  app.add_option("--verifier", f->verifier, "also keep this command's exit code")
      ->option_text("CMD");
  app.add_option("--command-time", f->command_seconds, "time limit of a command, in seconds")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  AddSeed(app, &f->seed);
  AddQuiet(app, &f->quiet);
  f->json.Add(app);
  return [f] { return Execute(*f); };
}

constexpr char kDetails[] =
    R"(Keeps three things: the verdict, whether the repair is taken by the judge, and whether the judge sees the outputs
differ. Drops steps, then nodes, outputs, inputs, extents, attributes and details of constants of the source, and replays
the steps, or runs the converter that is given (placeholders as in assay campaign); a case without both has both models reduced alike, at sites matched by equal values. Interrupted (Ctrl-C), it
saves the smallest so far and exits 130.)";

}  // namespace

Command command_minimize() {
  return {"minimize", "shrinks a finding while its verdict stays", kDetails, Setup};
}

}  // namespace assay
