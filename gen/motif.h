// Motifs: known sub-graphs as rows, one family a file in gen/motifs, each file a function
// motifs_<stem>(). A motif reads an existing value and ends in a tensor.
//
// Blocks are what real networks are made of. Bait is what rewrite rules fire on: patterns that
// optimizers fuse or drop. Each comes out exact or with one thing off (Twist in sketch.h), because
// rules are mostly right about the pattern they name and wrong about its neighbours.
#pragma once

#include <string>
#include <vector>

#include "gen/sketch.h"

namespace assay {

struct GenOptions;

enum class MotifKind : uint8_t { kBlock, kBait };

// What a motif is about; profiles choose by these.
enum MotifTag : uint32_t {
  kVision = 1 << 0,
  kLanguage = 1 << 1,
  kQuantized = 1 << 2,
  kShapes = 1 << 3,
  kControlFlow = 1 << 4,
  kLists = 1 << 5,  // sequences and optionals
  kRecurrent = 1 << 6,
  kFusion = 1 << 7,      // what optimizers fuse
  kNoOp = 1 << 8,        // what optimizers drop or merge
  kStructure = 1 << 9,   // dead, duplicate, scalar, empty
  kNotFinite = 1 << 10,  // what asks for NaN and infinities
};
inline constexpr uint32_t kAllTags = (1 << 11) - 1;

struct Motif {
  std::string name;
  MotifKind kind = MotifKind::kBlock;
  std::string doc;
  uint32_t tags = 0;
  DTypeSet types = Bit(DType::kFloat);  // of the value it reads
  int min_rank = 1, max_rank = 5;       // of that value
  int since = 7;                        // first opset that has its operators
  // Adds nodes that read value `x`. The id of the result, negative when a node was refused.
  int (*build)(Sketch&, int x) = nullptr;
  Leniency allow;
  double weight = 1;  // among those that share a tag

  bool Reads(const GenValue& v) const {
    return Contains(types, v.dtype) && v.rank() >= min_rank && v.rank() <= max_rank;
  }
};

// All rows, ordered by name.
const std::vector<Motif>& AllMotifs();
const Motif* FindMotif(const std::string& name);  // null: no such row

// Adds the motif behind `value`, twisted now and then if it is bait. False, and nothing has
// changed, when it does not fit or uses what the options leave out.
bool PlaceMotif(Choices& choices, GraphBuilder& builder, const GenOptions& options,
                const Motif& motif, int value);
// A motif with one of `tags` behind one of the values.
bool PlaceSomeMotif(Choices& choices, GraphBuilder& builder, const GenOptions& options,
                    uint32_t tags);

}  // namespace assay
