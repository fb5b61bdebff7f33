// Affine forms: what a source computes between two places that are not affine a channel.
//
// A converter merges a contraction (Conv, Gemm, ...) with the Mul, Add, Div, Sub,
// BatchNormalization around it, and such nodes with each other. Every prefix of such a chain is a
// form: y = S*x + T, x the contraction's product or, where the chain starts elsewhere, any value; S
// and T one number a channel. Forms are what folded constants of a target are compared with
// (snap.h).
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "interp/field.h"
#include "oracle/noise.h"
#include "oracle/prepared.h"
#include "oracle/weights.h"

namespace assay {

// S and T by channel; vectors of one element hold for all channels.
template <class T>
struct Affine {
  std::vector<T> s, t;
  bool defined() const { return !s.empty(); }
};

struct Form {
  int node = -1;             // that the form ends with; -1: none yet (y = x)
  int parent = -1;           // form that the node extends
  int constant_input = 1;    // of an extending Add, Sub, Mul, Div
  int contraction = -1;      // node of the contraction at the start
  int weight_input = 1;      // of the contraction
  int pre = -1;              // form of what feeds the contraction, merged into its weights too
  bool pre_repeats = false;  // channel c of `pre` is that of c / (channels / its size), as behind a
                             // Flatten; else modulo
  // Counted errors in units of RoundingUnit: of S relative, of T relative to `magnitude`.
  double scale_error = 0, shift_error = 0;
  int steps = 0;  // roundings that each weight can have gone through, one after the other
  bool folded() const { return steps > 0 || parent >= 0 || pre >= 0; }
  // In double. `magnitude`: what the terms of T sum up to without their signs, by channel.
  Affine<double> real;
  std::vector<double> magnitude;
};

// Constants and forms of a source. Immutable once made; FieldMemo belongs to one context.
class Forms {
 public:
  explicit Forms(std::shared_ptr<const Prepared> source);

  const Prepared& source() const { return *source_; }
  // The first is y = x.
  const std::vector<Form>& all() const { return forms_; }
  // Constant values that nodes compute and others than constant nodes read.
  const std::vector<int>& computed() const { return computed_; }
  // BatchNormalization nodes with constant parameters.
  const std::vector<int>& normalizations() const { return normalizations_; }

  // A constant value in double or natively; undefined when it can't be computed.
  Tensor Real(int value) const;
  // By element, what rounding on the way may move a computed constant by, measured; empty where it
  // can't be computed.
  std::vector<double> Spread(int value) const;
  // How many nodes compute it, those that only move elements not counted.
  int Depth(int value) const;
  // Weights of a form's contraction in double or natively, and how they lie.
  struct Weights {
    Tensor values;
    WeightView view;
    bool defined() const { return values.defined(); }
  };
  Weights WeightsOf(const Form& form) const;
  // Index of the merged factor of `pre` for weight (n, k); `size` is the number of its channels.
  static int64_t PreIndex(const Form& form, const WeightView& view, size_t size, int64_t n,
                          int64_t k);

  struct FieldMemo {
    std::unordered_map<int, Tensor> constants;
    std::unordered_map<int, Affine<Fp>> forms;
  };
  // The same under the context bound to this thread.
  Result<Tensor> Constant(int value, FieldMemo& memo) const;
  Result<Affine<Fp>> InField(int form, FieldMemo& memo) const;

 private:
  void Collect();
  void Visit(int node);
  void Extend(int node, int data_input, int constant_input);
  void AddContraction(int node, int data_input, int weight_input);
  int Add(Form form);
  // `noise`: moves what each node computes.
  Result<Tensor> Evaluate(int value, Store store, std::unordered_map<int, Tensor>* memo,
                          Noise* noise = nullptr) const;
  template <class T>
  std::vector<T> Channels(const Tensor& t) const;
  template <class T, class Get>
  Affine<T> Step(const Form& form, const Affine<T>& parent, const Affine<T>& pre,
                 Get&& constant) const;
  void Measure(Form* form) const;

  std::shared_ptr<const Prepared> source_;
  std::vector<Form> forms_;
  std::vector<std::vector<int>> of_value_;  // forms that end at a value
  std::vector<int> computed_, normalizations_;
  std::unordered_map<int, Tensor> real_;  // computed constants in double
};

}  // namespace assay
