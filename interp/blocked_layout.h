// The blocked layout of ONNX Runtime's optimizer. At its level "all" it writes convolutions, pools
// and resizes in the domain com.microsoft.nchwc. Between ReorderInput and ReorderOutput their
// tensors are declared [N,C,H,W], C rounded up to a multiple of the block, and lie in memory as
// [N,C/b,H,W,b]; filters lie as [O/b,I/b,H,W,b of I,b of O], or as [O/b,I,H,W,b of O] where I < b
// (convolutions that read plain tensors, and depthwise ones).
//
// We write such nodes out as what they stand for: Conv, MaxPool, Resize, .. of ai.onnx on tensors
// in the plain layout, with the padded channels and with filters back in theirs. Source: the
// domain's schemas, NchwcTransformer and MLAS of ONNX Runtime 1.30.
#pragma once

#include "interp/graph.h"
#include "interp/result.h"

namespace assay {

// Are there nodes of com.microsoft.nchwc, in subgraphs too?
bool HasBlockedLayout(const Model& model);

// The model without them. The block is 16 or 8, as the processor was that the model was optimized
// on, and the file does not say which. It is 16 unless that contradicts the model: a count of
// channels that is no multiple of it, a plain operand where it wants a blocked one, weights other
// than 0 in channels that only pad. A model in which nothing contradicts either is taken for one
// of 16.
//
// Errors: Invalid where no block fits or an operand can't be what a node needs; Unsupported where
// the layout shows: an operator that computes neither element by element nor on whole channels, or
// a subgraph, reads a blocked tensor, a filter is computed, ReorderInput gets an unknown number of
// channels.
Result<Model> WithPlainLayout(const Model& model);

}  // namespace assay
