// Concrete values of a graph in the making: random weights, what an operator demands of its inputs'
// values, what is certain of its output's, and the checks that keep every intermediate finite, of a
// sane size, alive and far from the points where rounding decides the result.
//
// Every value of a graph under construction is carried as samples: the graph's value for a few
// drawn input sets, in its own type (`native`) and recomputed in double (`wide`). Where the two
// differ by more than rounding can explain, the computation is ill-conditioned there and the node
// is refused.
#pragma once

#include <span>
#include <vector>

#include "interp/choices.h"
#include "interp/op_spec.h"

namespace assay {

// Bounds that hold for every input of the model, not for the samples alone.
struct Range {
  double lo = -1e30, hi = 1e30;
  bool nonzero = false;  // bounded away from 0 by at least kAwayFromZero
  bool Within(const Range& demand) const {
    return lo >= demand.lo && hi <= demand.hi && (nonzero || !demand.nonzero);
  }
  bool Bounded() const { return lo > -1e29 && hi < 1e29; }
};
inline constexpr double kAwayFromZero = 0.2;

// What input i of a node demands. `constant`: only a constant can be trusted there (divisors of
// integers).
struct Demand {
  Range range;
  bool constant = false;
  bool Any() const { return constant || range.lo > -1e29 || range.hi < 1e29 || range.nonzero; }
};
Demand DemandOf(const OpSpec& spec, int input, DType dtype);

// Sums and products depend on all they are made of, element by element.
bool SumsOrMultiplies(const OpSpec& spec);
// Takes common shifts or scales of its input away, as normalizations do.
bool Normalizes(const OpSpec& spec);

// An operand of which the operator wants the type, or which counts in training alone.
bool TypeOnly(const OpSpec& spec, int input);

// Bounds of output `output` from those of the inputs; unbounded where nothing is known of the
// operator.
Range RangeOf(const OpSpec& spec, const Node& node, std::span<const Range> inputs, int output);
// Bounds of a tensor's elements.
Range RangeOf(const Tensor& t);

// Can elements of output 0 be within `range`, more than one number of it (`each`: all of them)?
bool CanBeWithin(const OpSpec& spec, const Range& range, bool each);

// Random elements for a weight of that type, within `range`. `scale`: standard deviation of floats.
Tensor DrawWeight(Choices& choices, DType dtype, const Shape& shape, const Range& range,
                  double scale);
// Random elements for a graph input: floats N(0,1), integers 0..3, bools; as RandomInputs (exec.h)
// draws them.
Tensor DrawInput(Choices& choices, DType dtype, const Shape& shape);

struct Sample {
  Tensor native, wide;
  static Sample Of(Tensor t);
};

struct Stats {
  double lo = 0, hi = 0;
  bool finite = true;
  bool constant = true;  // all elements equal
};
Stats Measure(const Tensor& t);

// |native - wide| is small against what comparing runtimes at rtol 1e-3, atol 1e-4 allows; exact
// for types that are not floating-point.
bool Agrees(const Sample& s);
// The same elements, each floating-point one moved by about 1e-5 of its size up or down by a hash
// of its index.
Tensor Perturbed(const Tensor& t, uint64_t salt, bool flip);
// All elements changed: by about a fifth of their size, up or down, in two ways (0 and 1), or (2)
// to another sign or neighbour; strings get longer.
Tensor Altered(const Tensor& t, int way);
// Floats of the same shape without an equal pair.
bool AllDiffer(const Tensor& a, const Tensor& b);
bool SameElements(const Tensor& a, const Tensor& b);
// The same but for what rounding makes of floats in double.
bool Alike(const Tensor& a, const Tensor& b);

}  // namespace assay
