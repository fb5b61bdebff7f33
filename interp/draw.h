// What the rows' draw callbacks share: random constants, axes and extents for a node in the making.
// A draft comes with attributes drawn from their domains; a callback that sets attributes that must
// fit each other drops them first.
#pragma once

#include <string>
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

// An extent in [1, most]: often 2, 3 or `most`, at times 1.
int64_t DrawExtent(Choices& choices, int64_t most);

// A divisor of n >= 1.
int64_t DrawDivisor(Choices& choices, int64_t n);

// Elements of a concrete input.
int64_t ElementsOfInput(const Draft& draft, size_t i);

// Says that input i has to have that type; the draft grows as needed.
void Ask(Draft& draft, size_t i, DType dtype, Shape shape);
// The element type that input i has got, or `otherwise`.
DType TypeOr(const Draft& draft, size_t i, DType otherwise);

// With probability `p` sets an attribute to a value of its domain (integers, floats, strings);
// nothing where the row has no such attribute.
void MaybeSet(Choices& choices, Draft& draft, const std::string& attr, double p = 0.5);

// Uniform in [lo, hi], on a coarse grid for halves.
Tensor UniformConstant(Choices& choices, DType dtype, Shape shape, double lo, double hi);
// Integers in [lo, hi].
Tensor IntegerConstant(Choices& choices, DType dtype, Shape shape, int64_t lo, int64_t hi);

// A word, a sign, a number, now and then nothing: what a vocabulary may hold. ASCII.
std::string RandomWord(Choices& choices);
// A short text: words, signs, blanks, now and then nothing. ASCII.
std::string RandomText(Choices& choices);

}  // namespace assay
