// Graph and Model: an ONNX model as a value. Nodes are shared and immutable; a pass is Graph -> Graph, a copy
// costs one pointer a node, and a diff compares pointers. What we do not interpret (doc strings, metadata,
// unknown fields) is kept as serialized bytes in `extra` members, so that load + save changes nothing.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "interp/dim.h"
#include "interp/tensor.h"

namespace assay {

struct Graph;
struct Function;

// One attribute of a node. `Opaque` holds a serialized onnx.AttributeProto of a kind not listed here.
struct Opaque {
  std::string bytes;
  bool operator==(const Opaque&) const = default;
};
using AttrValue = std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>,
                               std::vector<std::string>, Tensor, std::shared_ptr<const Graph>, Opaque>;
enum class AttrType : uint8_t { kInt, kFloat, kString, kInts, kFloats, kStrings, kTensor, kGraph, kOpaque };
inline AttrType TypeOf(const AttrValue& v) { return static_cast<AttrType>(v.index()); }

struct Attribute {
  std::string name;
  AttrValue value;
  std::string extra;  // serialized remainder of the AttributeProto (doc string, ...)
};

// A node; inputs and outputs are value names, "" where an optional one is absent.
struct Node {
  std::string name;
  std::string op;
  std::string domain;  // "" is ai.onnx
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<Attribute> attrs;  // in file order
  std::string extra;             // serialized remainder of the NodeProto

  const AttrValue* Find(std::string_view attr) const {  // nullptr when absent
    for (const Attribute& a : attrs) {
      if (a.name == attr) return &a.value;
    }
    return nullptr;
  }
  int64_t Int(std::string_view attr, int64_t otherwise) const;
  float Float(std::string_view attr, float otherwise) const;
  std::string String(std::string_view attr, std::string_view otherwise) const;
  std::vector<int64_t> Ints(std::string_view attr) const;  // empty when absent
  void Set(const std::string& attr, AttrValue value);        // replaces or appends
  void Erase(std::string_view attr);
  bool HasInput(size_t i) const { return i < inputs.size() && !inputs[i].empty(); }
};
using NodePtr = std::shared_ptr<const Node>;

// A declared extent: a number, a symbol, or nothing known (value -1 and empty symbol).
struct DimDecl {
  int64_t value = -1;
  std::string symbol;
  bool operator==(const DimDecl&) const = default;
};

// Declared type of a graph input, output or inner value.
struct ValueInfo {
  std::string name;
  DType dtype = DType::kUndefined;             // kUndefined: not a tensor, or not said; then see `extra`
  std::optional<std::vector<DimDecl>> shape;   // absent: unknown rank
  std::string extra;                           // serialized remainder of the ValueInfoProto

  static ValueInfo Of(std::string name, DType dtype, const Shape& shape);
  bool Static() const;          // every extent is a number
  Shape StaticShape() const;    // requires Static()
};

struct Initializer {
  std::string name;
  Tensor value;
  std::string extra;  // serialized remainder of the TensorProto
};

struct Graph {
  std::string name;
  std::vector<NodePtr> nodes;                     // any order; Sorted() gives a topological one
  std::vector<ValueInfo> inputs;                  // may name initializers (IR < 4): those are defaults
  std::vector<ValueInfo> outputs;
  std::vector<ValueInfo> value_info;
  std::vector<Initializer> initializers;
  std::string extra;                              // serialized remainder of the GraphProto

  const Initializer* FindInitializer(const std::string& value) const;
  const ValueInfo* FindInput(const std::string& value) const;
  // Inputs that must be fed: those that no initializer defaults.
  std::vector<ValueInfo> RequiredInputs() const;
  // Index of the node that makes each value / the nodes that read it (subgraph captures included).
  std::unordered_map<std::string, int> Producers() const;
  std::unordered_map<std::string, std::vector<int>> Consumers() const;
  std::set<std::string> AllNames() const;         // every value name in use
  bool IsOutput(const std::string& value) const;

  // Editing helpers, all on a copy the caller owns.
  void SetInitializer(const std::string& value, Tensor tensor);  // replaces or appends
  // Every reader of `from` (nodes and, when `outputs_too`, graph outputs) reads `to` instead.
  void RedirectReaders(const std::string& from, const std::string& to, bool outputs_too = false);
  // Drops nodes whose outputs nobody reads, then unused initializers and stale value_info.
  void RemoveDead();
};

// Values read by a node, those captured by its subgraphs included.
std::vector<std::string> ReadBy(const Node& node);

// What a node is evaluated on: its inputs ("" where absent), then each value that its subgraphs capture, once.
std::vector<std::string> OperandsOf(const Node& node);

// Nodes in a topological order (stable: the file order where it is one). Errors: a cycle, a value that nobody
// makes, two makers of one value.
Result<std::vector<NodePtr>> Sorted(const Graph& graph);

struct Model {
  Graph graph;
  std::map<std::string, int> opsets;  // domain ("" is ai.onnx) -> version
  int64_t ir_version = 8;
  std::string producer;               // producer_name
  std::map<std::string, std::string> metadata;
  // Model-local functions (interp/functions.h); null: none. Read alone: saving writes what `extra` keeps of them.
  std::shared_ptr<const std::vector<Function>> functions;
  std::string extra;                  // serialized remainder of the ModelProto (functions, training info, ...)

  int Opset(const std::string& domain = "") const;  // 0 when not imported
};

// A fresh node; attributes as a list.
NodePtr MakeNode(std::string op, std::vector<std::string> inputs, std::vector<std::string> outputs,
                 std::vector<Attribute> attrs = {}, std::string name = "", std::string domain = "");

bool SameAttr(const AttrValue& a, const AttrValue& b);

}  // namespace assay
