// Shape and type rules: one function per operator row, two readers. With known extents a rule checks a node
// and infers its outputs; with unknown ones (intervals) the same rule says which requirements can still hold,
// and the generator's solver searches over it.
//
// A rule never returns early: the first requirement that is false wins and sticks, later ones are ignored.
// Ranks and element types are known before a rule runs; InferNode (infer.h) checks arity, element types and
// attribute types against the row first, so a rule may rely on them.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "interp/dim.h"
#include "interp/graph.h"

namespace assay {

struct OpSpec;

// The elements of a floating-point or integer tensor as real numbers. False when one has none: a residue that
// is neither a known constant nor a small fraction (see FieldContext::Real).
bool RealsOf(const Tensor& t, std::vector<double>* out);

// What is known of a value without running the graph.
struct TypeInfo {
  DType dtype = DType::kUndefined;
  bool ranked = false;
  std::vector<Dim> dims;
  std::vector<DType> of;  // of a list: what its items are (Tensor::List)

  static TypeInfo Of(const Tensor& t);
  static TypeInfo Of(DType dtype, const Shape& shape);
  static TypeInfo Of(DType dtype, std::vector<Dim> dims);
  static TypeInfo ListOf(DType kind, std::vector<DType> of);  // how many items it has is not known
  bool Static() const;      // ranked, every extent known
  Shape StaticShape() const;
  std::string ToString() const;
};

// What a subgraph gives for inputs of these types; what it captures is known to whoever made this.
using BodyTypes = std::function<Result<std::vector<TypeInfo>>(const Graph&, const std::vector<TypeInfo>&)>;

// Integer attributes that the solver is still to find, each a list of intervals (one for a plain integer). A node
// has few, so this is a list and not a map.
class UnknownAttrs {
 public:
  using Entry = std::pair<std::string, std::vector<Dim>>;
  std::vector<Dim>& operator[](std::string_view name);  // appended when absent
  const std::vector<Dim>* Find(std::string_view name) const {
    for (const Entry& e : entries_) {
      if (e.first == name) return &e.second;
    }
    return nullptr;
  }
  void erase(std::string_view name);
  void clear() { entries_.clear(); }
  bool empty() const { return entries_.empty(); }
  auto begin() { return entries_.begin(); }
  auto end() { return entries_.end(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

 private:
  std::vector<Entry> entries_;
};

// A list attribute as a rule reads it: intervals while it is solved, the node's numbers, or one number for each entry.
// It refers to the node, or to what is known of its attributes.
class IntList {
 public:
  IntList(size_t count, int64_t otherwise) : size_(count), otherwise_(otherwise) {}
  explicit IntList(const std::vector<Dim>& dims) : dims_(dims.data()), size_(dims.size()) {}
  explicit IntList(const std::vector<int64_t>& ints) : ints_(ints.data()), size_(ints.size()) {}
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  Dim operator[](size_t i) const { return dims_ ? dims_[i] : Dim(ints_ ? ints_[i] : otherwise_); }

 private:
  const Dim* dims_ = nullptr;
  const int64_t* ints_ = nullptr;
  size_t size_;
  int64_t otherwise_ = 0;
};

class RuleContext {
 public:
  // `inputs[i]` / `values[i]` may be null (absent or unknown). `values[i]`: the tensor when it is known. Both
  // outlive the context.
  RuleContext(const OpSpec& spec, const Node& node, std::span<const TypeInfo* const> inputs,
              std::span<const Tensor* const> values);

  const Node& node() const { return node_; }
  const OpSpec& spec() const { return spec_; }
  int inputs() const { return static_cast<int>(inputs_.size()); }
  int outputs() const { return static_cast<int>(node_.outputs.size()); }
  bool Has(int i) const { return i < inputs() && inputs_[i] != nullptr; }
  bool WantsOutput(int i) const { return i < outputs() && !node_.outputs[i].empty(); }
  DType dtype(int i) const { return inputs_[i]->dtype; }
  const TypeInfo& type(int i) const { return *inputs_[i]; }
  bool Ranked(int i) const { return inputs_[i]->ranked; }
  int Rank(int i) const { return static_cast<int>(inputs_[i]->dims.size()); }
  const std::vector<Dim>& Dims(int i) const { return inputs_[i]->dims; }
  // Extent of an axis; undefined when out of range.
  Dim In(int i, int axis) const {
    return Has(i) && axis >= 0 && axis < Rank(i) ? inputs_[i]->dims[axis] : Dim::Undefined();
  }
  // The elements of input i when its value is known.
  const Tensor* Value(int i) const {
    if (i >= 32) read_ = ~uint32_t{0};
    else read_ |= uint32_t{1} << i;
    return i < static_cast<int>(values_.size()) ? values_[i] : nullptr;
  }
  // Bit i: the rule has asked for the value of input i; its answer holds for those values only.
  uint32_t values_read() const { return read_; }
  bool KnownInts(int i, std::vector<int64_t>* out) const;
  bool KnownReals(int i, std::vector<double>* out) const;

  // Attributes, with the row's defaults; unknown ones are intervals while solving.
  bool HasAttr(std::string_view name) const;
  Dim Int(std::string_view name) const;
  int64_t IntValue(std::string_view name) const;   // known ints only (axis, keepdims, ...)
  IntList List(std::string_view name) const;  // empty when absent and without default
  std::vector<Dim> Ints(std::string_view name) const;
  // List with one entry a spatial axis: the attribute, or `count` times `otherwise` when absent; a wrong
  // length violates the rule.
  IntList IntsOr(std::string_view name, size_t count, int64_t otherwise);
  float Float(std::string_view name) const;
  std::string String(std::string_view name) const;

  // `axis` in [-rank, rank) made non-negative; out of range violates the rule and gives 0.
  int Axis(int64_t axis, int rank, const char* label = "axis is within the rank");

  void Require(Truth t, const char* label) {
    if (failed_ || t == Truth::kTrue) return;
    if (t == Truth::kMaybe) {
      maybe_ = true;
      return;
    }
    failed_ = true;
    label_ = label;
  }
  void Require(bool b, const char* label) { Require(Known(b), label); }
  bool failed() const { return failed_; }
  bool maybe() const { return maybe_; }              // some requirement is not decided yet
  std::string failure() const { return detail_.empty() ? label_ : detail_; }
  Code code() const { return code_; }                // of the failure

  // The outputs of the subgraph in a graph attribute. An error in it violates the rule; then, and where bodies are
  // not known (`BodyTypes` not given), the result is empty.
  std::vector<TypeInfo> Body(std::string_view attr, const std::vector<TypeInfo>& inputs);
  void Bodies(const BodyTypes* bodies) { bodies_ = bodies; }

  void Out(int i, DType dtype, std::vector<Dim> dims);
  void Out(int i, TypeInfo type) { result_[i] = std::move(type); }
  void OutUnranked(int i, DType dtype);
  const std::vector<TypeInfo>& result() const { return result_; }
  std::vector<TypeInfo>& result() { return result_; }

  // Solver overlay: what is known of unknown integer attributes.
  void Overlay(const UnknownAttrs* overlay) { overlay_ = overlay; }
  // Forgets the last run of the rule, so that it can run again on changed intervals.
  void Restart();
  // While solving, a rule may also refuse what is valid but what implementations disagree on.
  bool solving() const { return overlay_ != nullptr; }

 private:
  const OpSpec& spec_;
  const Node& node_;
  std::span<const TypeInfo* const> inputs_;
  std::span<const Tensor* const> values_;
  const UnknownAttrs* overlay_ = nullptr;
  const BodyTypes* bodies_ = nullptr;
  std::vector<TypeInfo> result_;
  mutable uint32_t read_ = 0;
  bool failed_ = false, maybe_ = false;
  const char* label_ = "";  // of the requirement that failed
  std::string detail_;      // instead of the label, where there is more to say
  Code code_ = Code::kInvalid;
};

using RuleFn = void (*)(RuleContext&);

// Rules shared by families.
void SameAsInput0(RuleContext& c);        // one output, type and shape of input 0
void BroadcastAll(RuleContext& c);        // one output of input 0's element type, numpy broadcast of all inputs
void BroadcastToBool(RuleContext& c);
std::vector<Dim> BroadcastDims(RuleContext& c, const std::vector<Dim>& a, const std::vector<Dim>& b);

}  // namespace assay
