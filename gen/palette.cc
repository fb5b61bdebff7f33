#include "gen/palette.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>

#include "gen/even_weights.h"

namespace assay {
namespace {

constexpr size_t kKept = 64;  // palettes; whoever asks for more has them made anew

bool Listed(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

void Palette::List::Add(const Row* row, double weight) {
  rows.push_back(row);
  upto.push_back((upto.empty() ? 0 : upto.back()) + weight);
}

void Palette::Add(const Row& row, double weight, double joins) {
  all_.Add(&row, weight);
  for (size_t t = 0; t < kTypes; ++t) {
    DType dtype = static_cast<DType>(t);
    for (size_t r = 0; row.Takes(dtype) && r < kRanks; ++r) {
      if (!row.TakesRank(static_cast<int>(r))) continue;
      readers_[t * kRanks + r].Add(&row, weight);
      if (row.spec->MaxInputs() > 1) joiners_[t * kRanks + r].Add(&row, joins);
    }
    // A draw callback goes from inputs to outputs alone.
    bool makes = !row.spec->draw && Contains(row.spec->OutputAt(0).types, dtype);
    if (makes) makers_[t].Add(&row, weight);
  }
}

namespace {
// Two values that go together are found for few operators, which would be everywhere; for those
// that broadcast floats nearly always.
double EvenJoins(const OpSpec& spec) {
  const bool floats = Contains(spec.outputs[0].types, DType::kFloat);
  return spec.Has(kBroadcasts) && floats ? 0.33 : 1;
}
}  // namespace

std::shared_ptr<const Palette> Palette::Of(int opset, const std::vector<std::string>& only,
                                           const std::vector<std::string>& exclude, bool even,
                                           bool anything) {
  using Key = std::tuple<int, std::vector<std::string>, std::vector<std::string>, bool, bool>;
  static std::mutex mutex;
  static std::map<Key, std::shared_ptr<const Palette>> kept;
  const Catalog& catalog = Catalog::Of(opset, anything);
  std::lock_guard<std::mutex> lock(mutex);
  Key key(opset, only, exclude, even, anything);
  if (auto it = kept.find(key); it != kept.end()) return it->second;
  auto palette = std::make_shared<Palette>();
  for (const Row& row : catalog.rows()) {
    bool wanted = only.empty() || Listed(only, row.spec->name);
    if (row.spec->Has(kOnRequest) && !anything) continue;
    if (!wanted || Listed(exclude, row.spec->name)) continue;
    const OpSpec& spec = *row.spec;
    if (even)
      palette->Add(row, EvenWeight(spec.domain.empty() ? spec.name : spec.domain + "." + spec.name),
                   EvenJoins(spec));
    else
      palette->Add(row, row.weight, row.weight);
  }
  if (kept.size() >= kKept) kept.clear();
  return kept[key] = std::move(palette);
}

const Palette::List& Palette::Of(const std::array<List, kTypes * kRanks>& lists, DType dtype,
                                 int rank) const {
  size_t type = static_cast<size_t>(dtype);
  if (type >= kTypes || rank < 0 || rank > kMaxRank) return none_;
  return lists[type * kRanks + static_cast<size_t>(rank)];
}
const Palette::List& Palette::Readers(DType dtype, int rank) const {
  return Of(readers_, dtype, rank);
}
const Palette::List& Palette::Joiners(DType dtype, int rank) const {
  return Of(joiners_, dtype, rank);
}

const Palette::List& Palette::Makers(DType dtype) const {
  size_t type = static_cast<size_t>(dtype);
  return type < kTypes ? makers_[type] : none_;
}

const Row* Palette::Draw(Choices& choices, const List& list) {
  if (list.rows.empty()) return nullptr;
  double at = choices.Uniform() * list.upto.back();
  auto it = std::upper_bound(list.upto.begin(), list.upto.end(), at);
  return list.rows[std::min<size_t>(it - list.upto.begin(), list.rows.size() - 1)];
}

const Row* Palette::Find(const std::string& name) const {
  for (const Row* row : all_.rows) {
    const OpSpec& spec = *row->spec;
    bool qualified = !spec.domain.empty() && name.size() > spec.domain.size() &&
                     name.starts_with(spec.domain) && name[spec.domain.size()] == '.' &&
                     name.substr(spec.domain.size() + 1) == spec.name;
    if (spec.name == name || qualified) return row;
  }
  return nullptr;
}

}  // namespace assay
