#include "oracle/verdict.h"

namespace assay {

const char* VerdictName(Verdict v) {
  switch (v) {
    case Verdict::kEquivalent:
      return "equivalent";
    case Verdict::kDifferent:
      return "different";
    case Verdict::kUndecided:
      break;
  }
  return "undecided";
}

}  // namespace assay
