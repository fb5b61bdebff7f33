// Random steps inside bodies.
#pragma once

#include "gen/motif.h"

namespace assay {

// A value of the type and shape of `x`, made of it by at most `steps` motifs or operators.
inline int GrowKeeping(Sketch& s, int x, int64_t steps) {
  if (x < 0) return x;
  for (int64_t i = 0; i < steps; ++i) {
    GraphBuilder::Mark mark = s.builder().Here();
    const Motif& motif = s.choices().Pick(AllMotifs());
    bool may = (motif.tags & (kFusion | kNoOp)) != 0 && motif.since <= s.opset() &&
               motif.Reads(s.value(x)) && s.choices().Chance(0.7);
    int y = may ? motif.build(s, x)
                : s.Node(s.choices().PickOf({"Relu", "Neg", "Abs", "Sigmoid"}), {x});
    if (y >= 0 && s.dtype(y) == s.dtype(x) && s.shape(y) == s.shape(x)) {
      x = y;
    } else {
      s.builder().Rollback(mark);
    }
  }
  return x;
}

}  // namespace assay
