// GraphBuilder: a graph in the making. Every value carries concrete samples (values.h), and a node
// is accepted only after a Trial (trial.h) has evaluated it on them: finite, of a sane size, alive,
// well-conditioned.
//
// Values are ids; names are made once, when a value is made. In a long graph old values retire:
// they stay in the graph and can't be read any more, so that time and memory a node do not grow
// with the graph. Thread rule: one builder, one thread.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "gen/trial.h"
#include "gen/values.h"

namespace assay {

struct Capability;  // gen/capability.h

struct GenValue {
  enum class Kind : uint8_t { kInput, kConstant, kNode };
  Kind kind = Kind::kInput;
  std::string name;
  DType dtype = DType::kUndefined;
  int uses = 0;
  int producer = -1;         // index of the node
  int first_reader = -1;     // the least index of a node that reads it
  bool exact = true;         // every correct runtime computes these very bits
  bool varies = true;        // depends on the graph inputs' values
  double largest = 0;        // magnitude, in the first sample
  bool exposed = false;      // a graph output although it is read
  bool hidden = false;       // no graph output although nobody reads it: dead code
  bool overridable = false;  // a constant that is the default of a graph input
  bool retired = false;      // has no samples any more, but for what the finished model needs
  Range range;
  // The first in its own type and in double, the others in double alone.
  std::array<Sample, kSamples> samples;
  Shape retired_shape;

  const Shape& shape() const { return retired ? retired_shape : samples[0].native.shape(); }
  int rank() const { return static_cast<int>(shape().size()); }
  TypeInfo type() const { return TypeInfo::Of(dtype, shape()); }
};

struct GenNode {
  std::shared_ptr<Node> node;
  const OpSpec* spec = nullptr;
  std::vector<int> inputs, outputs;  // value ids; -1: absent; captured values behind the inputs
  Leniency allow;
  // Of the outputs, and which inputs' values they depend on (exec.h); empty in a long graph.
  std::vector<TypeInfo> types;
  uint32_t values_read = 0;
};

class GraphBuilder {
 public:
  // Up to this many nodes, ExposeIdle sees to it that all inputs and weights count.
  static constexpr size_t kMostFollowed = 40;

  GraphBuilder(int opset, const ValueLimits& limits) : opset_(opset), limits_(limits) {
    values_.reserve(2 * kMostFollowed);
    nodes_.reserve(kMostFollowed);
  }

  // From here on, nodes that `capability` does not support are refused. It outlives the builder.
  void LimitTo(const Capability* capability) { capability_ = capability; }

  int opset() const { return opset_; }
  const std::vector<GenValue>& values() const { return values_; }
  const GenValue& value(int id) const { return values_[id]; }
  const std::vector<GenNode>& nodes() const { return nodes_; }
  int inputs() const { return static_cast<int>(input_ids_.size()); }
  // Graph inputs, those that Replace has made useless included.
  const std::vector<int>& input_ids() const { return input_ids_; }
  // Values that depend on the graph's inputs and have not retired, ascending.
  const std::vector<int>& live() const { return live_; }

  int AddInput(Choices& choices, DType dtype, const Shape& shape);
  int AddConstant(Tensor t);
  // Evaluates and appends a node; `attrs` and the number of outputs are those of `node`, names are
  // given here. `types`: of the outputs, where the rule is known to hold whatever the inputs'
  // values are. The id of its first output, or -1 when it was refused (nothing has changed then).
  int AddNode(const OpSpec& spec, Node node, const std::vector<int>& inputs,
              const Leniency& allow = {}, const std::vector<TypeInfo>* types = nullptr);
  // Flags of a value (GenValue).
  void Expose(int id) { values_[id].exposed = true; }
  void Hide(int id) { values_[id].hidden = true; }
  void Override(int id) { values_[id].overridable = true; }

  // Undo: everything added since the mark goes. No value has retired in between.
  struct Mark {
    size_t values, nodes;
  };
  Mark Here() const { return {values_.size(), nodes_.size()}; }
  void Rollback(Mark mark);

  // The graph input `id` becomes what value `by` is (same type, made of other inputs and constants
  // alone): its readers read `by`, and everything downstream is evaluated again. False, and
  // unchanged, when that is refused, or when what is downstream is too much or has retired.
  bool Replace(int id, int by);

  // Might Replace do that, by what does not depend on `id`?
  bool Replaceable(int id) const;

  // Retires old values until at most `most` are live; those that were read already go first.
  void Retire(size_t most);

  // Makes graph outputs of the last values that show a change of an input or a weight which no
  // output shows. Longer graphs than kMostFollowed stay as they are.
  void ExposeIdle();

  // The finished model: unread values are outputs, nodes are in topological order.
  Model Finish() const;
  // The first sample of the graph's inputs and outputs.
  std::vector<Tensor> InputSample() const;
  std::vector<Tensor> OutputSample() const;

 private:
  // Ids of what the bodies of `node` read; false when one is not there.
  bool AddCaptures(const Node& node, std::vector<int>* inputs) const;
  void Describe(const OpSpec& spec, const Node& node, const std::vector<int>& inputs, int output,
                GenValue* v) const;
  int Append(GenValue v);
  void NoteRead(int id, int node);
  void RetireValue(int id);
  bool Downstream(int id, int by, std::vector<int>* nodes) const;
  void Redirect(GenNode* node, int id, int by);
  bool Redo(int node);
  std::vector<int> Order(int first = 0) const;  // of the nodes from `first` on
  std::vector<int> OutputIds() const;
  std::vector<bool> SurelySeen(const std::vector<int>& order) const;
  // Does an output or a value that is surely seen change, or is there none, when this leaf does? If
  // not: the last value that does.
  bool Noticed(int leaf, int way, const std::vector<int>& order, const std::vector<bool>& seen,
               int* last) const;

  int opset_;
  ValueLimits limits_;
  const Capability* capability_ = nullptr;
  std::vector<GenValue> values_;
  std::vector<GenNode> nodes_;
  std::vector<int> input_ids_, live_;
  int oldest_constant_ = 0;  // constants before it have retired
};

}  // namespace assay
