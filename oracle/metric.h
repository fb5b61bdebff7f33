// Metric: how far two results may lie apart because of rounding, measured and not assumed.
//
// The source runs in double, and then again with every floating-point constant and every computed
// node output multiplied by (1 + noise * u), u the rounding unit of the element type. The spread of
// an output element over those runs, times a safety factor, plus a small floor, is its bound: the
// running error analysis of CESTAC and Monte Carlo arithmetic. Elements on a discontinuity (Cast to
// int, compare, ArgMax) so get a wide bound by themselves; integer outputs that change under the
// noise are masked, all others must be equal.
//
// Verifier and judge share this file and nothing else. Both compare runs in double: there a
// harmless rewrite differs by the rounding of folded constants alone, while a fault keeps its whole
// size.
//
// Cost: one run for the reference, none more when the results agree within the floor, 4 more when
// they do not, 16 more before a difference is reported (none of these 16 where the source can't jump
// and the difference is a thousand bounds). Asked for the same runs again, a yardstick remembers the
// last. A Yardstick may be used by several threads, a Reference by one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "interp/exec.h"
#include "oracle/noise.h"

namespace assay {

// The margin of what no rounding explains: another type or shape, a number against NaN, another
// integer.
inline constexpr double kBeyondMargin = 1e30;

// The comparison of one or several sets of outputs with their reference.
struct Comparison {
  double margin = 0;   // largest |difference| / bound; more than 1 is beyond rounding
  double max_abs = 0;  // largest |difference| of two finite numbers
  double relative_sum =
      0;  // sum of |difference| / |reference| over the elements with a reference not 0
  int64_t relative_count = 0;    // how many these are
  int64_t elements = 0;          // compared or masked
  int64_t masked = 0;            // elements that rounding alone may change by any amount
  bool type_mismatch = false;    // number, element type or shape of outputs
  bool finite_mismatch = false;  // NaN or Inf against a number (or against another Inf)
  std::string note;  // where the largest margin is: "output 0 'y'[3]: 1.5 against 1.7, bound 2e-07"

  bool beyond() const { return margin > 1; }
  // Mean absolute percentage error as a fraction (Lee et al. 2023, equation 1); 0 when nothing
  // counts.
  double mape() const {
    return relative_count ? relative_sum / static_cast<double>(relative_count) : 0;
  }
  // Takes in the comparison of another set of inputs.
  void Merge(const Comparison& other);
};

struct MetricOptions {
  uint64_t seed = 0x5eed;
  Limits limits;
  // The other side computes in the element types themselves (a real runtime), not in double: the
  // bound then counts the rounding of every operation of a reduction too.
  bool native = false;
  // No rounding unit counts as larger than this: the bound of a target must not grow with its types where the source
  // computes in finer ones.
  double coarsest_unit = 1;
  // Widen the bound by further runs where a difference is beyond it. Without, the margin means nothing;
  // what is left is the size of the differences.
  bool widen = true;
};

class Reference;

// What perturbed runs have shown of one set of inputs.
struct Spread {
  int runs = 0;
  std::vector<std::vector<double>> of;  // by output and element; empty before the first perturbed run
  std::vector<bool> open_shape;         // rounding alone changes the shape of the output
};
struct LastSpread {
  std::mutex mutex;
  uint64_t key = 0;  // of the inputs, the outputs and the options
  Spread spread;
};

// A source made ready to be measured.
class Yardstick {
 public:
  // Errors: those of Program::Compile.
  static Result<Yardstick> Of(const Model& source);
  const Program& program() const { return program_; }
  // Runs the source in double on `inputs` (in the order of RequiredInputs()). Errors: those of
  // Program::Run. The yardstick must outlive the reference.
  Result<Reference> Measure(const std::vector<Tensor>& inputs,
                            const MetricOptions& options = {}) const;

 private:
  friend class Reference;
  Program program_;
  // Values that are only shapes in the making: rounding them would change extents, which no
  // converter does.
  std::unordered_set<std::string> exact_;
  // The nodes that round nothing; windows; the operands of reductions that no noise has reached
  // before, by position; the nodes with floating-point attributes in file order; and whether any
  // may jump.
  std::unordered_set<const Node*> quiet_, windows_;
  std::unordered_map<const Node*, std::vector<size_t>> open_;
  std::vector<NodePtr> with_attributes_;
  bool may_jump_ = false;
  std::shared_ptr<LastSpread> last_;
};

class Reference {
 public:
  // Outputs of the source in double (integers, bools and strings natively).
  const std::vector<Tensor>& outputs() const { return outputs_; }
  // Compares outputs, in any store, with the reference. Widens the bound by further perturbed runs
  // while the difference is beyond it, so that a reported difference has stood 20 of them (or 4, see
  // above).
  Comparison Compare(const std::vector<Tensor>& others);
  // Is every element of them a finite number?
  bool finite() const;
  // Does `c` say something of inputs that were not asked for? NaN against a number does not where
  // the source has left the domain of an operator itself, or where the inputs are not `moderate`
  // and overflow: 0 * NaN is NaN, and the padding that another spelling skips is not.
  bool Tells(const Comparison& c, bool moderate) const {
    return !c.finite_mismatch || (moderate && finite());
  }
  // The bound of element i of output o as known now; infinity when masked.
  double Bound(size_t o, int64_t i) const;

 private:
  friend class Yardstick;
  Reference(const Yardstick* yardstick, std::vector<Tensor> inputs, const MetricOptions& options)
      : yardstick_(yardstick), inputs_(std::move(inputs)), options_(options) {}
  double Unit(DType t) const { return std::min(MetricUnit(t), options_.coarsest_unit); }
  void Widen(int runs, bool attributes);
  void PerturbedRun(uint64_t seed, bool attributes);
  void TakeSpread(const std::vector<Tensor>& outputs);
  Comparison CompareOnce(const std::vector<Tensor>& others) const;
  void CompareOutput(size_t o, const Tensor& other, Comparison* c) const;

  // Would no further run change what `c` says?
  bool Settled(const Comparison& c) const;
  uint64_t Key() const;

  const Yardstick* yardstick_;
  std::vector<Tensor> inputs_, outputs_;
  MetricOptions options_;
  Spread spread_;
  std::vector<double> scale_;     // largest finite magnitude of each output
};

// Runs `target` on the inputs of `reference` and compares. A target that does not run where the
// source did is a type mismatch. `inputs`: those that `reference` was measured on. `store`:
// kDouble, or kNative for a reference measured with MetricOptions::native.
Comparison CompareTarget(Reference& reference, const Program& target,
                         const std::vector<Tensor>& inputs, const Limits& limits = Limits{},
                         Store store = Store::kDouble);

// Is some value inside NaN or infinite, when the program runs in double? Where it is on large inputs, a jump behind it
// tells one spelling of a function from another: 1/(1 + exp(-x)) is 0 where a Sigmoid is a small number.
bool Overflows(const Program& program, const std::vector<Tensor>& inputs, const Limits& limits = Limits{});

}  // namespace assay
