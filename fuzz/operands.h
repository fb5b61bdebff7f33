// Operands: reading what a node does and writing nodes, whatever the opset says about where an
// operand stands (attribute or input). Readers return nothing when an operand is not a known
// constant; writers follow the opset of the edited model.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fuzz/edit.h"

namespace assay {

// ---- numbers ----
std::vector<double> Doubles(const Tensor& t);
// Values rounded once to a floating-point type; nothing when one of them is not finite there.
std::optional<Tensor> Rounded(DType dtype, Shape shape, const std::vector<double>& values);
// Is every element this number?
bool AllEqual(const Tensor& t, double value);
// A constant with one element, as a number.
std::optional<double> ScalarOf(const Tensor* t);
bool IsFloatTensor(const Tensor* t);

// Axes counted from 0, ascending; nothing when one is out of range or given twice.
std::optional<std::vector<int64_t>> NormalizedAxes(std::vector<int64_t> axes, int rank);
int64_t NormalizedAxis(int64_t axis, int rank);  // -1 when out of range

// ---- readers ----
// `axes` of Squeeze, Unsqueeze, Reduce*: attribute or input 1. Empty: absent. Nothing: not
// constant.
std::optional<std::vector<int64_t>> RawAxes(const View& view, int i);
// Reduce* with a known rank: reduced axes ascending, keepdims.
struct ReducedAxes {
  std::vector<int64_t> axes;
  bool keepdims = true;
  bool noop = false;  // noop_with_empty_axes and no axes
};
std::optional<ReducedAxes> ReductionOf(const View& view, int i);
bool IsReduce(const View& view, int i);

// Transpose: the permutation, with the default (reversal) written out.
std::optional<std::vector<int64_t>> PermOf(const View& view, int i);
std::vector<int64_t> InversePerm(const std::vector<int64_t>& perm);
bool IsIdentityPerm(const std::vector<int64_t>& perm);

// Conv, ConvTranspose, MaxPool, AveragePool: attributes with defaults written out, `axes` = spatial
// rank. auto_pad is resolved when the extents are known; nothing when it can't be.
struct Window {
  std::vector<int64_t> kernel, strides, dilations, pads;  // pads: begins, then ends
  std::string auto_pad = "NOTSET";
  int64_t group = 1;
  bool ceil = false;
  int axes() const { return static_cast<int>(kernel.size()); }
};
std::optional<Window> WindowOf(const View& view, int i);
// Writes explicit pads (and drops auto_pad).
void SetPads(Node* node, const std::vector<int64_t>& pads);

struct PadOperands {
  std::string mode = "constant";
  std::vector<int64_t> pads;  // for all axes: begins, then ends
  double value = 0;
};
std::optional<PadOperands> PadOf(const View& view, int i);

// Clip: bounds that are there (attribute or constant input).
struct ClipOperands {
  std::optional<double> lo, hi;
};
std::optional<ClipOperands> ClipOf(const View& view, int i);

// Slice with constant operands, one entry an axis as given; axes normalized, steps written out.
struct SliceOperands {
  std::vector<int64_t> starts, ends, axes, steps;
};
std::optional<SliceOperands> SliceOf(const View& view, int i);

// BatchNormalization at inference with constant parameters of C entries each.
struct BatchNorm {
  std::vector<double> scale, bias, mean, var;
  double epsilon = 1e-5;
  // y = a*x + b per channel, in double.
  std::vector<double> Factor() const;
  std::vector<double> Offset() const;
};
std::optional<BatchNorm> BatchNormOf(const View& view, int i);

// A two-input arithmetic node with one constant operand: which, and the other's name.
struct WithConstant {
  size_t constant_at = 0;
  const Tensor* constant = nullptr;
  std::string data;
};
std::optional<WithConstant> ConstantOperand(const View& view, int i);
// The constant as one number a channel: it varies along `axis` of a rank-`rank` value alone.
// Scalars give `channels` copies. Nothing when it varies elsewhere or enlarges the value.
std::optional<std::vector<double>> PerChannel(const Tensor& t, int rank, int axis,
                                              int64_t channels);

// A node with one data input and one output of the same type whose output element depends on that
// input element alone (Relu, Sigmoid, ..., Clip, LeakyRelu, Cast excluded); constant other inputs
// only.
bool IsPointwise(const View& view, int i);
// Does the operator compute the same whenever it is given the same?
bool IsDeterministic(const View& view, int i);
const OpSpec* SpecOf(const View& view, int i);

// ---- writers; all return the new value's name unless `out` names it ----
struct Into {
  std::string name;  // "" = a new value
};
std::string AddNode(Edit& e, const std::string& what, const std::string& op,
                    std::vector<std::string> in, std::vector<Attribute> attrs = {},
                    const Into& into = {});
std::string AddTranspose(Edit& e, const std::string& what, const std::string& x,
                         const std::vector<int64_t>& perm, const Into& into = {});
std::string AddReshape(Edit& e, const std::string& what, const std::string& x,
                       const std::vector<int64_t>& shape, const Into& into = {});
std::string AddSqueeze(Edit& e, const std::string& what, const std::string& x,
                       const std::vector<int64_t>& axes, const Into& into = {});
std::string AddUnsqueeze(Edit& e, const std::string& what, const std::string& x,
                         const std::vector<int64_t>& axes, const Into& into = {});
std::string AddReduce(Edit& e, const std::string& what, const std::string& op, const std::string& x,
                      const std::vector<int64_t>& axes, bool keepdims, const Into& into = {});
std::string AddSlice(Edit& e, const std::string& what, const std::string& x, const SliceOperands& s,
                     const Into& into = {});
std::string AddPad(Edit& e, const std::string& what, const std::string& x, DType dtype,
                   const PadOperands& p, const Into& into = {});
std::string AddClip(Edit& e, const std::string& what, const std::string& x, DType dtype,
                    const ClipOperands& b, const Into& into = {});
// Split along `axis` in parts of these sizes; names of the outputs, new where "".
std::vector<std::string> AddSplit(Edit& e, const std::string& what, const std::string& x,
                                  int64_t axis, const std::vector<int64_t>& sizes,
                                  std::vector<std::string> outputs = {});
// A scalar constant of a type.
std::string AddScalar(Edit& e, const std::string& what, DType dtype, double value);

// A target shape for Reshape that gives the value's own type: known extents, at most one unknown as
// -1. Nothing when more than one is unknown or one is 0.
std::optional<std::vector<int64_t>> ReshapeTarget(const View& view, const std::string& value);

}  // namespace assay
