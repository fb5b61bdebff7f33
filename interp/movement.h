// Copies between layouts, for the operators that move elements and compute none. They work on any
// element type in any store: an element is a run of bytes or a string.
#pragma once

#include <span>
#include <vector>

#include "interp/kernels.h"

namespace assay {

// Rules refuse more axes than this, so that a hostile shape operand can't make a rule allocate
// without bound.
inline constexpr int64_t kMaxRank = 64;

// A rectangular walk over two arrays. Element (i0, i1, ..) is read at from + sum of ik *
// from_step[k] and written at to + sum of ik * to_step[k], all counted in elements. Steps may be 0
// or negative.
struct Walk {
  Shape extent, from_step, to_step;
  int64_t from = 0, to = 0;
};
// Copies along a walk, whose places must lie inside both tensors; both have the same stored element
// type. Adjacent axes that advance alike are merged, contiguous runs are copied whole, transposes
// go in tiles.
Status CopyWalk(const Tensor& from, Walk walk, Tensor& to);

// to[i0, i1, ..] = from[maps[0][i0], maps[1][i1], ..]; where any entry is negative the element is
// fill's only one (`fill` may be null when no entry is negative). One map an axis, as long as the
// axis of `to`.
Status CopyMapped(const Tensor& from, const std::vector<std::vector<int64_t>>& maps,
                  const Tensor* fill, Tensor& to);

// Every element of `to` becomes element 0 of `value`.
Status FillWith(const Tensor& value, Tensor& to);

// Indices given as data. Negative ones count from the end of their axis, whose extent is
// `extent(i)` for index i. Error: Invalid, naming the index; in the field, where integers that
// depend on data are hashes, such an index wraps around instead (an extent of 0 stays an error).
template <class ExtentFn>
Status ReadIndices(const KernelContext& c, int input, ExtentFn&& extent,
                   std::vector<int64_t>* out) {
  const Tensor& t = c.in(input);
  out->resize(static_cast<size_t>(t.size()));
  return VisitInt(t, [&](auto zero) -> Status {
    using I = decltype(zero);
    const I* data = t.data<I>();
    for (int64_t i = 0; i < t.size(); ++i) {
      int64_t v = static_cast<int64_t>(data[i]), n = extent(i);
      if (v >= n || v < -n) {
        if (c.store() != Store::kField || n == 0 || c.Constant(input)) {
          return Invalid("index " + std::to_string(v) + " at place " + std::to_string(i) +
                         " of input " + std::to_string(input) + " is outside an axis of extent " +
                         std::to_string(n));
        }
        v %= n;
      }
      (*out)[i] = v < 0 ? v + n : v;
    }
    return {};
  });
}

// Rules: axes made non-negative. Out of range or given twice violates the rule and leaves the axis
// out.
std::vector<int> DistinctAxes(RuleContext& c, const std::vector<int64_t>& axes, int rank);

// Number of elements of axes [begin, end). Wraps around, which only a tensor without elements can
// make it do.
int64_t ElementCount(const Shape& shape, int begin, int end);

}  // namespace assay
