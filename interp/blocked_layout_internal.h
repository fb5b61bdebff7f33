// What survey and rewriting of the blocked layout share (blocked_layout.h).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "interp/graph.h"
#include "interp/result.h"

namespace assay {

inline constexpr char kBlockedDomain[] = "com.microsoft.nchwc";

// Blocked values that have the same channels: what computes element by element, pools, depthwise
// convolutions and sums tie them.
struct BlockedGroup {
  int64_t padded = -1;      // channels with those that only pad; -1: not known
  int64_t real = -1;        // those of the plain tensor; -1: what ReorderInput finds
  int64_t used = 0;         // weights other than 0 read or make this many
  bool whole = false;       // no channel only pads
  bool from_input = false;  // ReorderInput makes one of them
};

struct BlockedValue {
  int group = 0;
  bool split = false;  // declared [N,C/b,H,W,b], the blocks an axis of their own
};

struct BlockedSurvey {
  std::vector<NodePtr> order;                   // topological
  std::map<std::string, const Tensor*> fixed;   // initializers that nothing can override
  std::map<std::string, BlockedValue> blocked;  // values in the blocked layout
  std::vector<BlockedGroup> groups;
  int64_t block = 0;  // the same in all subgraphs
  // Of the nodes' subgraphs with blocked nodes in them.
  std::map<const Graph*, std::unique_ptr<BlockedSurvey>> bodies;
};

// Errors: those of WithPlainLayout, but for ReorderInput's.
Result<std::unique_ptr<BlockedSurvey>> SurveyBlockedLayout(const Model& model);

// In the graph or in subgraphs of its nodes.
bool HasBlockedNodes(const Graph& graph);

// Place of element [o,i,k] in a filter of shape [O,I,H,W], k a tap of H x W, that lies in blocks of
// b.
int64_t PlaceInBlocks(const Shape& shape, int64_t b, int64_t o, int64_t i, int64_t k);

// Calls f(plain, blocked) with the two places of each element.
template <class F>
void ForFilter(const Shape& shape, int64_t b, F&& f) {
  const int64_t kernel = shape[2] * shape[3];
  int64_t plain = 0;
  for (int64_t o = 0; o < shape[0]; ++o) {
    for (int64_t i = 0; i < shape[1]; ++i) {
      for (int64_t k = 0; k < kernel; ++k) f(plain++, PlaceInBlocks(shape, b, o, i, k));
    }
  }
}

inline bool IsBlockedOp(const Node& n) { return n.domain == kBlockedDomain; }
inline bool IsBlockedOp(const Node& n, const char* op) { return IsBlockedOp(n) && n.op == op; }
inline bool IsBlockedPool(const Node& n) {
  return IsBlockedOp(n, "MaxPool") || IsBlockedOp(n, "AveragePool") ||
         IsBlockedOp(n, "GlobalMaxPool") || IsBlockedOp(n, "GlobalAveragePool");
}

}  // namespace assay
