// What the files of the snapping share: the entries of the pool.
#pragma once

#include "oracle/snap.h"

namespace assay {

enum class EntryKind : uint8_t {
  kScale,        // S of a form
  kShift,        // T
  kInverse,      // 1 / S
  kShiftBefore,  // T / S: the shift where it is applied before the scale
  kRoot,         // sqrt(var + epsilon) of a BatchNormalization
  kInverseRoot,
  kComputed,  // a constant that nodes of the source compute
  kLiteral,   // a constant of the source itself, for values that the target computes
  kWeights,   // weights of a form's contraction, scaled: W * S * S of `pre`
};

struct SnapEntry {
  EntryKind kind;
  int ref;  // form, node or value
  // Of all but weights: the numbers, their bounds in units of RoundingUnit relative to `magnitude`,
  // or to the numbers themselves where it is empty, and what is allowed beside that.
  std::vector<double> value, magnitude, extra;
  double count = 0;
  double Bound(size_t i, double unit) const {
    double m = magnitude.empty()
                   ? std::abs(value[i])
                   : std::max(std::abs(value[i]), magnitude[magnitude.size() == 1 ? 0 : i]);
    return unit * count * m + (extra.empty() ? 0 : extra[i]);
  }
};

struct SnapPool::Impl {
  explicit Impl(std::shared_ptr<const Prepared> s);
  std::shared_ptr<const Prepared> source;
  std::unordered_map<uint64_t, int> contents;  // structure -> value
  // Filled by Collect.
  std::unique_ptr<const Forms> forms;
  std::vector<SnapEntry> entries;

  const Impl& Collected();
  void AddForm(int form);
  void AddVector(EntryKind kind, int ref, std::vector<double> value, double count,
                 std::vector<double> magnitude = {}, std::vector<double> extra = {});
  void AddComputed(int value);

  // Does `c` equal an entry as a whole? The largest |difference| / bound goes to *worst.
  bool VectorFits(const SnapEntry& e, const Tensor& c, bool negated, double* worst) const;
  bool WeightsFit(const SnapEntry& e, const Tensor& c, const WeightView& view, double* worst) const;
  // snap_pieces.cc: element by element.
  Match VectorPieces(const Tensor& c) const;
  bool InOneLiteral(const Tensor& c) const;
  Match WeightPieces(const Tensor& c, const WeightView& view) const;

  Result<std::vector<Fp>> VectorInField(const SnapEntry& e, Cache& cache) const;
};

struct SnapPool::Cache {
  Forms::FieldMemo memo;
  std::unordered_map<int, std::vector<Fp>> vectors;  // by entry
};

}  // namespace assay
