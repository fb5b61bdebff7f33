// Sketch: builds known sub-graphs in a GraphBuilder: guards, motifs, bodies. It knows which
// operands an operator takes as attributes at the opset at hand, keeps to the operators' domains,
// and can put one thing off on the way (a twist): most rewrite rules are right about the pattern
// they name and wrong about a neighbour of it.
//
// A refused node gives kRefused, and so does every node that reads it: a sub-graph is written down
// without a check at each step, and its last value says whether all of it stands. The caller rolls
// the builder back. Thread rule: that of the builder.
#pragma once

#include <string>
#include <vector>

#include "gen/builder.h"

namespace assay {

// What may be off in a sub-graph. Each has several opportunities; one of them is taken.
enum class Twist : uint8_t {
  kNone,
  kCommute,      // the operands of a commutative operator in the other order
  kRank,         // a scalar constant has rank 1 to 3
  kOverridable,  // a constant is the default of a graph input
  kFolded,       // a constant is computed from constants
  kDynamic,      // a scalar is a graph input
  kValue,        // a scalar is another number
  kType,         // a value goes through another element type
  kBetween,      // an Identity stands between two nodes
  kReader,       // an intermediate value has a second reader
  kOutput,       // an intermediate value is a graph output too
  kCapture,      // a body of an If reads an intermediate value
};
inline constexpr int kTwists = 12;

// An attribute, or the input of that name where the opset has one instead (axes of Squeeze).
struct Param {
  const char* name;
  AttrValue value;
};

class Sketch {
 public:
  static constexpr int kAbsent = -1, kRefused = -2;

  Sketch(Choices& choices, GraphBuilder& builder) : choices_(choices), builder_(builder) {}
  // From here on: nodes may be what `allow` says.
  void Allow(const Leniency& allow) { allow_ = allow; }
  // From here on: `twist`, at its opportunity number `at`.
  void Apply(Twist twist, int at) { twist_ = twist, at_ = at; }
  // From here on: nothing is off that way.
  void Forbid(Twist twist) { twist_ = twist_ == twist ? Twist::kNone : twist_; }

  Choices& choices() { return choices_; }
  GraphBuilder& builder() { return builder_; }
  const GenValue& value(int id) const { return builder_.value(id); }
  // Of a refused value: something to go on with until the end.
  const Shape& shape(int id) const { return id < 0 ? kRefusedShape : value(id).shape(); }
  int rank(int id) const { return static_cast<int>(shape(id).size()); }
  DType dtype(int id) const { return id < 0 ? DType::kFloat : value(id).dtype; }
  int opset() const { return builder_.opset(); }

  // A node of ai.onnx with so many outputs, whose ids are consecutive. The id of the first one.
  int Node(const char* op, const std::vector<int>& inputs, const std::vector<Param>& params = {},
           int outputs = 1);
  // The same where the sub-graph itself keeps the operands in the operator's domain, though bounds
  // do not say so.
  int Sure(const char* op, const std::vector<int>& inputs, const std::vector<Param>& params = {});

  int Constant(Tensor t) { return builder_.AddConstant(std::move(t)); }
  // A rank-0 constant of the type of value `like`. `others`: what it may be instead when the
  // sub-graph is only defined for some numbers.
  int Scalar(int like, double v, const std::vector<double>& others = {});
  // A 1-d constant of int64.
  int Vector(const std::vector<int64_t>& v);
  // A random constant; now and then one of that type that is there already.
  int Weight(int like, const Shape& shape, double scale = 1, const Range& range = {});
  int Weight(DType dtype, const Shape& shape, double scale = 1, const Range& range = {});

 private:
  static const Shape kRefusedShape;  // many extents of 1
  bool Takes(Twist twist);
  bool SetParam(const OpSpec& spec, const Param& param, int first, assay::Node* node,
                std::vector<int>* inputs);
  int Make(const char* op, std::vector<int> inputs, const std::vector<Param>& params, int outputs,
           bool sure);
  int Altered(int id);
  int AlteredConstant(int id);
  // A node without twists.
  int Plain(const char* op, const std::vector<int>& inputs, const std::vector<Param>& params = {});

  Choices& choices_;
  GraphBuilder& builder_;
  Leniency allow_;
  Twist twist_ = Twist::kNone;
  int at_ = 0;
};

// A tensor of rank 0.
Tensor ScalarOf(DType dtype, double v);

}  // namespace assay
