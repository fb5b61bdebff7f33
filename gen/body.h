// Bodies: sub-graphs that become the bodies of If, Loop and Scan. A body is built as ordinary nodes
// first, so that it is evaluated and accepted like everything else; then its nodes are taken out of
// the builder again.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gen/builder.h"

namespace assay {

struct BodySpec {
  GraphBuilder::Mark start;  // the builder goes back to this: behind it stand values in place of
                             // inputs that are nothing outside
  GraphBuilder::Mark mark;   // what was added since then is the body
  // Names of its values begin with this; unique in the model.
  std::string prefix;
  // Values that the body gets as inputs, in their order, by their id outside. -1: one of that type
  // which it does not read.
  std::vector<std::pair<int, TypeInfo>> inputs;
  std::vector<int> outputs;  // values it gives; what is not made inside is passed on
  bool captured_constants =
      false;  // constants of the body become constants outside that it captures
};

// The body; the builder is rolled back to the start, but for captured constants, which are added
// anew.
Graph TakeBody(GraphBuilder& builder, const BodySpec& spec);

// A prefix for a body of the node that comes next.
std::string BodyPrefix(const GraphBuilder& builder, const char* what);

// A node of an operator with bodies. The id of its first output, or -1.
int AddWithBodies(GraphBuilder& builder, const char* op, const std::vector<int>& inputs,
                  std::vector<Attribute> attrs, int outputs = 1);

// An If that decides by the scalar bool `condition` what becomes of `id`; -1 when it was refused.
int AddChoice(Choices& choices, GraphBuilder& builder, int condition, int id);

// An If whose branches read `id`; -1 when it was refused.
int AddCapture(Choices& choices, GraphBuilder& builder, int id);

// A scalar bool that depends on float value `id`: its largest element against a number between
// those of the samples. -1 when it was refused.
int AddCondition(Choices& choices, GraphBuilder& builder, int id);

}  // namespace assay
