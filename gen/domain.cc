#include "gen/domain.h"

namespace assay {
namespace {

constexpr int64_t kPrimes[] = {2, 3, 5, 7, 11, 13, 17, 23, 31};
constexpr int64_t kPowers[] = {2, 4, 8, 16, 32, 64};

// A member of `bin` within [lo, hi], else a uniform one.
int64_t FromBin(Choices& choices, std::span<const int64_t> bin, int64_t lo, int64_t hi) {
  // Bins ascend: members within the range are a contiguous part.
  auto first = std::lower_bound(bin.begin(), bin.end(), lo);
  auto last = std::upper_bound(first, bin.end(), hi);
  if (first == last) return choices.Between(lo, hi);
  return first[choices.Below(last - first)];
}

int64_t FromKnown(Choices& choices, std::span<const int64_t> known, int64_t lo, int64_t hi) {
  size_t start = choices.Below(known.size());
  for (size_t i = 0; i < known.size(); ++i) {
    int64_t v = known[(start + i) % known.size()];
    if (v >= lo && v <= hi && v > 1) return v;
  }
  return choices.Between(lo, hi);
}

}  // namespace

int64_t DrawExtent(Choices& choices, int64_t lo, int64_t hi, std::span<const int64_t> known) {
  if (lo >= hi) return lo;
  uint64_t bin = choices.Below(32);
  if (bin < 1) return lo;
  if (bin < 11 && !known.empty()) return FromKnown(choices, known, lo, hi);
  if (bin < 15) return FromBin(choices, kPrimes, lo, hi);
  if (bin < 19) return FromBin(choices, kPowers, lo, hi);
  if (bin < 20) return choices.Between(lo, hi);
  if (bin < 21) return std::min(hi, lo + 63);
  int64_t small_lo = std::clamp<int64_t>(2, lo, hi);
  return choices.Between(small_lo, std::min(hi, small_lo + 6));
}

Shape DrawShape(Choices& choices, int rank, int64_t max_elements) {
  Shape shape(rank, 1);
  int64_t left = std::max<int64_t>(max_elements, 1);
  for (int i = 0; i < rank; ++i) {
    // Later axes must keep room for an extent of 2 each.
    int64_t room = std::max<int64_t>(1, left >> std::min(rank - 1 - i, 20));
    shape[i] = DrawExtent(choices, 1, std::min<int64_t>(room, 32), std::span(shape.data(), i));
    left /= shape[i];
  }
  return shape;
}

Dim Extremes(const AttrDomain& domain) {
  if (domain.ints.empty()) return Dim(domain.lo, std::max(domain.lo, domain.hi));
  auto [lo, hi] = std::minmax_element(domain.ints.begin(), domain.ints.end());
  return Dim(*lo, *hi);
}

bool Holds(const AttrDomain& domain, int64_t value) {
  if (domain.ints.empty()) return value >= domain.lo && value <= std::max(domain.lo, domain.hi);
  return std::find(domain.ints.begin(), domain.ints.end(), value) != domain.ints.end();
}

int64_t DrawInteger(Choices& choices, const AttrDomain& domain, int64_t lo, int64_t hi) {
  if (!domain.ints.empty()) {
    for (int i = 0; i < 8; ++i) {
      int64_t v = choices.Pick(domain.ints);
      if (v >= lo && v <= hi) return v;
    }
    return lo;
  }
  lo = std::max(lo, domain.lo);
  hi = std::min(hi, std::max(domain.lo, domain.hi));
  if (lo >= hi) return lo;
  uint64_t bin = choices.Below(16);
  if (bin < 1) return hi;
  if (bin < 3) return lo;
  if (bin < 6) return choices.Between(lo, hi);
  // Around zero (or the end that is nearest to it).
  int64_t centre = std::clamp<int64_t>(0, lo, hi);
  return choices.Between(std::max(lo, centre - 1), std::min(hi, centre + 2));
}

int64_t ListLength(const AttrDomain& domain, int rank) {
  if (domain.len_rank == 0 && domain.len_const < 0) return -1;
  return std::max<int64_t>(0, static_cast<int64_t>(domain.len_rank) * rank + domain.len_const);
}

std::optional<AttrValue> DrawAttr(Choices& choices, const AttrSpec& attr, int rank) {
  const AttrDomain& d = attr.domain;
  bool has_ints = !d.ints.empty() || d.hi > d.lo;
  switch (attr.type) {
    case AttrType::kInt:
      if (!has_ints) return std::nullopt;
      return AttrValue(DrawInteger(choices, d, Extremes(d).lo(), Extremes(d).hi()));
    case AttrType::kFloat:
      if (d.floats.empty()) return std::nullopt;
      return AttrValue(static_cast<float>(choices.Pick(d.floats)));
    case AttrType::kString:
      if (d.strings.empty()) return std::nullopt;
      return AttrValue(choices.Pick(d.strings));
    case AttrType::kInts: {
      int64_t length = ListLength(d, rank);
      if (!has_ints || length < 0) return std::nullopt;
      std::vector<int64_t> list(length);
      for (int64_t& v : list) v = DrawInteger(choices, d, Extremes(d).lo(), Extremes(d).hi());
      return AttrValue(std::move(list));
    }
    case AttrType::kFloats: {
      int64_t length = ListLength(d, rank);
      if (d.floats.empty() || length < 0) return std::nullopt;
      std::vector<float> list(length);
      for (float& v : list) v = static_cast<float>(choices.Pick(d.floats));
      return AttrValue(std::move(list));
    }
    default:
      return std::nullopt;
  }
}

}  // namespace assay
