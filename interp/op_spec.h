// OpSpec: everything assay knows about one operator at one version, as one row. The generator, the validator,
// shape inference, the interpreter, the attribute faults, coverage and `assay ops` all read this row.
// Rows live in interp/ops/<family>.cc; each such file defines `std::vector<OpSpec> ops_<family>()`.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "interp/choices.h"
#include "interp/graph.h"
#include "interp/rule.h"

namespace assay {

class KernelContext;  // interp/kernels.h

enum class Arity : uint8_t { kSingle, kOptional, kVariadic };

// What an operator asks of the values of one input, so that its outputs are defined, finite and well-conditioned.
struct SafeValues {
  double lo = -1e30, hi = 1e30;
  bool nonzero = false;         // bounded away from 0
  bool constant = false;        // nothing that is computed can be trusted there: divisors of integers, exponents
  bool Any() const { return constant || nonzero || lo > -1e29 || hi < 1e29; }
};

// A formal input or output. Formals with the same `type` name have the same element type.
struct Formal {
  std::string name;
  std::string type;             // "T", "T1", or "" when fixed by `types` alone
  DTypeSet types = 0;
  Arity arity = Arity::kSingle;
  bool homogeneous = true;      // kVariadic: all of one element type
  // Floats that the rule reads as numbers (scales, ends of a range): a constant stays native in every domain.
  bool parameter = false;
  // In a run in double a constant of floats stays as it is: the kernel widens what it reads.
  bool stays_float = false;
  SafeValues safe = {};                   // of an input: the values that the generator keeps to
  std::optional<SafeValues> safe_other = {};  // of element types that are not floating-point, where it differs
};

// Where an attribute's values come from, for the generator, the validator and the attribute faults.
struct AttrDomain {
  int64_t lo = 0, hi = 0;                // integers (each element of a list)
  std::vector<int64_t> ints;             // or: one of these
  std::vector<double> floats;            // special floats; the first is the ONNX default
  std::vector<std::string> strings;      // one of these
  // Length of a list as a function of the rank r of input 0: a*r + b; -1 = free.
  int len_rank = 0, len_const = -1;
  bool solve = false;                    // unknown in the generator's solver (pads, strides, ...)
};

struct AttrSpec {
  std::string name;
  AttrType type = AttrType::kInt;
  bool required = false;
  std::optional<AttrValue> otherwise;    // the ONNX default
  AttrDomain domain;
};

// Numeric class, for tolerances.
enum class Accuracy : uint8_t { kExact, kRounding, kReduction };

enum Trait : uint32_t {
  kElementwise = 1 << 0,     // output i depends on input i alone (after broadcasting)
  kBroadcasts = 1 << 1,      // numpy broadcasting between its inputs
  kCommutative = 1 << 2,
  kMovesData = 1 << 3,       // copies elements, computes none: runs on raw float16/bfloat16 too
  kLayoutOnly = 1 << 4,      // Reshape, Transpose, Squeeze, ...
  kDiscontinuous = 1 << 5,   // jumps: Cast to int, Floor, compare, ArgMax
  kNondeterministic = 1 << 6,
  kReadsShape = 1 << 7,      // output depends only on the input's shape (Shape, Size)
  kNotGenerated = 1 << 8,    // the generator leaves it out (needs more than a row says)
  kRunsGraphs = 1 << 9,      // has subgraphs: its operands reach them as they are
  kInPlace = 1 << 10,        // as kElementwise, reads no element of input 0 once its place in output 0 is written
  kWithinInputs = 1 << 11,   // elements of output 0 lie between the ends of input 0 (variadic: of all inputs)
  kOnRequest = 1 << 12,      // generated on request alone: the field doesn't decide it, so it is not verified for sure
  kTakesBounds = 1 << 13,    // the kernel bounds output 0 by the way (KernelContext::bounds)
};

// A node in the making. `draw` callbacks of rows get one with its data inputs' types chosen and may set
// attributes and constant inputs (shape operands, indices, pads) so that the rule can hold.
struct Draft {
  const OpSpec* spec = nullptr;
  int opset = 17;
  // Types of the inputs: of input 0, unless the callback is to propose one (then it is not ranked), and of others at
  // least the element type. An input that the callback makes static is what the generator has to find or to make.
  std::vector<TypeInfo> inputs;
  std::vector<std::optional<Tensor>> constants;  // set: this input becomes an initializer of that value
  std::vector<Attribute> attrs;
  int outputs = 1;                           // how many outputs to ask for
  std::vector<int> absent;                   // of these outputs, the ones that the node leaves out
  int64_t max_elements = 1 << 16;            // keep the output below this
  bool anything = false;                     // also what the oracle can't decide: places to read that are computed

  bool concrete(size_t i) const;             // extents of input i are all known
  Shape shape(size_t i) const;               // of a concrete input
  void Set(const std::string& attr, AttrValue v);
  void SetConstant(size_t i, Tensor t);      // grows `inputs` and `constants`
};
// It gets no attributes and decides on all of them, but for required ones that it leaves out and those that the
// solver is to find. Returns false when the drafted inputs can't be served (the generator tries others).
using DrawFn = bool (*)(Choices&, Draft&);
using EvalFn = Status (*)(KernelContext&);
// y = min(max(x, lo), hi); neither is NaN.
struct Bounds {
  double lo, hi;
};
// The bounds by which a node's output 0 is its input 0, when that is all it does. `inputs`: null where not constant.
using BoundsFn = std::optional<Bounds> (*)(const Node&, const std::vector<const Tensor*>& inputs);

struct OpSpec {
  std::string name;
  int since = 1;
  std::string domain;
  std::vector<Formal> inputs, outputs;
  std::vector<AttrSpec> attrs;
  RuleFn rule = nullptr;
  EvalFn eval = nullptr;
  DrawFn draw = nullptr;
  BoundsFn bounds = nullptr;
  uint32_t traits = 0;
  Accuracy accuracy = Accuracy::kRounding;
  double out_lo = -1e30, out_hi = 1e30;  // bounds of output 0, whatever the inputs
  std::string left_out;                  // why the generator leaves the row out (kNotGenerated)
  std::vector<std::string> examples;  // graphs in text form; run by the contract test

  // Builder calls, chained in the row files.
  OpSpec& In(std::string n, std::string type, DTypeSet types, Arity arity = Arity::kSingle, bool homogeneous = true);
  OpSpec& Out(std::string n, std::string type, DTypeSet types, Arity arity = Arity::kSingle);
  OpSpec& Parameter(const std::string& input);  // marks an input declared before (see Formal::parameter)
  OpSpec& StaysFloat(const std::string& input);  // see Formal::stays_float
  OpSpec& Attr(AttrSpec a);
  OpSpec& Int(std::string n, int64_t otherwise, AttrDomain d = {});
  OpSpec& Float(std::string n, float otherwise, AttrDomain d = {});
  OpSpec& String(std::string n, std::string otherwise, AttrDomain d = {});
  OpSpec& Ints(std::string n, AttrDomain d = {});                  // optional, no default
  OpSpec& Rule(RuleFn f);
  OpSpec& Eval(EvalFn f);
  OpSpec& Draw(DrawFn f);
  OpSpec& BoundedBy(BoundsFn f);
  OpSpec& Traits(uint32_t t);
  OpSpec& Class(Accuracy a);
  OpSpec& Safe(double lo, double hi);    // of input 0
  OpSpec& Safe(const std::string& input, SafeValues floats, std::optional<SafeValues> others = {});
  OpSpec& Gives(double lo, double hi);   // out_lo, out_hi
  OpSpec& LeftOut(std::string why);      // kNotGenerated, with a reason
  OpSpec& Example(std::string text);
  // Another version of the same row: a copy with `since`; Types() then replaces the set of a type name.
  OpSpec Since(int version) const;
  OpSpec& Types(const std::string& type, DTypeSet types);

  bool Has(uint32_t trait) const { return (traits & trait) != 0; }
  bool Generated() const { return eval != nullptr && !Has(kNotGenerated) && !Has(kNondeterministic); }
  // Has an input a domain that computed values may leave?
  bool HasDomain() const;
  const AttrSpec* FindAttr(std::string_view n) const {
    for (const AttrSpec& a : attrs) {
      if (a.name == n) return &a;
    }
    return nullptr;
  }
  int MinInputs() const;   // index of the last required input + 1
  int MaxInputs() const;   // INT_MAX when variadic
  int MinOutputs() const;
  int MaxOutputs() const;
  // Variadic formals repeat.
  const Formal& InputAt(int i) const { return At(inputs, i); }
  const Formal& OutputAt(int i) const { return At(outputs, i); }

 private:
  static const Formal& At(const std::vector<Formal>& formals, int i) {
    CHECK(!formals.empty());
    return formals[std::min<size_t>(static_cast<size_t>(i), formals.size() - 1)];
  }
};

OpSpec Op(std::string name, int since, std::string domain = "");

// All rows of the table, ordered by (domain, name, since).
const std::vector<OpSpec>& AllOps();
// The row in force for an operator at an opset; nullptr when there is none.
const OpSpec* FindOp(const std::string& domain, const std::string& name, int opset);
// Is the operator known at any version?
bool KnownOp(const std::string& domain, const std::string& name);

}  // namespace assay
