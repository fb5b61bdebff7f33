#include "oracle/snap.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "interp/choices.h"
#include "oracle/snap_internal.h"

namespace assay {
namespace {

constexpr double kOwnRounding = 1;    // of the constant itself, beside those of the fold
constexpr int64_t kPieces = 1 << 24;  // larger constants are compared as a whole only
constexpr int kMostDepth = 12;        // of constant arithmetic, in counted roundings

std::vector<double> Numbers(const Tensor& t) {
  std::vector<double> v(static_cast<size_t>(t.size()));
  for (int64_t i = 0; i < t.size(); ++i) v[i] = t.AsDouble(i);
  return v;
}

bool Finite(const std::vector<double>& v) {
  return std::all_of(v.begin(), v.end(), [](double x) { return std::isfinite(x); });
}

uint64_t PiecesKey(const SnapPool::Match::Pieces& p) {
  uint64_t h = p.entry.size();
  for (size_t i = 0; i < p.entry.size(); ++i)
    h = Mix(h ^ Mix(static_cast<uint64_t>(p.entry[i]) ^ static_cast<uint64_t>(p.index[i]) << 24));
  return h;
}

}  // namespace

SnapPool::SnapPool(std::shared_ptr<const Prepared> source)
    : impl_(std::make_unique<Impl>(std::move(source))) {}
SnapPool::~SnapPool() = default;

SnapPool::Impl::Impl(std::shared_ptr<const Prepared> s) : source(std::move(s)) {
  for (size_t v = 0; v < source->names.size(); ++v) {
    if (source->structure[v]) contents.emplace(source->structure[v], static_cast<int>(v));
  }
}

bool SnapPool::IsSourceConstant(uint64_t structure) const {
  return impl_->contents.count(structure) > 0;
}
std::shared_ptr<SnapPool::Cache> SnapPool::NewCache() const { return std::make_shared<Cache>(); }

// ---- collecting
// ------------------------------------------------------------------------------------------------

void SnapPool::Impl::AddVector(EntryKind kind, int ref, std::vector<double> value, double count,
                               std::vector<double> magnitude, std::vector<double> extra) {
  if (value.empty() || !Finite(value)) return;
  entries.push_back({kind, ref, std::move(value), std::move(magnitude), std::move(extra), count});
}

void SnapPool::Impl::AddForm(int f) {
  const Form& form = forms->all()[f];
  const Affine<double>& y = form.real;
  bool scaled = std::any_of(y.s.begin(), y.s.end(), [](double s) { return s != 1; });
  bool shifted = std::any_of(y.t.begin(), y.t.end(), [](double t) { return t != 0; });
  // Unfolded numbers are literals: equal or not.
  double own = form.scale_error > 0 ? kOwnRounding : 0;
  if (shifted)
    AddVector(EntryKind::kShift, f, y.t, form.shift_error > 0 ? form.shift_error + kOwnRounding : 0,
              form.magnitude);
  if (form.parent >= 0 && scaled) {
    AddVector(EntryKind::kScale, f, y.s, form.scale_error + own);
    auto ratio = [&](const std::vector<double>& t) {
      std::vector<double> v(std::max(t.size(), y.s.size()));
      for (size_t i = 0; i < v.size(); ++i)
        v[i] = t[t.size() == 1 ? 0 : i] / y.s[y.s.size() == 1 ? 0 : i];
      return v;
    };
    AddVector(EntryKind::kInverse, f, ratio({1}), form.scale_error + 1 + kOwnRounding);
    if (shifted) {
      std::vector<double> magnitude = ratio(form.magnitude);
      for (double& m : magnitude) m = std::fabs(m);
      AddVector(EntryKind::kShiftBefore, f, ratio(y.t),
                form.shift_error + form.scale_error + 1 + kOwnRounding, magnitude);
    }
  }
  if (form.contraction >= 0) entries.push_back({EntryKind::kWeights, f, {}, {}, {}, 0});
}

void SnapPool::Impl::AddComputed(int value) {
  Tensor real = forms->Real(value);
  int depth = std::min(forms->Depth(value), kMostDepth);
  std::vector<double> numbers = Numbers(real);
  // What the operations themselves lose, where they cancel too.
  std::vector<double> extra;
  if (depth > 0) extra = forms->Spread(value);
  for (double& x : extra) x *= kSafety;
  if (!Finite(extra)) extra.clear();
  AddVector(EntryKind::kComputed, value, std::move(numbers), depth > 0 ? depth + kOwnRounding : 0,
            {}, std::move(extra));
}

const SnapPool::Impl& SnapPool::Impl::Collected() {
  if (forms) return *this;
  forms = std::make_unique<const Forms>(source);
  for (size_t f = 1; f < forms->all().size(); ++f) AddForm(static_cast<int>(f));
  for (int n : forms->normalizations()) {
    const PreparedNode& pn = source->nodes[n];
    std::vector<double> root = Numbers(forms->Real(pn.inputs[4])), inverse(root.size());
    for (size_t i = 0; i < root.size(); ++i) {
      root[i] = std::sqrt(root[i] + pn.node->Float("epsilon", 1e-5f));
      inverse[i] = 1 / root[i];
    }
    AddVector(EntryKind::kRoot, n, std::move(root), 2 + kOwnRounding);
    AddVector(EntryKind::kInverseRoot, n, std::move(inverse), 3 + kOwnRounding);
  }
  for (int v : forms->computed()) AddComputed(v);
  for (size_t v = 0; v < source->names.size(); ++v) {
    if (source->initializer[v] >= 0 && IsFloat(source->Initial(static_cast<int>(v)).dtype())) {
      entries.push_back({EntryKind::kLiteral, static_cast<int>(v), {}, {}, {}, 0});
    }
  }
  return *this;
}

// ---- finding
// ---------------------------------------------------------------------------------------------------

bool SnapPool::Impl::VectorFits(const SnapEntry& e, const Tensor& c, bool negated,
                                double* worst) const {
  if (e.value.empty() || (static_cast<int64_t>(e.value.size()) != c.size() && e.value.size() != 1))
    return false;
  double unit = RoundingUnit(c.dtype());
  *worst = 0;
  for (int64_t i = 0; i < c.size(); ++i) {
    size_t j = e.value.size() == 1 ? 0 : static_cast<size_t>(i);
    double got = c.AsDouble(i), off = std::fabs((negated ? -got : got) - e.value[j]);
    if (off == 0) continue;
    double bound = e.Bound(j, unit);
    if (!(off <= bound)) return false;
    *worst = std::max(*worst, off / bound);
  }
  return true;
}

// W' against W * S * S of `pre`, by columns.
bool SnapPool::Impl::WeightsFit(const SnapEntry& e, const Tensor& c, const WeightView& view,
                                double* worst) const {
  const Form& form = forms->all()[e.ref];
  Forms::Weights w = forms->WeightsOf(form);
  if (!w.defined() || w.view.n != view.n || w.view.k != view.k) return false;
  const std::vector<double>& s = form.real.s;
  if (s.size() != 1 && static_cast<int64_t>(s.size()) != view.n) return false;
  const Form* pre = form.pre >= 0 ? &forms->all()[form.pre] : nullptr;
  auto want = [&](int64_t n, int64_t k) {
    double v = w.values.AsDouble(w.view.Offset(n, k)) * s[s.size() == 1 ? 0 : n];
    if (pre)
      v *=
          pre->real
              .s[pre->real.s.size() == 1 ? 0
                                         : Forms::PreIndex(form, w.view, pre->real.s.size(), n, k)];
    return v;
  };
  const double u = RoundingUnit(c.dtype());
  constexpr double kFar = 64;
  for (int64_t n : {int64_t{0}, view.n - 1}) {
    double a = want(n, 0), b = c.AsDouble(view.Offset(n, 0));
    if (!(std::fabs(a - b) <= kFar * u * std::fabs(a) + 1e-36)) return false;
  }
  // The rounding of a factor of `pre` is common to all weights of its channel.
  std::vector<double> common;
  if (pre && pre->scale_error > 0 && c.size() <= kPieces) {
    std::vector<std::vector<double>> ratios(pre->real.s.size());
    for (int64_t n = 0; n < view.n; ++n) {
      for (int64_t k = 0; k < view.k; ++k) {
        double a = want(n, k);
        size_t at = ratios.size() == 1
                        ? 0
                        : static_cast<size_t>(Forms::PreIndex(form, w.view, ratios.size(), n, k));
        if (a != 0) ratios[at].push_back(c.AsDouble(view.Offset(n, k)) / a);
      }
    }
    for (std::vector<double>& r : ratios) {
      double q = 1;
      if (!r.empty()) {
        std::nth_element(r.begin(), r.begin() + r.size() / 2, r.end());
        q = r[r.size() / 2];
      }
      if (!(std::fabs(q - 1) <= (pre->scale_error + form.scale_error + kOwnRounding) * u))
        return false;
      common.push_back(q);
    }
  }
  double bound = (form.scale_error + (pre ? pre->scale_error : 0) + 0.5) * u;
  std::vector<WeightPair> column(static_cast<size_t>(view.k));
  *worst = 0;
  for (int64_t n = 0; n < view.n; ++n) {
    for (int64_t k = 0; k < view.k; ++k) {
      double v = want(n, k);
      if (!common.empty())
        v *= common[common.size() == 1 ? 0 : Forms::PreIndex(form, w.view, common.size(), n, k)];
      column[k] = {c.AsDouble(view.Offset(n, k)), v};
    }
    if (column[0].want != 0)
      *worst = std::max(*worst, std::fabs(column[0].got / column[0].want - 1) / bound);
    // A factor of `pre` was estimated from rounded weights.
    if (!FoldedColumn(column, c.dtype(), bound, std::max(1, form.steps), common.empty() ? 0 : 1))
      return false;
  }
  return true;
}

SnapPool::Match SnapPool::Find(const Tensor& c, const Node* reader, int input) const {
  Match best;
  if (!IsFloat(c.dtype()) || c.size() == 0) return best;
  const Impl& m = impl_->Collected();
  std::optional<WeightView> view;
  if (reader) view = ViewWeights(*reader, input, c.shape());
  double best_worst = 1e300;
  for (size_t e = 0; e < m.entries.size(); ++e) {
    const SnapEntry& entry = m.entries[e];
    double worst;
    auto consider = [&](bool negated) {
      if (worst >= best_worst) return;
      best_worst = worst;
      best.entry = static_cast<int>(e), best.negated = negated;
      if (entry.kind == EntryKind::kWeights) best.view = *view;
    };
    if (entry.kind == EntryKind::kWeights) {
      if (view && m.forms->all()[entry.ref].folded() && m.WeightsFit(entry, c, *view, &worst))
        consider(false);
      continue;
    }
    if (m.VectorFits(entry, c, false, &worst))
      consider(false);
    else if (m.VectorFits(entry, c, true, &worst))
      consider(true);
  }
  if (best.found())
    best.key = Mix(static_cast<uint64_t>(best.entry) * 2 + best.negated + 1);
  else if (c.size() > 1 && c.size() <= kPieces)
    best = view ? m.WeightPieces(c, *view) : m.VectorPieces(c);
  if (best.pieces) best.key = PiecesKey(*best.pieces);
  return best;
}

SnapPool::Match SnapPool::FindComputed(const Tensor& value, int depth) const {
  Match best;
  if (!IsFloat(value.dtype()) || value.size() == 0) return best;
  const Impl& m = impl_->Collected();
  double unit = RoundingUnit(value.dtype()), count = std::min(depth, kMostDepth) + kOwnRounding;
  for (size_t e = 0; e < m.entries.size(); ++e) {
    if (m.entries[e].kind != EntryKind::kLiteral) continue;
    const Tensor& literal = m.source->Initial(m.entries[e].ref);
    if (literal.size() != value.size()) continue;
    int64_t i = 0;
    while (i < value.size() && std::fabs(value.AsDouble(i) - literal.AsDouble(i)) <=
                                   count * unit * std::fabs(literal.AsDouble(i)))
      ++i;
    if (i < value.size()) continue;
    best.entry = static_cast<int>(e);
    best.key = Mix(static_cast<uint64_t>(e) * 2 + 1);
    return best;
  }
  return best;
}

std::pair<SnapPool::Match, SnapPool::Match> SnapPool::FindNormalization(const Tensor& scale,
                                                                        const Tensor& bias,
                                                                        const Tensor& mean,
                                                                        const Tensor& variance,
                                                                        double epsilon) const {
  const Impl& m = impl_->Collected();
  size_t n = static_cast<size_t>(scale.size());
  for (const Tensor* t : {&scale, &bias, &mean, &variance}) {
    if (!IsFloat(t->dtype()) || t->size() != scale.size() || n == 0) return {};
  }
  const double u = RoundingUnit(scale.dtype());
  auto at = [](const std::vector<double>& v, size_t i) { return v[v.size() == 1 ? 0 : i]; };
  for (size_t f = 1; f < m.forms->all().size(); ++f) {
    const Form& form = m.forms->all()[f];
    const Affine<double>& y = form.real;
    if ((y.s.size() != n && y.s.size() != 1) || (y.t.size() != n && y.t.size() != 1)) continue;
    bool fits = true;
    for (size_t i = 0; i < n && fits; ++i) {
      int64_t j = static_cast<int64_t>(i);
      double root = std::sqrt(variance.AsDouble(j) + epsilon), s = scale.AsDouble(j) / root;
      double moved = mean.AsDouble(j) * s, t = bias.AsDouble(j) - moved;
      // The target's own constants are rounded: its scale and bias once, its variance too.
      double magnitude = at(form.magnitude, i) + std::fabs(moved) + std::fabs(bias.AsDouble(j));
      fits = std::fabs(s - at(y.s, i)) <= (form.scale_error + 2) * u * std::fabs(s) &&
             std::fabs(t - at(y.t, i)) <= (form.shift_error + form.scale_error + 2) * u * magnitude;
    }
    if (!fits) continue;
    std::pair<Match, Match> both;
    both.first.solved = std::make_shared<Match::Solved>(
        Match::Solved{static_cast<int>(f), false, mean, variance, epsilon});
    both.second.solved = std::make_shared<Match::Solved>(
        Match::Solved{static_cast<int>(f), true, mean, variance, epsilon});
    uint64_t beside =
        Mix(mean.ContentHash() ^ Mix(variance.ContentHash() ^ std::bit_cast<uint64_t>(epsilon)));
    both.first.key = Mix(beside ^ f * 2);
    both.second.key = Mix(beside ^ (f * 2 + 1));
    return both;
  }
  return {};
}

std::vector<SnapPool::Match> SnapPool::Candidates(const Tensor& c, const Node* reader, int input,
                                                  size_t most) const {
  std::vector<std::pair<double, Match>> ranked;  // by distance relative to magnitude
  if (!IsFloat(c.dtype()) || c.size() == 0) return {};
  const Impl& m = impl_->Collected();
  double norm = 0;
  for (int64_t i = 0; i < c.size(); ++i) norm += std::fabs(c.AsDouble(i));
  auto consider = [&](size_t e, const WeightView& view) {
    Match match;
    match.entry = static_cast<int>(e);
    match.view = view;
    Result<Tensor> v = Rounded(match, c);
    if (!v.ok()) return;
    double distance = 0;
    for (int64_t i = 0; i < c.size(); ++i) distance += std::fabs(v->AsDouble(i) - c.AsDouble(i));
    ranked.push_back({distance / (norm + 1e-300), match});
  };
  std::optional<WeightView> view;
  if (reader) view = ViewWeights(*reader, input, c.shape());
  for (size_t e = 0; e < m.entries.size(); ++e) {
    const SnapEntry& entry = m.entries[e];
    if (entry.kind == EntryKind::kWeights) {
      const Form& form = m.forms->all()[entry.ref];
      if (!view || !form.folded()) continue;
      Forms::Weights w = m.forms->WeightsOf(form);
      if (w.defined() && w.view.n == view->n && w.view.k == view->k) consider(e, *view);
    } else if (!view && (entry.kind == EntryKind::kScale || entry.kind == EntryKind::kShift)) {
      if (static_cast<int64_t>(entry.value.size()) == c.size()) consider(e, {});
    }
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Match> out;
  for (size_t i = 0; i < ranked.size() && i < most; ++i) out.push_back(ranked[i].second);
  return out;
}

}  // namespace assay
