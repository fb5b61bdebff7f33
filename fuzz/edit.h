// Editing: how a transform looks at a model (View), changes a copy of it (Edit), and becomes a row
// of its table (OnNodes, OnInputs, OnGraph).
//
// A row is two functions. `arguments` lists the arguments with which the transform applies to a
// node or input, reading a View; `edit` makes the change. Sites follow from the first, and `edit`
// runs only at a listed site, so it may rely on what `arguments` has established.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "interp/transform.h"

namespace assay {

// A subject with its wiring: who makes and who reads each value of the top-level graph. Cheap to
// build (one pass over the nodes); holds references, so it must not outlive the subject.
class View {
 public:
  explicit View(const Subject& subject);

  const Subject& subject() const { return subject_; }
  const Graph& graph() const { return subject_.model.graph; }
  int opset() const { return opset_; }
  int size() const { return static_cast<int>(graph().nodes.size()); }
  const Node& node(int i) const { return *graph().nodes[i]; }
  // Is node i this ai.onnx operator?
  bool Is(int i, const char* op) const;
  bool IsAny(int i, std::initializer_list<const char*> ops) const;

  int Maker(const std::string& value) const;  // node index; -1: input, initializer, unknown
  const std::vector<int>& Readers(
      const std::string& value) const;  // nodes, captures by subgraphs included
  // The node that reads the value when that is its only use (one input slot, no graph output); -1
  // otherwise.
  int OnlyReader(const std::string& value) const;
  bool IsOutput(const std::string& value) const;
  bool IsInput(const std::string& value) const;
  // Index of the node of that site name; -1 when there is none.
  int Find(const std::string& site_name) const;

  const TypeInfo* Type(const std::string& value) const { return subject_.Type(value); }
  DType ElementType(const std::string& value) const;             // kUndefined when unknown
  int Rank(const std::string& value) const;                      // -1 when unknown
  std::optional<Shape> Extents(const std::string& value) const;  // when all are known
  int64_t Extent(const std::string& value, int axis) const;      // -1 when unknown
  bool SameType(const std::string& a,
                const std::string& b) const;  // element type, rank and known equal extents
  // Value that no run can change: an initializer that is no graph input, a Constant node, a folded
  // value.
  const Tensor* Constant(const std::string& value) const;
  // Input k of node i as a constant; null when absent or not constant.
  const Tensor* ConstantInput(int i, size_t k) const;

 private:
  // What is known of one value; names are those of the subject.
  struct Value {
    int maker = -1;
    int uses = 0;  // node inputs, captures and graph outputs
    bool input = false, output = false;
    const Tensor* initializer = nullptr;
    std::vector<int> readers;
  };
  const Value* Lookup(std::string_view name) const;

  const Subject& subject_;
  int opset_;
  std::unordered_map<std::string_view, Value> values_;
  std::unordered_map<std::string_view, int> by_name_;  // named nodes
};

// Attributes in short.
inline Attribute Attr(std::string name, int64_t v) { return {std::move(name), v, {}}; }
inline Attribute Attr(std::string name, int v) { return {std::move(name), int64_t{v}, {}}; }
inline Attribute Attr(std::string name, float v) { return {std::move(name), v, {}}; }
inline Attribute Attr(std::string name, std::vector<int64_t> v) {
  return {std::move(name), std::move(v), {}};
}
inline Attribute Attr(std::string name, const char* v) {
  return {std::move(name), std::string(v), {}};
}
inline Attribute Attr(std::string name, std::string v) {
  return {std::move(name), std::move(v), {}};
}

// A copy of the viewed model while it is changed. Node indices stay those of the view until Done().
// Names of new values and nodes are "<site>__<transform>_<what>": they follow from the step alone.
class Edit {
 public:
  Edit(const View& view, std::string transform, std::string site_node);

  const View& view() const { return view_; }
  Model& model() { return model_; }
  Graph& graph() {
    return model_.graph;
  }  // its inputs, outputs and initializers; nodes only through this class

  std::string Fresh(const std::string& what);
  // A new initializer; returns its name.
  std::string Constant(const std::string& what, Tensor tensor);
  std::string Ints(const std::string& what, const std::vector<int64_t>& v) {
    return Constant(what, Tensor::Vector(v));
  }

  // Nodes added from now on stand before node i; i == size(): at the end.
  void At(int i) { cursor_ = i; }
  // Adds a node with one new output and returns the output's name.
  std::string Add(const std::string& what, std::string op, std::vector<std::string> inputs,
                  std::vector<Attribute> attrs = {});
  // Adds a node that makes existing names (of nodes that are removed in the same edit).
  void AddMaking(const std::string& what, std::vector<std::string> outputs, std::string op,
                 std::vector<std::string> inputs, std::vector<Attribute> attrs = {});

  Node Copy(int i) const { return view_.node(i); }
  void Put(int i, Node changed);
  void Remove(int i);
  // Input k of node i becomes `value`.
  void Reroute(int i, size_t k, const std::string& value);
  // Gives node i another constant at input k. Other readers of the old one keep it.
  void PutConstant(int i, size_t k, const std::string& what, Tensor tensor);
  // Readers of `value`, graph outputs included, read `instead`. The maker of `value` must be
  // removed as well.
  void Forward(const std::string& value, const std::string& instead);
  // Node i goes: readers of its first output read `instead`.
  void Bypass(int i, const std::string& instead);
  // Readers of `value`, graph outputs included, read the result of `with(value)`: nodes put right
  // behind it.
  void Behind(const std::string& value, const std::string& what,
              const std::function<void(const std::string& in, const std::string& out)>& with);

  // The edited model: sorted, and without what the edit left unread.
  Result<Model> Done();

 private:
  void Assemble();
  void ApplyForward(const std::string& value, const std::string& instead);
  void Sweep();

  const View& view_;
  Model model_;
  std::string transform_, site_;
  int cursor_ = 0;
  std::vector<NodePtr> current_;              // by view index; null: removed
  std::vector<std::vector<NodePtr>> before_;  // new nodes before index i
  std::vector<std::pair<std::string, std::string>> forwards_, renames_;
  std::vector<std::string> loose_;  // values that may have lost their last reader
  std::vector<std::string> fresh_;
};

Error DoesNotApply(const std::string& why = "the transform does not apply at this site");

// `arguments(view, i)`: the arguments with which the row applies to node i (or to graph input i);
// none: it doesn't.
using ArgumentsFn = std::function<std::vector<std::string>(const View&, int)>;
using EditFn = std::function<Status(Edit&, int, const std::string&)>;
// Completes a row by `sites` and `apply`. Sites are in node (input) order.
Transform OnNodes(Transform row, ArgumentsFn arguments, EditFn edit);
Transform OnInputs(Transform row, ArgumentsFn arguments, EditFn edit);
// One row with the sites of both; where both list a site the first one acts.
Transform Either(Transform first, Transform second);
// For whole-graph transforms: the site is "*"; `accepts` tells which other arguments `apply` takes
// (seeds).
Transform OnGraph(Transform row, std::function<std::vector<std::string>(const View&)> arguments,
                  std::function<Result<Model>(const View&, const std::string&)> edit);

// Small parsing for arguments: "a,b" -> fields; integers with failure.
std::vector<std::string> Fields(const std::string& text, char separator);
std::optional<int64_t> ParseInt(const std::string& text);
std::string Join(const std::vector<int64_t>& v);  // "0,2,1"
std::optional<std::vector<int64_t>> ParseInts(const std::string& text);

// Deterministic 64-bit hash of a text (FNV-1a, then Mix): noise that follows from a step.
uint64_t HashText(const std::string& text);

}  // namespace assay
