// Draws from bins: extents and attribute values come from special values (1, an extent that is
// already there, primes, powers of two, the maximum) as often as from the whole range, because
// converters fail at corners.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "interp/choices.h"
#include "interp/op_spec.h"

namespace assay {

// An extent in [lo, hi] (lo <= hi). `known`: extents at hand; equal extents are what transposed
// weights and mistaken axes hide behind.
int64_t DrawExtent(Choices& choices, int64_t lo, int64_t hi, std::span<const int64_t> known = {});

// A shape of `rank` extents, each at least 1, with at most `max_elements` elements.
Shape DrawShape(Choices& choices, int rank, int64_t max_elements);

// The least and the greatest integer of a domain.
Dim Extremes(const AttrDomain& domain);
bool Holds(const AttrDomain& domain, int64_t value);

// An integer of a domain within [lo, hi]; small magnitudes and the ends are favoured. The domain
// may have no member there: then lo.
int64_t DrawInteger(Choices& choices, const AttrDomain& domain, int64_t lo, int64_t hi);

// Length of a list attribute for a first input of that rank; -1 when the row leaves it free.
int64_t ListLength(const AttrDomain& domain, int rank);

// A value for an attribute, or nothing when its domain says too little to draw one (the row's draw
// callback or the operator's default has to serve).
std::optional<AttrValue> DrawAttr(Choices& choices, const AttrSpec& attr, int rank);

}  // namespace assay
