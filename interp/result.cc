#include "interp/result.h"

namespace assay {

std::string Error::ToString() const {
  std::string line = where.empty() ? message : where + ": " + message;
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return line;
}

int Error::ExitCode() const {
  switch (code) {
    case Code::kUsage: return 2;
    case Code::kInvalid: return 3;
    case Code::kUnsupported: return 4;
    case Code::kLimit: return 5;
    case Code::kInternal: return 70;
    case Code::kInterrupted: return 130;
  }
  return 70;
}

Error Error::In(const std::string& outer) const& {
  return {code, message, where.empty() ? outer : outer + ": " + where};
}

Error Invalid(std::string message, std::string where) {
  return {Code::kInvalid, std::move(message), std::move(where)};
}
Error Unsupported(std::string message, std::string where) {
  return {Code::kUnsupported, std::move(message), std::move(where)};
}
Error LimitHit(std::string message, std::string where) {
  return {Code::kLimit, std::move(message), std::move(where)};
}
Error Usage(std::string message, std::string where) {
  return {Code::kUsage, std::move(message), std::move(where)};
}

void CheckFailed(const char* file, int line, const char* what) {
  std::fprintf(stderr, "assay: internal error at %s:%d: %s\n", file, line, what);
  std::abort();
}

}  // namespace assay
