// Lists of operator sequences that somebody wants to see exercised, e.g. those that Jajal et al.
// (ISSTA 2024) found in mismatching models only; read from a file at run time and matched against
// graphs at full length.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "corpus/sequences.h"

namespace assay {

class SequenceList {
 public:
  // Reads JSON ({"list name": [["A","B"], "A>B>C", ..], ..} or one such array; members that are not
  // lists of sequences are ignored) or text (one "A>B>C" a line, '#' starts a comment; the list is
  // then called ""). Errors: Invalid when no sequence is found, LimitHit for more than kMost.
  // `only`: names of the lists to take, all when empty; Usage when the file lacks one.
  static Result<SequenceList> Parse(std::string_view text, const std::string& where,
                                    const std::vector<std::string>& only = {});
  static constexpr size_t kMost = 1'000'000;

  // Marks the sequences that a graph covers. Cost: edges times the sequences that match up to
  // there.
  void Cover(const Flow& flow);
  // Marks those that a recorded set holds; sequences longer than the set's cannot be told and stay
  // unmarked.
  void Cover(const SequenceSet& set);

  struct Count {
    int64_t covered = 0, total = 0;  // distinct sequences
  };
  Count All() const;  // over the union of the lists
  std::map<std::string, Count> ByList() const;
  std::vector<std::string> Missing() const;  // not covered, in the order of the file

 private:
  int Add(const std::vector<std::string>& ops);  // index into sequences_
  // A prefix tree; state 0 is the empty sequence.
  struct State {
    std::map<int, int> next;  // operator id -> state
    int sequence = -1;
  };
  std::vector<State> states_{1};
  std::map<std::string, int> ids_;
  std::vector<std::vector<std::string>> sequences_;
  std::vector<bool> covered_;
  std::map<std::string, std::vector<int>> lists_;
};

}  // namespace assay
