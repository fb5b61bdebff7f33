// Palette: the rows that models of some options are made of, drawn by weight: any, those that can
// read a value of some type and rank, those that make some type.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "gen/catalog.h"
#include "interp/choices.h"

namespace assay {

class Palette {
 public:
  struct List {
    std::vector<const Row*> rows;
    std::vector<double> upto;  // the sum of the weights up to and with each row
    void Add(const Row* row, double weight);
    double weight(size_t i) const { return upto[i] - (i ? upto[i - 1] : 0); }
  };

  // The rows of an operator set, without those excluded, or those in `only` alone unless that is
  // empty. `even`: all weights are 1. `anything`: see GenOptions. Thread-safe; kept for the next
  // who asks for the same.
  static std::shared_ptr<const Palette> Of(int opset, const std::vector<std::string>& only,
                                           const std::vector<std::string>& exclude, bool even,
                                           bool anything = false);

  bool empty() const { return all_.rows.empty(); }
  const List& All() const { return all_; }
  // The row of that operator, by its name alone or behind its domain ("ai.onnx.ml.Scaler"); null
  // when there is none.
  const Row* Find(const std::string& name) const;
  const List& Readers(DType dtype, int rank) const;
  // Those of them that read another value too.
  const List& Joiners(DType dtype, int rank) const;
  // Rows whose first output can have that type and that a Planner can plan from it.
  const List& Makers(DType dtype) const;

  // Null when the list is empty.
  static const Row* Draw(Choices& choices, const List& list);

 private:
  static constexpr size_t kTypes = kDTypeCount, kRanks = kMaxRank + 1;
  void Add(const Row& row, double weight, double joins);
  const List& Of(const std::array<List, kTypes * kRanks>& lists, DType dtype, int rank) const;

  List all_, none_;
  std::array<List, kTypes * kRanks> readers_, joiners_;
  std::array<List, kTypes> makers_;
};

}  // namespace assay
