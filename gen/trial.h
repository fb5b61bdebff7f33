// Trial: one node of a graph in the making, run on the samples of what it reads and judged: finite,
// of a sane size, alive, well-conditioned. It runs in its own types on the first sample and in
// double on all, plus once or twice on moved inputs where rounding could matter; the cheapest
// checks come first, so that most refusals cost one run.
//
// Thread rule: a trial belongs to one thread.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "gen/values.h"
#include "interp/exec.h"

namespace assay {

struct GenValue;

inline constexpr int kSamples = 2;  // input sets on which every node is evaluated

// What evaluated intermediates have to satisfy.
struct ValueLimits {
  double max_abs = 1e4;
  double min_abs =
      1e-2;  // of the largest element: smaller values hide every fault behind the tolerance
  bool perturb = true;  // refuse discontinuities that rounding could flip
};

// What a node's outputs may be although they tell little about the node.
struct Leniency {
  bool empty = false;  // an extent of 0
  bool dull = false;   // constant, tiny, or the same for all samples
  bool large = false;  // beyond ValueLimits::max_abs
};

class Trial {
 public:
  // `inputs`: ids among `values`, -1: absent. All outlive the trial.
  Trial(const std::vector<GenValue>& values, const OpSpec& spec, const Node& node,
        const std::vector<int>& inputs, int opset, const ValueLimits& limits,
        const Leniency& allow = {});

  // What its rule would say: the outputs' types, which depend on no input's value.
  void KnowTypes(const std::vector<TypeInfo>& types) { types_ = types; }
  // Runs and judges the node; false when it is refused.
  bool Run();
  // Does some input depend on the values of the graph's inputs?
  bool varies() const { return varies_; }
  // The samples of output `i`, after Run.
  std::array<Sample, kSamples>& output(size_t i) { return out_[i]; }
  double largest() const { return largest_; }
  std::vector<TypeInfo> TakeTypes() { return std::move(types_); }
  uint32_t values_read() const { return read_; }

 private:
  using Tensors = std::vector<Tensor>;
  using Args = std::vector<const Tensor*>;

  // One evaluation in double.
  Result<Tensors> Evaluate(const Args& args) const;
  bool RunNative();
  bool RunDouble(int sample);
  bool Wanted(size_t output) const { return !node_.outputs[output].empty(); }
  bool Alive(size_t output, const Tensor& t, const Stats& stats) const;
  bool Stable() const;
  bool Tame() const;
  bool EveryOperandCounts() const;
  bool Counts(size_t input) const;
  // Does sample `sample` stay (nearly) the same when the inputs move by what rounding could
  // explain?
  bool Steadfast(int sample, bool flip, bool move_exact) const;

  const std::vector<GenValue>& values_;
  const OpSpec& spec_;
  const Node& node_;
  const std::vector<int>& inputs_;
  int opset_;
  const ValueLimits& limits_;
  const Leniency allow_;
  double largest_ = 0;       // magnitude in the first sample's outputs
  bool varies_ = false;      // some input does
  bool floats_ = false;      // some input or output is computed with
  bool takes_over_ = false;  // exact numbers come through as they are: native and double agree
  bool all_exact_ = false;   // double is the type of every float: native and double are the same
  uint32_t read_ = 0;        // inputs whose values decide the outputs' types
  bool retype_ = false;      // the outputs' types depend on values that differ between runs
  std::vector<TypeInfo> types_;
  std::vector<std::array<Sample, kSamples>> out_;
};

}  // namespace assay
