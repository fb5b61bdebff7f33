// Palette: the rows that one model is made of, drawn by weight: any, those that can read a value of
// some type and rank, those that make some type. Lists are gathered when first asked for.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "gen/catalog.h"
#include "interp/choices.h"

namespace assay {

class Palette {
 public:
  // Rows in the order in which they are added, the same for everybody who adds the same.
  void Add(const Row& row, double weight);
  bool empty() const { return all_.rows.empty(); }

  struct List {
    std::vector<const Row*> rows;
    std::vector<double> weights, upto;  // of each row; sums up to and with it
    void Add(const Row* row, double weight);
  };
  const List& All() const { return all_; }
  const List& Readers(DType dtype, int rank);
  // Rows whose first output can have that type and that a Planner can plan from it.
  const List& Makers(DType dtype);

  // Null when the list is empty.
  static const Row* Draw(Choices& choices, const List& list);

 private:
  static constexpr size_t kTypes = kDTypeCount, kRanks = kMaxRank + 1;
  List all_;
  List none_;
  std::array<std::unique_ptr<List>, kTypes * kRanks> readers_;
  std::array<std::unique_ptr<List>, kTypes> makers_;
};

}  // namespace assay
