// Transform: one record for everything that edits a model. Faults break its meaning, rewrites preserve it,
// repairs heal a target, reductions shrink a finding; only the promise differs, and one contract test for each
// promise runs over every row of its table.
//
// `sites` and `apply` are pure and deterministic: randomness picks the site, never the effect. `sites` is safe
// on any valid model; `apply` at a site that `sites` did not list returns an error or a valid model, never traps.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "interp/infer.h"

namespace assay {

// Where a transform applies: a node (by name, or by its first output when it has no name), a graph input, an
// initializer; plus one small argument, e.g. "pads[2]+1". Prints as "conv_3:pads[2]+1".
struct Site {
  std::string node;
  std::string argument;
  std::string ToString() const;
  static Site Parse(const std::string& text);
  bool operator==(const Site&) const = default;
};

// One applied transform as text: "LH_CONV_PADS@conv_3:pads[2]+1". Characters outside [A-Za-z0-9_./+-[],] in
// names are percent-encoded, so that a line of a steps file is one step.
struct Step {
  std::string transform;
  Site site;
  std::string ToString() const;
  static Result<Step> Parse(const std::string& line);
  bool operator==(const Step&) const = default;
};

enum class Promise : uint8_t { kBreaks, kPreserves, kHeals, kShrinks };

// A model together with what inference knows of it; transforms read both.
struct Subject {
  Model model;
  Inference known;
  static Result<Subject> Of(Model model, const Limits& limits = Limits{});
  // Type of a value; null when unknown.
  const TypeInfo* Type(const std::string& value) const;
  // Extents of a value when all are known.
  const TypeInfo* StaticType(const std::string& value) const;
  // A constant's value (initializer or folded), null otherwise.
  const Tensor* Constant(const std::string& value) const;
};

struct Transform {
  std::string name;          // catalogue name, e.g. "LH_CONV_PADS" or "B04"
  Promise promise = Promise::kPreserves;
  std::string cls;           // faults: PP, ID, TSS, WB, LH, CG, ...; rewrites: "benign"
  std::string doc;           // one sentence
  std::string cite;          // "owner/repo#n; ..." or "uncited"
  std::string precondition;  // faults: what makes it observable; rewrites: the side condition that keeps the meaning
  std::string ops;           // operators concerned
  std::string example;       // a graph in text form on which it applies; run by the contract test
  std::function<std::vector<Site>(const Subject&)> sites;
  // The edit alone: the edited model may still turn out not to be valid (see Apply).
  std::function<Result<Model>(const Subject&, const Site&)> apply;

  // `apply`, then inference of what it made. Declared extents of graph outputs follow inference, stale value_info is dropped. Errors: those
  // of `apply`; Invalid when the result is no valid model, when a graph output changed its element type or rank,
  // or, for kPreserves, when the declared type of any input or output changed.
  Result<Subject> Apply(const Subject& subject, const Site& site, const Limits& limits = Limits{}) const;
};

// How a node is named in a Site: its name, or "%" + first output when it has none.
std::string SiteName(const Node& node);
// Index of the node of that site name; -1 when there is none.
int FindNode(const Graph& graph, const std::string& site_name);

}  // namespace assay
