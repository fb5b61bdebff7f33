// Catalog: the operator rows the generator can use at one opset, with what probing their rules has
// shown of the ranks their inputs may have. Built once per opset, then shared and read-only.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "interp/op_spec.h"

namespace assay {

inline constexpr int kMaxRank = 5;
inline constexpr int kFirstGeneratedOpset = 7;

struct Row {
  const OpSpec* spec = nullptr;
  double weight = 1;
  DTypeSet input_types = 0;  // of input 0
  int max_outputs = 1 << 10;
  // Ranks of the required inputs that the rule does not exclude, by the rank of input 0.
  std::array<std::vector<std::vector<int8_t>>, kMaxRank + 1> ranks;
  bool constant_first = false;  // its draw callback always makes input 0 a constant
  bool proposes = false;        // its draw callback can say what input 0 is to be
  // Of an output, bit r: it may have rank r. Of further outputs nothing is known.
  static constexpr size_t kFollowed = 4;
  using MadeRanks = std::array<uint32_t, kFollowed>;
  MadeRanks made_ranks{};
  std::array<DTypeSet, kFollowed> made_types{};

  bool Takes(DType dtype) const { return Contains(input_types, dtype); }
  bool TakesRank(int rank) const { return rank >= 0 && rank <= kMaxRank && !ranks[rank].empty(); }
};

class Catalog {
 public:
  // Thread-safe; the answer lives for ever. `opset`: of ai.onnx, 7 to 30. `anything`: see
  // GenOptions.
  static const Catalog& Of(int opset, bool anything = false);
  const std::vector<Row>& rows() const { return rows_; }

 private:
  Catalog(int opset, bool anything);
  std::vector<Row> rows_;
};

// What is known of the extents of the shapes of one rank that an output has: nothing (empty), or
// that they are those of one of these, in which some can be but one or two.
using Extents = std::vector<std::vector<Dim>>;
// Of the first outputs, by rank. Found by trying; nothing is kept.
std::array<std::array<Extents, kMaxRank + 1>, Row::kFollowed> MadeExtents(const Row& row,
                                                                          bool anything);
// Could required input `i` of the row have such extents? Says no only where the row's rule does.
bool CanRead(const Row& row, int i, const std::vector<Dim>& extents);

inline constexpr char kMlDomain[] = "ai.onnx.ml";
// libonnx 1.12, of opset 17, infers no types in ai.onnx.ml.
inline constexpr int kFirstMlOpset = 18;
// The version of a domain that goes with an opset of ai.onnx.
int VersionOf(const std::string& domain, int opset);

// The version of an operator that models of that operator set are made with; null: they are made
// without it.
const OpSpec* GeneratedRow(const std::string& domain, const std::string& name, int opset);

// Does the row say the same of all finite numbers (IsNaN, IsInf)? Such operators come in motifs,
// and as rows hardly ever.
bool SaysTheSame(const OpSpec& spec);
inline constexpr double kSeldom = 0.02;  // the factor of their weights

// A node of that row with unnamed-but-present outputs, ready for CheckRule.
Node BareNode(const OpSpec& spec, int outputs);
// An element type that a formal allows, the most ordinary one.
DType OrdinaryType(DTypeSet types);

}  // namespace assay
