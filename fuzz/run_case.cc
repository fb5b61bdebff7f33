#include "fuzz/run_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "corpus/entry.h"
#include "fuzz/case_run.h"
#include "fuzz/convert.h"
#include "gen/graph_gen.h"
#include "gen/plant.h"
#include "interp/onnx_io.h"
#include "oracle/repair.h"
#include "oracle/verify.h"

namespace assay {
namespace {

constexpr double kHangSeconds = 600;

const char* CodeName(Code c) {
  switch (c) {
    case Code::kUsage:
      return "usage";
    case Code::kInvalid:
      return "invalid";
    case Code::kUnsupported:
      return "unsupported";
    case Code::kLimit:
      return "limit";
    case Code::kInternal:
      return "internal";
    case Code::kInterrupted:
      return "interrupted";
  }
  return "";
}

// The source of case `index`: it begins with a link of operators that coverage wants.
Result<Generated> GenerateSource(const CaseOptions& options, int64_t index) {
  GenOptions gen = TRY(GenOptions::Profile(options.profile));
  gen.nodes = options.nodes;
  uint64_t number = static_cast<uint64_t>(index);
  WantLink(&gen, options.seed, number);
  Choices choices(MixSeeds(MixSeeds(options.seed, number), kGenerateStream));
  return GenerateCase(choices, gen);
}

}  // namespace

Limits CaseLimits() {
  Limits limits = Limits::Small();
  limits.seconds = kHangSeconds;
  return limits;
}

std::string CasePattern(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '\'') {
      size_t close = text.find('\'', i + 1);
      out += "'_'";
      if (close == std::string::npos) break;
      i = close;
    } else if (c >= '0' && c <= '9') {
      if (out.empty() || out.back() != '#') out += '#';
    } else {
      out += c;
    }
  }
  return out.substr(0, 160);
}

std::string RewriteNames(const CaseRecord& record) {
  std::set<std::string> names(record.rewrites.begin(), record.rewrites.end());
  names.erase("B27");
  names.erase("B28");
  return fmt::format("{}", fmt::join(names, "+"));
}

CaseResult CaseRun::Run() {
  if (!Generate()) return std::move(r_);
  if (!scratch_.path.empty() && !WriteSource()) return std::move(r_);
  if (commands_.runtime) RunRuntime();
  if (Convert() && Judge()) {
    Verify();
    if (options_.repair && record().truth == "different" && record().verdict == "different")
      Repair();
    Conclude();
  }
  return std::move(r_);
}

bool CaseRun::Fail(const char* phase, const Error& e, bool always) {
  record().errors.push_back({phase, CodeName(e.code), e.ToString()});
  if (always || e.code == Code::kInternal) {
    Find("internal", std::string(phase) + "|" + CodeName(e.code) + "|" + CasePattern(e.message),
         std::string(phase) + ": " + e.ToString());
  }
  return false;
}

bool CaseRun::Generate() {
  PhaseClock clock(ms(Phase::kGenerate));
  Result<Generated> g = GenerateSource(options_, record().index);
  if (!g.ok()) return Fail("generate", g.error());
  r_.source = std::move(g->model);
  r_.inputs = std::move(g->inputs);
  record().nodes = static_cast<int>(r_.source.graph.nodes.size());
  Result<Flow> flow = FlowOf(r_.source.graph);
  if (!flow.ok()) return Fail("generate", flow.error(), true);
  r_.flow = *flow;
  return true;
}

bool CaseRun::Convert() {
  PhaseClock clock(ms(Phase::kConvert));
  return commands_.converter ? ConvertByCommand() : ConvertBuiltIn();
}

bool CaseRun::ConvertBuiltIn() {
  Choices choices(Seed(kConvertStream));
  ConvertOptions o;
  bool benign = options_.max_faults <= 0 || choices.Below(3) == 0;
  o.faults = benign ? 0 : static_cast<int>(choices.Between(1, options_.max_faults));
  o.rewrites = static_cast<int>(choices.Between(0, std::max(options_.max_rewrites, 0)));
  o.limits = limits_;
  Result<Conversion> c = assay::Convert(r_.source, o, choices);
  if (!c.ok()) return Fail("convert", c.error(), true);
  r_.target = std::move(c->target);
  r_.steps = std::move(c->steps);
  for (const Step& s : r_.steps) {
    if (IsRewriteName(s.transform)) record().rewrites.push_back(s.transform);
  }
  // Commands see files, so what is judged is what a file holds.
  if (scratch_.path.empty()) return true;
  Status saved = SaveModel(r_.target, Path("target.onnx"));
  return saved.ok() || Fail("convert", saved.error(), true);
}

bool CaseRun::Judge() {
  PhaseClock clock(ms(Phase::kJudge));
  Result<Judgement> j = JudgePair(r_.source, r_.target, JudgeWith(kJudgeStream));
  if (!j.ok()) return Fail("judge", j.error(), !commands_.converter);
  record().truth = !j->comparable ? "unjudged" : j->differs ? "different" : "equal";
  record().margin = j->margin;
  if (!j->comparable) Fail("judge", Unsupported(j->why));
  if (commands_.converter) {
    if (j->differs)
      Find("damaged", "converter|" + CasePattern(j->why),
           "the converter changed the model: " + j->why);
  } else {
    JudgeFaults();
    if (j->differs && record().faults.empty()) {
      Find("bad_rewrite", RewriteNames(record()), j->why);
    }
  }
  return true;
}

// Follows the steps to say what each fault alone did.
void CaseRun::JudgeFaults() {
  std::string pair_kind = record().truth == "different" ? "observable"
                          : record().truth == "equal"   ? "latent"
                                                        : "unjudged";
  Model model = r_.source;
  size_t faults = static_cast<size_t>(std::count_if(
      r_.steps.begin(), r_.steps.end(), [](const Step& s) { return !IsRewriteName(s.transform); }));
  for (size_t i = 0; i < r_.steps.size() && record().faults.size() < faults; ++i) {
    const Step& step = r_.steps[i];
    const Transform* t = FindTransform(step.transform);
    Result<Model> after = Replay(model, {step}, limits_);
    if (!t || !after.ok()) {
      Fail("convert", after.ok() ? Invalid("unknown transform", step.transform) : after.error(),
           true);
      return;
    }
    if (t->promise == Promise::kBreaks) {
      FaultRecord f{t->name, t->cls, "", pair_kind};
      int node = FindNode(model.graph, step.site.node);
      if (node >= 0) f.op = model.graph.nodes[static_cast<size_t>(node)]->op;
      if (faults > 1 && pair_kind == "observable") {
        Result<Judgement> alone = JudgePair(model, *after, JudgeWith(kJudgeStream));
        if (alone.ok() && alone->comparable && !alone->differs) f.kind = "latent";
      }
      record().faults.push_back(std::move(f));
    }
    model = std::move(after).value();
  }
  // Harmless one by one and harmful together: each counts.
  bool any = std::any_of(record().faults.begin(), record().faults.end(),
                         [](const FaultRecord& f) { return f.kind == "observable"; });
  for (FaultRecord& f : record().faults) {
    if (!any) f.kind = pair_kind;
  }
}

void CaseRun::Verify() {
  PhaseClock clock(ms(Phase::kVerify));
  if (commands_.verifier) return VerifyByCommand();
  VerifyOptions o;
  o.seed = Seed(kVerifyStream);
  o.measure_time = false;
  o.limits = limits_;
  Result<Verification> v = assay::Verify(r_.source, r_.target, o);
  if (!v.ok()) {
    Fail("verify", v.error(), v.error().code != Code::kUnsupported);
    return;
  }
  record().verdict = VerdictName(v->verdict);
  proved_ = v->architecture.proved;
  search_ = v->search;
  size_t observable = static_cast<size_t>(
      std::count_if(record().faults.begin(), record().faults.end(),
                    [](const FaultRecord& f) { return f.kind == "observable"; }));
  for (FaultRecord& f : record().faults) {
    if (f.kind == "latent" && proved_) f.kind = "equivalent";
    f.detected = v->verdict == Verdict::kDifferent;
    for (size_t i = 0; i < v->differences.size() && i < std::max<size_t>(observable, 1); ++i) {
      f.localized |= f.detected && v->differences[i].cls == f.cls;
    }
  }
  if (v->verdict != Verdict::kDifferent || record().truth != "equal" || !record().faults.empty())
    return;
  std::string about = "no difference named", what = v->error.note;
  if (!v->differences.empty()) {
    const Difference& d = v->differences[0];
    int node = FindNode(r_.target.graph, d.target_node);
    about = d.cls + "|" + (node >= 0 ? r_.target.graph.nodes[static_cast<size_t>(node)]->op : "") +
            "|" + CasePattern(d.what);
    what = fmt::format("{} at '{}': {} ({} against {})", d.cls, d.target_node, d.what,
                       d.source_value, d.target_value);
  }
  Find("false_alarm", about, what);
}

void CaseRun::Repair() {
  PhaseClock clock(ms(Phase::kRepair));
  if (commands_.repairer) {
    int code = 0;
    if (Command(*commands_.repairer, CommandRole::kRepairer, 1, &code))
      r_.fixed = ReadBack(Path("fixed.onnx"), CommandRole::kRepairer);
  } else {
    RepairOptions o;
    o.seed = Seed(kRepairStream);
    o.seconds = kHangSeconds;
    o.limits = limits_;
    o.verify_before = o.verify_after = false;
    o.known = search_;
    o.verify.measure_time = false;
    o.verify.limits = limits_;
    Result<assay::Repair> r = RepairTarget(r_.source, r_.target, o);
    if (!r.ok())
      Fail("repair", r.error(), r.error().code != Code::kUnsupported);
    else
      r_.fixed = std::move(r->fixed);
  }
  if (r_.fixed)
    JudgeRepaired();
  else
    record().repair = "not_healed";
}

void CaseRun::JudgeRepaired() {
  PhaseClock clock(ms(Phase::kJudgeRepair));
  RepairJudgement j = JudgeRepair(r_.source, r_.target, *r_.fixed, JudgeWith(kFreshStream));
  record().repair = j.healed ? "healed" : j.edited_target ? "not_healed" : "refused";
  if (j.healed) {
    for (FaultRecord& f : record().faults) f.repaired = true;
    return;
  }
  // What a plugged-in converter damaged is the finding; that we can't heal it is said in the
  // record.
  if (commands_.converter && !commands_.repairer) return;
  Find(j.edited_target ? "not_repaired" : "repair_refused", FaultList(true), j.why);
}

std::string CaseRun::FaultList(bool observable_only) const {
  std::vector<std::string> names;
  for (const FaultRecord& f : r_.record.faults) {
    if (!observable_only || f.kind == "observable")
      names.push_back(f.op.empty() ? f.name : f.name + "(" + f.op + ")");
  }
  std::sort(names.begin(), names.end());
  return fmt::format("{}", fmt::join(names, "+"));
}

void CaseRun::Conclude() {
  bool observable = std::any_of(record().faults.begin(), record().faults.end(),
                                [](const FaultRecord& f) { return f.kind == "observable"; });
  bool damaged = commands_.converter && record().truth == "different";
  if ((observable || damaged) && !record().verdict.empty() && record().verdict != "different") {
    Find("missed", damaged ? "converter" : FaultList(true),
         "the verifier says " + record().verdict);
  }
  if (observable && record().repair == "not_healed" && !r_.fixed && !commands_.repairer) {
    Find("not_repaired", FaultList(true), "the repairer gave up");
  }
}

const char* PhaseName(Phase p) {
  const char* names[kPhases] = {"generate", "convert", "judge", "verify", "repair", "judge_repair"};
  return names[static_cast<size_t>(p)];
}

Result<CaseCommands> CaseCommands::Of(const CaseOptions& options) {
  CaseCommands c;
  auto parse = [](const std::string& text, CommandRole role,
                  std::optional<ExternalCommand>* out) -> Status {
    if (!text.empty()) *out = TRY(ExternalCommand::Parse(text, role));
    return {};
  };
  TRY(parse(options.converter, CommandRole::kConverter, &c.converter));
  TRY(parse(options.verifier, CommandRole::kVerifier, &c.verifier));
  TRY(parse(options.repairer, CommandRole::kRepairer, &c.repairer));
  TRY(parse(options.runtime, CommandRole::kRuntime, &c.runtime));
  return c;
}

CaseResult RunCase(const CaseOptions& options, const CaseCommands& commands, int64_t index,
                   const std::string& scratch) {
  return CaseRun(options, commands, index, scratch).Run();
}

Result<Flow> SourceFlow(const CaseOptions& options, int64_t index) {
  Generated g = TRY(GenerateSource(options, index));
  return FlowOf(g.model.graph);
}

}  // namespace assay
