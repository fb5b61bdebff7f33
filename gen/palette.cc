#include "gen/palette.h"

#include <algorithm>

namespace assay {

void Palette::List::Add(const Row* row, double weight) {
  rows.push_back(row);
  weights.push_back(weight);
  upto.push_back((upto.empty() ? 0 : upto.back()) + weight);
}

void Palette::Add(const Row& row, double weight) { all_.Add(&row, weight); }

const Palette::List& Palette::Readers(DType dtype, int rank) {
  size_t type = static_cast<size_t>(dtype);
  if (type >= kTypes || rank < 0 || rank > kMaxRank) return none_;
  std::unique_ptr<List>& list = readers_[type * kRanks + static_cast<size_t>(rank)];
  if (list) return *list;
  list = std::make_unique<List>();
  for (size_t i = 0; i < all_.rows.size(); ++i) {
    const Row* row = all_.rows[i];
    if (row->Takes(dtype) && row->TakesRank(rank)) list->Add(row, all_.weights[i]);
  }
  return *list;
}

const Palette::List& Palette::Makers(DType dtype) {
  size_t type = static_cast<size_t>(dtype);
  if (type >= kTypes) return none_;
  std::unique_ptr<List>& list = makers_[type];
  if (list) return *list;
  list = std::make_unique<List>();
  for (size_t i = 0; i < all_.rows.size(); ++i) {
    const Row* row = all_.rows[i];
    // A draw callback goes from inputs to outputs alone.
    bool makes = !row->spec->draw && Contains(row->spec->OutputAt(0).types, dtype);
    if (makes) list->Add(row, all_.weights[i]);
  }
  return *list;
}

const Row* Palette::Draw(Choices& choices, const List& list) {
  if (list.rows.empty()) return nullptr;
  double at = choices.Uniform() * list.upto.back();
  auto it = std::upper_bound(list.upto.begin(), list.upto.end(), at);
  return list.rows[std::min<size_t>(it - list.upto.begin(), list.rows.size() - 1)];
}

}  // namespace assay
