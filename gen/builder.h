// GraphBuilder: a graph in the making. Every value carries concrete samples (values.h), and a node
// is accepted only after it has been evaluated on all of them: finite, of a sane size, alive,
// well-conditioned.
//
// Values are ids; names are made once, when a value is made. Thread rule: one builder, one thread.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "gen/values.h"
#include "interp/exec.h"

namespace assay {

inline constexpr int kSamples = 2;  // input sets on which every node is evaluated

struct GenValue {
  enum class Kind : uint8_t { kInput, kConstant, kNode };
  Kind kind = Kind::kInput;
  std::string name;
  DType dtype = DType::kUndefined;
  int uses = 0;
  int producer = -1;   // index of the node
  bool exact = true;   // every correct runtime computes these very bits
  bool varies = true;  // depends on the graph inputs' values
  Range range;
  std::array<Sample, kSamples> samples;

  const Shape& shape() const { return samples[0].native.shape(); }
  int rank() const { return samples[0].native.rank(); }
  TypeInfo type() const { return TypeInfo::Of(samples[0].native); }
};

struct GenNode {
  std::shared_ptr<Node> node;
  const OpSpec* spec = nullptr;
  std::vector<int> inputs, outputs;  // value ids; -1: absent
};

// What evaluated intermediates have to satisfy.
struct ValueLimits {
  double max_abs = 1e4;
  double min_abs =
      1e-2;  // of the largest element: smaller values hide every fault behind the tolerance
  bool perturb = true;  // refuse discontinuities that rounding could flip
};

class GraphBuilder {
 public:
  GraphBuilder(int opset, const ValueLimits& limits) : opset_(opset), limits_(limits) {}

  int opset() const { return opset_; }
  const std::vector<GenValue>& values() const { return values_; }
  const GenValue& value(int id) const { return values_[id]; }
  const std::vector<GenNode>& nodes() const { return nodes_; }
  int inputs() const { return inputs_; }

  int AddInput(Choices& choices, DType dtype, const Shape& shape);
  int AddConstant(Tensor t);
  // Evaluates and appends a node; `attrs` and the number of outputs are those of `node`, names are
  // given here. The id of its first output, or -1 when it was refused (nothing has changed then).
  int AddNode(const OpSpec& spec, Node node, const std::vector<int>& inputs);

  // Undo: everything added since the mark goes.
  struct Mark {
    size_t values, nodes;
  };
  Mark Here() const { return {values_.size(), nodes_.size()}; }
  void Rollback(Mark mark);

  // The graph input `id` becomes what value `by` is (same type, made of other inputs and constants
  // alone): its readers read `by`, and everything downstream is evaluated again. False, and
  // unchanged, when that is refused.
  bool Replace(int id, int by);

  // The finished model: unread values are outputs, nodes are in topological order.
  Model Finish() const;
  std::vector<Tensor> InputSample(int sample) const;
  std::vector<Tensor> OutputSample(int sample) const;

 private:
  using Outputs = std::vector<std::array<Sample, kSamples>>;
  bool Evaluate(const OpSpec& spec, const Node& node, const std::vector<int>& inputs,
                Outputs* out) const;
  bool Accept(const OpSpec& spec, const Node& node, const std::vector<int>& inputs,
              const Outputs& out) const;
  bool AcceptOutput(const OpSpec& spec, const std::array<Sample, kSamples>& out, bool varies) const;
  bool Stable(const OpSpec& spec, const Node& node, const std::vector<int>& inputs,
              const Outputs& out) const;
  // Does sample `sample` stay (nearly) the same when the inputs move by what rounding could
  // explain?
  bool Steadfast(const OpSpec& spec, const Node& node, const std::vector<int>& inputs,
                 const Outputs& out, int sample, bool flip, bool move_exact) const;
  void Describe(const OpSpec& spec, const Node& node, const std::vector<int>& inputs, int output,
                GenValue* v) const;
  std::vector<int> Order() const;
  std::vector<int> OutputIds() const;
  std::vector<int> InputIds() const;

  int opset_;
  ValueLimits limits_;
  std::vector<GenValue> values_;
  std::vector<GenNode> nodes_;
  int inputs_ = 0;
};

}  // namespace assay
