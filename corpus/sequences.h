// Operator-sequence coverage: the distinct contiguous operator sequences of length 1 to K along
// data edges.
//
// A sequence A>B>C is covered by a graph when some node of type A feeds one of type B that feeds
// one of type C. All sequences along the edges of the dataflow graph count (not those of
// input-to-output paths only), so the set is closed under taking parts, and branches fed by
// constants alone count too. Constant nodes and initializers are no operators of a path. Bodies of
// If, Loop and Scan are entered: a value captured from outside, and the node input behind a body
// input, precede the body nodes that read them. Operators outside ai.onnx carry their domain:
// "com.microsoft.Gelu".
//
// Cost: for each edge the number of distinct suffixes of the node it leaves, so near linear in real
// networks. Dense graphs are bounded: a node keeps at most kSuffixesKept suffixes of a length, the
// first in alphabetical order, so that the result does not depend on what else the set holds.
//
// The study of ONNX converters by Jajal et al. (ISSTA 2024) counts sequences of its own kind;
// theirs are read by corpus/sequence_list.h. Not thread-safe: one set a thread, then Merge.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "interp/graph.h"

namespace assay {

// The dataflow of a graph with its bodies flattened: operators in a topological order, and for each
// the distinct operators that feed it.
struct Flow {
  std::vector<std::string> ops;
  std::vector<std::vector<int>> feeds;  // feeds[i]: indices below i, ascending
};
// Errors: Invalid when the graph has a cycle.
Result<Flow> FlowOf(const Graph& graph);

// A campaign keeps the set of its sources under this name in its folder (SequenceSet::ToText).
inline constexpr char kSequencesFile[] = "sequences.txt";

class SequenceSet {
 public:
  static constexpr int kDefaultLength = 5;
  static constexpr int kLongest = 8;  // 16 bits an operator in a key of 128
  static constexpr size_t kSuffixesKept = 1024;

  explicit SequenceSet(int max_length = kDefaultLength);  // clamped to [1, kLongest]

  // Adds the sequences of a graph; returns how many were new, over all lengths.
  Result<int64_t> Insert(const Graph& graph);
  int64_t Insert(const Flow& flow);
  // Adds one sequence (its last `max_length` operators) and all its parts.
  void Insert(const std::vector<std::string>& ops);
  // Adds what `other` holds, up to this set's length. Commutative and idempotent.
  void Merge(const SequenceSet& other);

  int max_length() const { return static_cast<int>(seen_.size()); }
  int64_t Count(int length) const;  // distinct sequences of that length; 0 outside [1, max_length]
  bool Contains(const std::vector<std::string>& ops) const;
  std::vector<std::string> Names(int length) const;  // "A>B>C", sorted

  // Text, one sequence a line, sorted: those that no longer one of the set implies. Equal sets give
  // equal bytes.
  std::string ToText() const;
  // Reads ToText() back, or any list of "A>B>C" lines ('#' starts a comment). Longer sequences than
  // `max_length` enter by their parts.
  static SequenceSet Parse(std::string_view text, int max_length = kDefaultLength);

 private:
  using Key = unsigned __int128;
  struct KeyHash {
    size_t operator()(Key k) const;
  };
  static Key Renamed(Key key, const std::vector<uint16_t>& to);  // every id by to[id]
  uint16_t Intern(const std::string& op);
  std::string NameOf(Key key) const;
  bool KeyOf(const std::vector<std::string>& ops, Key* key) const;

  std::vector<std::string> names_;  // names_[id - 1]
  std::unordered_map<std::string, uint16_t> ids_;
  std::vector<std::unordered_set<Key, KeyHash>> seen_;  // seen_[length - 1]
};

// "A>B>C" to {"A","B","C"}, blanks trimmed; empty when a part is no word of printable ASCII.
std::vector<std::string> SplitSequence(std::string_view text);
// The name of a node's operator in sequences.
std::string SequenceName(const Node& node);

// How many sequences of length 1 to `max_length` can exist where these pairs of operators (no pair
// twice) can: [0] the operators in them, [1] the pairs, [n-1] the walks over pairs. Saturates.
using OperatorPairs = std::vector<std::pair<std::string, std::string>>;
std::vector<uint64_t> FeasibleSequences(const OperatorPairs& pairs, int max_length);

}  // namespace assay
