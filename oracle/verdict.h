// Words that verifier, localizer, repairer and judge share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace assay {

enum class Verdict : uint8_t { kEquivalent, kDifferent, kUndecided };
const char* VerdictName(Verdict v);  // "equivalent", "different", "undecided"

// One difference between source and target, in words an engineer uses.
struct Difference {
  std::string cls;            // fault class: PP, ID, TSS, WB, LH, CG, DT, IO
  std::string target_node;    // name in the target, or of the graph input/output concerned
  std::string source_node;    // its counterpart, "" when there is none
  std::string what;           // attribute, input or structure that differs, e.g. "pads", "input 1 (W)", "extra node"
  std::string source_value;
  std::string target_value;
  bool observable = false;    // an output differed beyond rounding on an input that was tried
  double score = 0;           // rank: larger is nearer to the cause
};

}  // namespace assay
