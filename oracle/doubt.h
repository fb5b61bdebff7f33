// Doubt: may an equality that the field shows be chance?
//
// Equal polynomials are told from unequal ones with an error of 1/p, but operators that forget (an order, a
// comparison, a cast to bool) map many values to few: the Abs of a single positive element is that element, and a
// one-element Hardmax is always 1. An equality is one of structure where both models apply the same forgetting
// operators to equal operands; elsewhere a second look is taken, under contexts made to show what is hidden.
#pragma once

#include "oracle/lab.h"

namespace assay {

// Do both traces, of one lab under the same contexts, apply the same forgetting operators, with equal attributes and
// constants, to operands that are equal at least as multisets? If not, equal outputs may be chance.
bool Doubtful(const Trace& source, const Trace& target);

// Executes both models under contexts of the second look: the first one (its place in the schedule) in which an output
// differs, -1 when none does. Models too large for a cheap second look are not looked at. Errors: those of Lab::Make.
Result<int> SecondLook(const Model& source, const Model& target, const LabOptions& options);

}  // namespace assay
