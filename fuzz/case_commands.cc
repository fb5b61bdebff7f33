// What plugged-in commands do in a case.
#include <fmt/format.h>

#include <set>

#include "fuzz/case_run.h"
#include "interp/infer.h"
#include "interp/onnx_io.h"
#include "interp/testcase.h"
#include "oracle/metric.h"

namespace assay {

bool CaseRun::WriteSource() {
  std::error_code failed;
  std::filesystem::create_directories(Path("inputs"), failed);
  std::filesystem::create_directories(Path("outputs"), failed);
  Status s = SaveModel(r_.source, Path("source.onnx"));
  if (s.ok()) s = SaveTensors(Path("inputs"), "input", r_.source.graph.RequiredInputs(), r_.inputs);
  return s.ok() || Fail("convert", s.error(), true);
}

bool CaseRun::Command(const ExternalCommand& command, CommandRole role, int also_fine, int* code) {
  std::map<std::string, std::string> values = {{"source", Path("source.onnx")},
                                               {"target", Path("target.onnx")},
                                               {"inputs", Path("inputs")},
                                               {"outputs", Path("outputs")},
                                               {"out", Path("fixed.onnx")}};
  ExternalResult result = RunExternal(command, values, options_.command);
  r_.command_output +=
      fmt::format("{}: {}\n{}{}", RoleName(role), result.ToString(), result.out, result.err);
  if (r_.command_output.size() > 2 * options_.command.kept_bytes) {
    r_.command_output.erase(0, r_.command_output.size() - options_.command.kept_bytes);
  }
  *code = result.code;
  if (result.ok() || (result.end == ExternalResult::End::kExited && result.code == also_fine))
    return true;
  bool hang = result.end == ExternalResult::End::kTimedOut;
  Find(hang ? "hang" : "crash", std::string(RoleName(role)) + "|" + CasePattern(result.ToString()),
       std::string(RoleName(role)) + ": " + result.ToString());
  return false;
}

std::optional<Model> CaseRun::ReadBack(const std::string& path, CommandRole role) {
  std::error_code failed;
  if (!std::filesystem::exists(path, failed)) {
    Find("garbage", std::string(RoleName(role)) + "|no file",
         std::string(RoleName(role)) + ": wrote no output file");
    return std::nullopt;
  }
  Result<Model> m = LoadModel(path, limits_);
  Status valid = m.ok() ? Validate(*m, limits_) : Status(m.error());
  if (valid.ok()) return std::move(m).value();
  Error e = valid.error();
  e.where = e.where.starts_with(scratch_.path) ? std::filesystem::path(e.where).filename().string()
                                               : e.where;
  if (e.code == Code::kUnsupported)
    Fail(RoleName(role), e);
  else
    Find("garbage", std::string(RoleName(role)) + "|" + CasePattern(e.message),
         std::string(RoleName(role)) + ": " + e.ToString());
  return std::nullopt;
}

bool CaseRun::ConvertByCommand() {
  int code = 0;
  if (!Command(*commands_.converter, CommandRole::kConverter, 0, &code)) return false;
  std::optional<Model> m = ReadBack(Path("target.onnx"), CommandRole::kConverter);
  if (!m) return false;
  r_.target = *std::move(m);
  return true;
}

void CaseRun::VerifyByCommand() {
  int code = 0;
  if (!Command(*commands_.verifier, CommandRole::kVerifier, 1, &code)) return;
  bool different = code == 1;
  record().verdict = different ? "different" : "equivalent";
  for (FaultRecord& f : record().faults) f.detected = different;
  if (different && record().truth == "equal" && record().faults.empty()) {
    Find("false_alarm", "verifier|" + RewriteNames(record()),
         "the verifier accuses a harmless conversion");
  }
}

void CaseRun::RunRuntime() {
  int code = 0;
  if (Command(*commands_.runtime, CommandRole::kRuntime, 0, &code)) CompareRuntime();
}

// The runtime computes in the element types; so does the bound.
void CaseRun::CompareRuntime() {
  Result<std::vector<Tensor>> got =
      LoadTensors(Path("outputs"), "output", r_.source.graph.outputs, limits_);
  if (!got.ok())
    return Find("garbage", "runtime|" + CasePattern(got.error().message),
                "runtime: " + got.error().message);
  Result<Yardstick> y = Yardstick::Of(r_.source);
  if (!y.ok()) return void(Fail("runtime", y.error()));
  Result<Reference> reference =
      y->Measure(r_.inputs, MetricOptions{Seed(kJudgeStream), limits_, true});
  if (!reference.ok()) return void(Fail("runtime", reference.error()));
  Comparison c = reference->Compare(*got);
  if (!c.beyond()) return;
  std::set<std::string> ops;
  for (const NodePtr& n : r_.source.graph.nodes) ops.insert(n->op);
  Find("runtime_differs",
       CasePattern(c.note.substr(0, c.note.find(':'))) + "|" +
           fmt::format("{}", fmt::join(ops, "+")),
       c.note);
}

}  // namespace assay
