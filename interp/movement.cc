#include "interp/movement.h"

#include "interp/kernels_parallel.h"

#include <numeric>

namespace assay {
namespace {

// Side of the square tiles of a transpose: two tiles of 8-byte elements stay in the first-level
// cache.
constexpr int64_t kTile = 16;

template <class T>
void CopyRun(const T* from, T* to, int64_t n) {
  constexpr int64_t kFew = 16;  // a call of memmove takes longer
  if (n > kFew) {
    std::copy_n(from, n, to);
    return;
  }
  for (int64_t i = 0; i < n; ++i) to[i] = from[i];
}

void EraseAxis(Walk& w, size_t k) {
  w.extent.erase(w.extent.begin() + k);
  w.from_step.erase(w.from_step.begin() + k);
  w.to_step.erase(w.to_step.begin() + k);
}

// Drops axes of extent 1 and merges neighbours that advance as one.
void Simplify(Walk& w) {
  for (size_t k = w.extent.size(); k-- > 0;) {
    if (w.extent[k] == 1) EraseAxis(w, k);
  }
  for (size_t k = w.extent.size(); k-- > 1;) {
    if (w.from_step[k - 1] != w.from_step[k] * w.extent[k] ||
        w.to_step[k - 1] != w.to_step[k] * w.extent[k])
      continue;
    w.extent[k - 1] *= w.extent[k];
    w.from_step[k - 1] = w.from_step[k];
    w.to_step[k - 1] = w.to_step[k];
    EraseAxis(w, k);
  }
}

// Calls f(from, to) for every place of the walk's axes, in order.
template <class F>
void ForEachPlace(const Walk& w, F&& f) {
  std::vector<int64_t> at(w.extent.size(), 0);
  int64_t from = w.from, to = w.to;
  for (;;) {
    f(from, to);
    size_t k = w.extent.size();
    while (k-- > 0) {
      from += w.from_step[k];
      to += w.to_step[k];
      if (++at[k] < w.extent[k]) break;
      from -= w.from_step[k] * w.extent[k];
      to -= w.to_step[k] * w.extent[k];
      at[k] = 0;
      if (k == 0) return;
    }
    if (w.extent.empty()) return;
  }
}

// One plane of a transpose: rows x columns, tile by tile.
template <class T>
void CopyPlane(const T* from, T* to, int64_t rows, int64_t from_row, int64_t to_row,
               int64_t columns, int64_t from_column, int64_t to_column) {
  for (int64_t r0 = 0; r0 < rows; r0 += kTile) {
    int64_t r1 = std::min(rows, r0 + kTile);
    for (int64_t c0 = 0; c0 < columns; c0 += kTile) {
      int64_t c1 = std::min(columns, c0 + kTile);
      for (int64_t r = r0; r < r1; ++r) {
        for (int64_t c = c0; c < c1; ++c)
          to[r * to_row + c * to_column] = from[r * from_row + c * from_column];
      }
    }
  }
}

template <class T>
void Copy(const T* from, T* to, Walk w) {
  if (std::count(w.extent.begin(), w.extent.end(), 0)) return;
  Simplify(w);
  if (w.extent.empty()) {
    to[w.to] = from[w.from];
    return;
  }
  size_t last = w.extent.size() - 1;
  int64_t n = w.extent[last], from_step = w.from_step[last], to_step = w.to_step[last];
  EraseAxis(w, last);
  if (from_step == 1 && to_step == 1) {
    constexpr int64_t kPart = 1 << 14;  // elements worth a thread
    ForEachPlace(w, [&](int64_t f, int64_t t) {
      if (n <= kPart) return CopyRun(from + f, to + t, n);
      ParallelRanges(n, kPart, [&](int64_t begin, int64_t end) { CopyRun(from + f + begin, to + t + begin, end - begin); });
    });
    return;
  }
  // Where another axis is contiguous at the source, pair the two into planes.
  auto contiguous = std::find(w.from_step.begin(), w.from_step.end(), 1);
  if (contiguous != w.from_step.end() && from_step != 0) {
    size_t k = contiguous - w.from_step.begin();
    int64_t rows = w.extent[k], to_row = w.to_step[k];
    EraseAxis(w, k);
    ForEachPlace(w, [&](int64_t f, int64_t t) {
      CopyPlane(from + f, to + t, rows, 1, to_row, n, from_step, to_step);
    });
    return;
  }
  ForEachPlace(w, [&](int64_t f, int64_t t) {
    for (int64_t i = 0; i < n; ++i) to[t + i * to_step] = from[f + i * from_step];
  });
}

template <class T>
void CopyByMaps(const T* from, const T* fill, T* to,
                const std::vector<std::vector<int64_t>>& offsets, int64_t run) {
  // All axes but the last are walked like an odometer; offsets are negative where an axis says
  // fill.
  size_t rank = offsets.size();
  const std::vector<int64_t>& last = offsets[rank - 1];
  int64_t row = static_cast<int64_t>(last.size()) * run, rows = 1;
  for (size_t k = 0; k + 1 < rank; ++k) rows *= static_cast<int64_t>(offsets[k].size());
  std::vector<size_t> at(rank, 0);
  for (int64_t r = 0; r < rows; ++r, to += row) {
    int64_t base = 0;
    bool outside = false;
    for (size_t k = 0; k + 1 < rank; ++k) {
      int64_t offset = offsets[k][at[k]];
      outside = outside || offset < 0;
      base += offset;
    }
    if (outside) {
      std::fill_n(to, row, *fill);
    } else {
      T* out = to;
      for (int64_t offset : last) {
        if (offset < 0)
          std::fill_n(out, run, *fill);
        else
          CopyRun(from + base + offset, out, run);
        out += run;
      }
    }
    for (size_t k = rank - 1; k-- > 0;) {
      if (++at[k] < offsets[k].size()) break;
      at[k] = 0;
    }
  }
}

bool IsIdentity(const std::vector<int64_t>& map, int64_t extent) {
  if (static_cast<int64_t>(map.size()) != extent) return false;
  for (int64_t i = 0; i < extent; ++i) {
    if (map[i] != i) return false;
  }
  return true;
}

}  // namespace

Status CopyWalk(const Tensor& from, Walk walk, Tensor& to) {
  return VisitBytes(to, [&](auto zero) -> Status {
    using T = decltype(zero);
    Copy(ElementsOf<T>(from), MutableElementsOf<T>(to), std::move(walk));
    return {};
  });
}

Status CopyMapped(const Tensor& from, const std::vector<std::vector<int64_t>>& maps,
                  const Tensor* fill, Tensor& to) {
  if (to.size() == 0) return {};
  // Trailing axes that are copied whole form the run.
  size_t axes = maps.size();
  int64_t run = 1;
  while (axes > 0 && IsIdentity(maps[axes - 1], from.dim(static_cast<int>(axes) - 1)))
    run *= from.dim(--axes);
  Shape strides = Strides(from.shape());
  std::vector<std::vector<int64_t>> offsets(maps.begin(), maps.begin() + axes);
  for (size_t k = 0; k < axes; ++k) {
    for (int64_t& v : offsets[k]) v = v < 0 ? -1 : v * strides[k];
  }
  if (offsets.empty()) offsets.push_back({0});
  return VisitBytes(to, [&](auto zero) -> Status {
    using T = decltype(zero);
    CopyByMaps(ElementsOf<T>(from), fill ? ElementsOf<T>(*fill) : nullptr, MutableElementsOf<T>(to),
               offsets, run);
    return {};
  });
}

Status FillWith(const Tensor& value, Tensor& to) {
  return VisitBytes(to, [&](auto zero) -> Status {
    using T = decltype(zero);
    std::fill_n(MutableElementsOf<T>(to), to.size(), *ElementsOf<T>(value));
    return {};
  });
}

std::vector<int> DistinctAxes(RuleContext& c, const std::vector<int64_t>& axes, int rank) {
  std::vector<int> out;
  std::vector<bool> seen(static_cast<size_t>(rank), false);
  for (int64_t a : axes) {
    bool fits = a >= -rank && a < rank;
    c.Require(fits, "every axis is within the rank");
    if (!fits) continue;
    int axis = static_cast<int>(a < 0 ? a + rank : a);
    c.Require(!seen[axis], "no axis is given twice");
    if (seen[axis]) continue;
    seen[axis] = true;
    out.push_back(axis);
  }
  return out;
}

int64_t ElementCount(const Shape& shape, int begin, int end) {
  int64_t n = 1;
  for (int k = begin; k < end; ++k) n = WrapMul(n, shape[k]);
  return n;
}

}  // namespace assay
