// The constraint solver of the generator: finds extents and integer attributes that an operator's
// shape rule allows. It is an interval search with random restarts: every unknown is an interval (a
// Dim), the rule run over intervals says "can't hold", "holds" or "may hold", and the first prunes.
// No outside solver is needed: rules are small and total.
//
// Thread rule: a Problem belongs to one thread. Cost: 20 to 60 rule runs for a 2-d Conv with all
// weights' extents and four attributes unknown (bench/generate_bench.cc).
#pragma once

#include <string>
#include <vector>

#include "interp/choices.h"
#include "interp/op_spec.h"

namespace assay {

// What is to be found. Intervals that are not points are unknown; Solve makes them points.
struct Problem {
  const OpSpec* spec = nullptr;
  const Node* node = nullptr;         // arity, outputs wanted, and the attributes already decided
  std::vector<TypeInfo> inputs;       // rank and type decided; dtype kUndefined: absent
  std::vector<const Tensor*> values;  // constants among the inputs, or null
  UnknownAttrs attributes;            // each within its domain
  const TypeInfo* want = nullptr;     // the type that output 0 has to have, when set
  int64_t max_elements = 1 << 12;     // of every solved input and every output
};

// Intervals for an attribute of which nothing is known but its domain; empty when it is not an
// integer (list) or its length is free. `rank`: of the first input.
std::vector<Dim> UnknownAttribute(const AttrSpec& attr, int rank);

// Runs the rule of one problem again and again, while its intervals and the types of its inputs
// change (which inputs there are does not).
class RuleChecker {
 public:
  explicit RuleChecker(const Problem& problem);  // outlives the checker
  Truth Run();
  // Of the outputs, after a run that was not kFalse.
  const std::vector<TypeInfo>& types() const { return context_.result(); }
  // Has some run asked for the value of an input?
  bool read_values() const { return context_.values_read() != 0; }

 private:
  const Problem& p_;
  std::vector<const TypeInfo*> inputs_;
  RuleContext context_;
};

// What the rule says of a problem as it stands; `outputs`, when asked for, gets the inferred types.
Truth CheckRule(const Problem& problem, std::vector<TypeInfo>* outputs = nullptr);

struct Solution {
  std::vector<TypeInfo> outputs;
  bool sure = false;  // the rule holds for inputs of these types, whatever their values are
};

// Makes every unknown of `problem` a point such that the rule holds, no extent is 0 and sizes are
// kept. False when the search found nothing; the problem is then as it was.
bool Solve(Choices& choices, Problem& problem, Solution* solution = nullptr);

}  // namespace assay
