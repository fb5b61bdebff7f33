// Constants that are put together from parts of folds: merged query, key and value projections,
// convolutions split by channels, permuted or padded channels. Each element is paired by number
// with an element of some entry: weights column by column, other constants one by one.
#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include "oracle/snap_internal.h"

namespace assay {
namespace {

constexpr int64_t kLongestVector = 1 << 16;
constexpr double kNear = 64;    // in units of rounding: what may be the same number at all
constexpr size_t kSamples = 5;  // of a column, that say which source columns it may be
constexpr size_t kHits = 64;    // of a sample
constexpr size_t kTried = 4;    // source columns compared in full with a target column

// The numbers of interest among very many others: float patterns without their last bits.
class Sieve {
 public:
  explicit Sieve(DType t)
      : shift_(t == DType::kFloat16    ? 19
               : t == DType::kBfloat16 ? 22
                                       : 7),
        filter_(kBits, false) {}
  void Add(double v, int id) {
    uint32_t key = Bits(v) >> shift_;
    ids_[key].push_back(id);
    filter_[Slot(key)] = true;
  }
  // Calls f(id) for each number that may be near v.
  template <class F>
  void Lookup(double v, F&& f) const {
    uint32_t bits = Bits(v), key = bits >> shift_, low = bits & ((1u << shift_) - 1),
             edge = 1u << (shift_ - 2);
    Probe(key, f);
    if (low < edge)
      Probe(key - 1, f);
    else if (low >= (1u << shift_) - edge)
      Probe(key + 1, f);
  }

 private:
  static constexpr size_t kBits = size_t{1} << 20;
  static uint32_t Bits(double v) { return std::bit_cast<uint32_t>(static_cast<float>(v)); }
  static size_t Slot(uint32_t key) { return (key * 0x9e3779b1u) >> 12; }
  template <class F>
  void Probe(uint32_t key, F&& f) const {
    if (!filter_[Slot(key)]) return;
    auto it = ids_.find(key);
    if (it == ids_.end()) return;
    for (int id : it->second) f(id);
  }
  int shift_;
  std::vector<bool> filter_;
  std::unordered_map<uint32_t, std::vector<int>> ids_;
};

// The weights of an entry in double.
struct EntryColumns {
  Forms::Weights w;
  const Form* form;
  const Form* pre;
  bool usable = false;

  EntryColumns(const Forms& forms, const SnapEntry& e)
      : form(&forms.all()[e.ref]), pre(form->pre >= 0 ? &forms.all()[form->pre] : nullptr) {
    w = forms.WeightsOf(*form);
    size_t s = form->real.s.size();
    usable = w.defined() && (s == 1 || static_cast<int64_t>(s) == w.view.n);
  }
  double At(int64_t n, int64_t k) const {
    const std::vector<double>& s = form->real.s;
    double v = w.values.AsDouble(w.view.Offset(n, k)) * s[s.size() == 1 ? 0 : n];
    if (pre)
      v *= pre->real.s[pre->real.s.size() == 1
                           ? 0
                           : Forms::PreIndex(*form, w.view, pre->real.s.size(), n, k)];
    return v;
  }
};

class WeightSearch {
 public:
  WeightSearch(const std::vector<SnapEntry>& entries, const Forms& forms, const Tensor& c,
               const WeightView& view)
      : entries_(entries),
        forms_(forms),
        c_(c),
        view_(view),
        unit_(RoundingUnit(c.dtype())),
        columns_(view.n),
        hits_(view.n) {}

  std::shared_ptr<SnapPool::Match::Pieces> Run() {
    Sample();
    for (int64_t n = 0; n < view_.n; ++n) Choose(n);
    Judge();
    auto pieces = std::make_shared<SnapPool::Match::Pieces>();
    pieces->entry.assign(static_cast<size_t>(c_.size()), -1);
    pieces->index.assign(static_cast<size_t>(c_.size()), 0);
    bool folded = false;
    for (int64_t n = 0; n < view_.n; ++n) {
      const Column& column = columns_[n];
      if (column.entry < 0) continue;
      const Form& form = forms_.all()[entries_[column.entry].ref];
      folded = folded || form.folded();
      for (const auto& [k, at] : column.pairs) {
        pieces->entry[view_.Offset(n, k)] = column.entry;
        pieces->index[view_.Offset(n, k)] = at;
      }
    }
    return folded ? pieces : nullptr;
  }

 private:
  struct Column {
    int entry = -1;
    std::vector<std::pair<int64_t, int64_t>> pairs;  // k of the target -> n * K + k of the entry
    std::vector<WeightPair> values;
  };
  struct Hit {
    int sample, entry;
    int64_t n;
  };

  double Got(int64_t n, int64_t k) const { return c_.AsDouble(view_.Offset(n, k)); }

  // Which source columns hold numbers of each target column.
  void Sample() {
    Sieve sieve(c_.dtype());
    std::vector<std::pair<int64_t, double>> samples;  // column, value
    for (int64_t n = 0; n < view_.n; ++n) {
      std::vector<double> values;
      for (int64_t k = 0; k < view_.k; ++k) {
        if (double v = Got(n, k); v != 0 && std::isfinite(v)) values.push_back(v);
      }
      size_t step = std::max<size_t>(1, values.size() / kSamples);
      for (size_t i = 0; i < values.size() && i / step < kSamples; i += step) {
        sieve.Add(values[i], static_cast<int>(samples.size()));
        samples.push_back({n, values[i]});
      }
    }
    std::vector<size_t> found(samples.size(), 0);
    for (size_t e = 0; e < entries_.size(); ++e) {
      if (entries_[e].kind != EntryKind::kWeights) continue;
      EntryColumns source(forms_, entries_[e]);
      if (!source.usable) continue;
      for (int64_t n = 0; n < source.w.view.n; ++n) {
        for (int64_t k = 0; k < source.w.view.k; ++k) {
          double v = source.At(n, k);
          sieve.Lookup(v, [&](int id) {
            if (std::fabs(samples[id].second - v) > kNear * unit_ * std::fabs(v) ||
                found[id]++ >= kHits)
              return;
            hits_[samples[id].first].push_back({id, static_cast<int>(e), n});
          });
        }
      }
    }
  }

  // The source column that agrees best with target column n.
  void Choose(int64_t n) {
    std::map<std::pair<int, int64_t>, std::vector<int>> votes;
    for (const Hit& h : hits_[n]) {
      std::vector<int>& samples = votes[{h.entry, h.n}];
      if (samples.empty() || samples.back() != h.sample) samples.push_back(h.sample);
    }
    std::vector<std::pair<int, std::pair<int, int64_t>>> ranked;
    for (auto& [column, samples] : votes) {
      std::sort(samples.begin(), samples.end());
      samples.erase(std::unique(samples.begin(), samples.end()), samples.end());
      ranked.push_back({-static_cast<int>(samples.size()), column});
    }
    std::sort(ranked.begin(), ranked.end());
    double best = 1e300;
    for (size_t i = 0; i < ranked.size() && i < kTried && ranked[i].first == ranked[0].first; ++i) {
      Column candidate;
      double off = Compare(n, ranked[i].second.first, ranked[i].second.second, &candidate);
      if (off < best) best = off, columns_[n] = std::move(candidate);
    }
  }

  // Pairs the numbers of target column n with those of a source column: by place where that fits,
  // otherwise each with the nearest. Their mean relative distance; 1e300 when one has no
  // counterpart.
  double Compare(int64_t n, int entry, int64_t source_n, Column* out) const {
    EntryColumns source(forms_, entries_[entry]);
    const int64_t width = source.w.view.k;
    std::vector<std::pair<double, int64_t>> sorted;
    for (int64_t k = 0; k < width; ++k) sorted.push_back({source.At(source_n, k), k});
    bool by_place = width == view_.k;
    for (int64_t k = 0; k < view_.k && by_place; ++k) {
      by_place =
          std::fabs(Got(n, k) - sorted[k].first) <= kNear * unit_ * std::fabs(sorted[k].first);
    }
    if (!by_place) std::sort(sorted.begin(), sorted.end());
    out->entry = entry;
    double sum = 0;
    for (int64_t k = 0; k < view_.k; ++k) {
      double got = Got(n, k);
      if (got == 0) continue;
      auto it = sorted.begin() + k;
      if (!by_place) {
        it = std::lower_bound(sorted.begin(), sorted.end(), std::pair<double, int64_t>{got, -1});
        if (it == sorted.end() ||
            (it != sorted.begin() && std::fabs((it - 1)->first - got) < std::fabs(it->first - got)))
          --it;
      }
      double off = std::fabs(it->first - got);
      if (!(off <= kNear * unit_ * std::fabs(got))) return 1e300;
      sum += off / std::fabs(got);
      out->pairs.push_back({k, source_n * width + it->second});
      out->values.push_back({got, it->first});
    }
    return out->pairs.empty() ? 1e300 : sum / static_cast<double>(out->pairs.size());
  }

  // Drops the columns whose distances no rounding explains.
  void Judge() {
    for (Column& column : columns_) {
      if (column.entry < 0) continue;
      const Form& form = forms_.all()[entries_[column.entry].ref];
      double error = form.scale_error + (form.pre >= 0 ? forms_.all()[form.pre].scale_error : 0);
      if (!FoldedColumn(column.values, c_.dtype(), (error + 0.5) * unit_, std::max(1, form.steps)))
        column = Column();
    }
  }

  const std::vector<SnapEntry>& entries_;
  const Forms& forms_;
  const Tensor& c_;
  const WeightView& view_;
  const double unit_;
  std::vector<Column> columns_;
  std::vector<std::vector<Hit>> hits_;
};

}  // namespace

SnapPool::Match SnapPool::Impl::WeightPieces(const Tensor& c, const WeightView& view) const {
  Match match;
  match.pieces = WeightSearch(entries, *forms, c, view).Run();
  return match;
}

// Does a constant of the source hold all its numbers, bit for bit? Then it is that one in another order: among the
// folds of a large source some are near any number by chance.
bool SnapPool::Impl::InOneLiteral(const Tensor& c) const {
  constexpr int64_t kFew = 16;  // that many may be found in a long literal by chance
  if (c.size() < kFew) return false;
  for (const SnapEntry& entry : entries) {
    if (entry.kind != EntryKind::kLiteral) continue;
    const Tensor& literal = source->Initial(entry.ref);
    if (literal.dtype() != c.dtype() || literal.size() < c.size() || literal.size() > kLongestVector) continue;
    std::vector<double> numbers(static_cast<size_t>(literal.size()));
    for (int64_t i = 0; i < literal.size(); ++i) numbers[i] = literal.AsDouble(i);
    if (std::find(numbers.begin(), numbers.end(), c.AsDouble(0)) == numbers.end()) continue;
    std::erase_if(numbers, [](double x) { return std::isnan(x); });
    std::sort(numbers.begin(), numbers.end());
    int64_t i = 0;
    while (i < c.size() && std::binary_search(numbers.begin(), numbers.end(), c.AsDouble(i))) ++i;
    if (i == c.size()) return true;
  }
  return false;
}

SnapPool::Match SnapPool::Impl::VectorPieces(const Tensor& c) const {
  if (c.size() > kLongestVector || InOneLiteral(c)) return {};
  std::vector<std::pair<double, int64_t>> sorted;
  for (int64_t i = 0; i < c.size(); ++i) {
    if (double v = c.AsDouble(i); v != 0 && std::isfinite(v)) sorted.push_back({v, i});
  }
  std::sort(sorted.begin(), sorted.end());
  struct Hit {
    int entry;
    int64_t index;
    double off;
  };
  std::vector<std::vector<Hit>> hits(static_cast<size_t>(c.size()));
  std::vector<int> votes(entries.size(), 0);
  const double unit = RoundingUnit(c.dtype());
  for (size_t e = 0; e < entries.size(); ++e) {
    const SnapEntry& entry = entries[e];
    for (size_t i = 0; i < entry.value.size(); ++i) {
      double v = entry.value[i], bound = entry.Bound(i, unit);
      auto it =
          std::lower_bound(sorted.begin(), sorted.end(), std::pair<double, int64_t>{v - bound, -1});
      for (; it != sorted.end() && it->first <= v + bound; ++it) {
        std::vector<Hit>& list = hits[it->second];
        if (list.empty() || list.back().entry != static_cast<int>(e)) ++votes[e];
        if (list.size() < kHits)
          list.push_back({static_cast<int>(e), static_cast<int64_t>(i), std::fabs(it->first - v)});
      }
    }
  }
  // An entry that explains many elements explains this one more likely than another does.
  auto pieces = std::make_shared<Match::Pieces>();
  bool any = false;
  for (const std::vector<Hit>& list : hits) {
    const Hit* best = nullptr;
    for (const Hit& h : list) {
      if (!best || votes[h.entry] > votes[best->entry] ||
          (votes[h.entry] == votes[best->entry] && h.off < best->off))
        best = &h;
    }
    pieces->entry.push_back(best ? best->entry : -1);
    pieces->index.push_back(best ? best->index : 0);
    any = any || best;
  }
  Match match;
  if (any) match.pieces = std::move(pieces);
  return match;
}

}  // namespace assay
