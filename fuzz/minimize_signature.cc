#include "fuzz/minimize_signature.h"

#include <cstdlib>
#include <filesystem>

#include "interp/onnx_io.h"
#include "oracle/judge.h"

namespace assay {
namespace {

// How a command ended, without what varies from run to run.
std::string EndOf(const ExternalResult& r) {
  switch (r.end) {
    case ExternalResult::End::kExited:
      return "exit code " + std::to_string(r.code);
    case ExternalResult::End::kSignaled:
      return "signal " + std::to_string(r.code);
    case ExternalResult::End::kTimedOut:
      return "time out";
    case ExternalResult::End::kNotStarted:
      break;
  }
  return "not started";
}

}  // namespace

std::string FindingSignature::ToString() const {
  if (command.starts_with("converter")) return command;
  return (command.empty() ? "" : command + ", ") + found.ToString() +
         (differs ? ", outputs differ" : ", outputs agree");
}

Result<std::unique_ptr<SignatureMaker>> SignatureMaker::Make(const SignatureOptions& options) {
  std::unique_ptr<SignatureMaker> maker(new SignatureMaker(options));
  if (!options.converter.empty()) {
    maker->converter_ = TRY(ExternalCommand::Parse(options.converter, CommandRole::kConverter));
  }
  if (!options.verifier.empty()) {
    maker->verifier_ = TRY(ExternalCommand::Parse(options.verifier, CommandRole::kVerifier));
  }
  if (!maker->converter_ && !maker->verifier_) return maker;
  std::error_code error;
  std::string name =
      (std::filesystem::temp_directory_path(error) / "assay_minimize_XXXXXX").string();
  if (error || !mkdtemp(name.data())) return Usage("can't make a temporary folder", name);
  maker->scratch_ = name;
  return maker;
}

SignatureMaker::~SignatureMaker() {
  std::error_code ignored;
  if (!scratch_.empty()) std::filesystem::remove_all(scratch_, ignored);
}

Result<Model> SignatureMaker::RunConverter(const Model& source, std::string* failure) {
  std::error_code ignored;
  std::filesystem::remove(Path("converted.onnx"), ignored);
  TRY(SaveModel(source, Path("input.onnx")));
  ExternalResult r =
      RunExternal(*converter_, {{"source", Path("input.onnx")}, {"target", Path("converted.onnx")}},
                  options_.limits);
  if (!r.ok()) {
    *failure = "converter: " + EndOf(r);
    return source;
  }
  Result<Model> target = LoadModel(Path("converted.onnx"), options_.replay.limits);
  if (target.ok()) return target;
  *failure = "converter: no readable model";
  return source;
}

Result<Model> SignatureMaker::Convert(const Model& source) {
  std::string failure;
  return RunConverter(source, &failure);
}

Result<FindingSignature> SignatureMaker::Of(const Entry& entry) {
  FindingSignature s;
  if (converter_) {
    TRY(RunConverter(entry.source, &s.command));
    if (!s.command.empty()) return s;
  }
  Outcome outcome = TRY(ReplayCase(entry, options_.replay));
  Judgement judged = TRY(JudgePair(entry.source, entry.target));
  s.found = outcome.found;
  s.differs = judged.differs;
  if (!verifier_) return s;
  TRY(SaveModel(entry.source, Path("source.onnx")));
  TRY(SaveModel(entry.target, Path("target.onnx")));
  ExternalResult r =
      RunExternal(*verifier_, {{"source", Path("source.onnx")}, {"target", Path("target.onnx")}},
                  options_.limits);
  s.command = "verifier: " + EndOf(r);
  return s;
}

}  // namespace assay
