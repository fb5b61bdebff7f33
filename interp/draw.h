// What the rows' draw callbacks share: random constants, axes and extents for a node in the making.
// A draft comes with attributes drawn from their domains; a callback that sets attributes that must
// fit each other drops them first.
#pragma once

#include <vector>

#include "interp/op_spec.h"

namespace assay {

// From this operator set on ONNX counts negative axes from the back everywhere.
inline constexpr int kNegativeAxesSince = 11;

// A tensor of random elements: floats normal around 0, integers in [-8, 8] or [0, 16], fair bools,
// short strings.
Tensor RandomConstant(Choices& choices, DType dtype, Shape shape);

// One of `rank` axes, at times counted from the back where the draft's operator set allows it.
int64_t DrawAxis(Choices& choices, const Draft& draft, int rank);
// The same axis counted from the back, at times.
int64_t MaybeNegative(Choices& choices, const Draft& draft, int64_t axis, int rank);
// A non-empty set of axes out of `rank`, ascending.
std::vector<int64_t> DrawAxes(Choices& choices, int rank);

// An extent in [1, most]: often 1, 2, 3 or `most`, so that special values occur.
int64_t DrawExtent(Choices& choices, int64_t most);

// Elements of a concrete input.
int64_t ElementsOfInput(const Draft& draft, size_t i);

}  // namespace assay
