// Regular expressions in the syntax of RE2 (github.com/google/re2/wiki/Syntax), for whole-string
// matches. Matching takes time in the product of the pattern's and the text's size, whatever the
// pattern: no backtracking.
//
// Not there, and an error: classes of Unicode properties (\p), and flags other than i, s and U.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "interp/result.h"

namespace assay {

class Regex {
 public:
  // Errors: Invalid for what is no regular expression, Unsupported for what is left out above,
  // LimitHit for one that counts to more than kMaxInstructions.
  static Result<Regex> Parse(std::string_view pattern);

  // Does the pattern match all of `text` (UTF-8; other bytes count as a character each)?
  bool Matches(std::string_view text) const;
  // Steps for each character of a text, at most.
  int64_t size() const { return static_cast<int64_t>(program_.size()); }

  static constexpr int kMaxInstructions = 20'000;

  struct Range {
    char32_t lo, hi;
  };
  struct Class {
    std::vector<Range> ranges;
    bool negated = false;
    bool Has(char32_t c) const;
  };
  enum class Op : uint8_t { kClass, kSplit, kJump, kBegin, kEnd, kWordEdge, kNoWordEdge, kMatch };
  struct Instruction {
    Op op = Op::kMatch;
    int a = 0, b = 0;  // kClass: index of the class; kSplit: both ways; kJump: where to
  };

 private:
  std::vector<Instruction> program_;
  std::vector<Class> classes_;
};

}  // namespace assay
