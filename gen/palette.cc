#include "gen/palette.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <tuple>

#include "interp/infer.h"

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

void Palette::Add(const Row& row, double weight) {
  all_.Add(&row, weight);
  for (size_t t = 0; t < kTypes; ++t) {
    DType dtype = static_cast<DType>(t);
    for (size_t r = 0; row.Takes(dtype) && r < kRanks; ++r) {
      if (row.TakesRank(static_cast<int>(r))) readers_[t * kRanks + r].Add(&row, weight);
    }
    // A draw callback goes from inputs to outputs alone.
    bool makes = !row.spec->draw && Contains(row.spec->OutputAt(0).types, dtype);
    if (makes) makers_[t].Add(&row, weight);
  }
}

namespace {
// For nodes of all operator sets to be alike, an operator that only some of them have comes there
// the more often.
double EvenWeight(const OpSpec& spec) {
  int with = 0, sets = kNewestOpset - kFirstGeneratedOpset + 1;
  for (int opset = kFirstGeneratedOpset; opset <= kNewestOpset; ++opset)
    with += GeneratedRow(spec.domain, spec.name, opset) != nullptr;
  // What has to fit together is refused more often, what few values can be read by is asked less
  // often by them; and guards, joins and motifs bring functions of floats anyway.
  const DTypeSet reads = spec.inputs[0].types;
  bool floats = Contains(reads & spec.outputs[0].types, DType::kFloat);
  double tries = spec.draw ? 1.7 : 1;
  if (!Contains(reads, DType::kFloat)) tries *= spec.draw ? 1.25 : 1.7;
  if (reads == Bit(DType::kString) || spec.Has(kOnRequest)) tries *= 1.5;
  if (floats && spec.Has(kElementwise)) tries *= 0.7;
  if (SaysTheSame(spec)) tries *= kSeldom;
  // What few sets have shares these with others of which the same is true.
  return tries * std::pow(sets / std::max(1, with), 1.25);
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
    if (wanted && !Listed(exclude, row.spec->name))
      palette->Add(row, even ? EvenWeight(*row.spec) : row.weight);
  }
  if (kept.size() >= kKept) kept.clear();
  return kept[key] = std::move(palette);
}

const Palette::List& Palette::Readers(DType dtype, int rank) const {
  size_t type = static_cast<size_t>(dtype);
  if (type >= kTypes || rank < 0 || rank > kMaxRank) return none_;
  return readers_[type * kRanks + static_cast<size_t>(rank)];
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
