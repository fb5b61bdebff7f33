// What the entries of the pool are worth: in the field of the bound context, and in double for
// repairs.
#include "interp/kernels.h"
#include "oracle/snap_internal.h"

namespace assay {
namespace {

constexpr Limits kNoLimits{.elements = INT64_MAX, .bytes = INT64_MAX};

template <class T>
std::vector<T> Numbers(const Tensor& t) {
  std::vector<T> v(static_cast<size_t>(t.size()));
  for (int64_t i = 0; i < t.size(); ++i) {
    if constexpr (kIsFp<T>)
      v[i] = t.store() == Store::kField ? t.data<Fp>()[i] : Fp(t.AsDouble(i));
    else
      v[i] = t.AsDouble(i);
  }
  return v;
}

}  // namespace

Result<std::vector<Fp>> SnapPool::Impl::VectorInField(const SnapEntry& e, Cache& cache) const {
  auto zip = [](const std::vector<Fp>& a, const std::vector<Fp>& b) {
    std::vector<Fp> y(std::max(a.size(), b.size()));
    for (size_t i = 0; i < y.size(); ++i)
      y[i] = a[a.size() == 1 ? 0 : i] / b[b.size() == 1 ? 0 : i];
    return y;
  };
  switch (e.kind) {
    case EntryKind::kScale:
      return TRY(forms->InField(e.ref, cache.memo)).s;
    case EntryKind::kShift:
      return TRY(forms->InField(e.ref, cache.memo)).t;
    case EntryKind::kInverse: {
      Affine<Fp> y = TRY(forms->InField(e.ref, cache.memo));
      return zip({Fp(1)}, y.s);
    }
    case EntryKind::kShiftBefore: {
      Affine<Fp> y = TRY(forms->InField(e.ref, cache.memo));
      return zip(y.t, y.s);
    }
    case EntryKind::kRoot:
    case EntryKind::kInverseRoot: {
      const PreparedNode& pn = source->nodes[e.ref];
      std::vector<Fp> root = Numbers<Fp>(TRY(forms->Constant(pn.inputs[4], cache.memo)));
      Fp epsilon(static_cast<double>(pn.node->Float("epsilon", 1e-5f)));
      for (Fp& v : root) v = ScalarSqrt(v + epsilon);
      return e.kind == EntryKind::kRoot ? root : zip({Fp(1)}, root);
    }
    case EntryKind::kComputed:
      return Numbers<Fp>(TRY(forms->Constant(e.ref, cache.memo)));
    case EntryKind::kLiteral:
      return Numbers<Fp>(source->Initial(e.ref));
    case EntryKind::kWeights:
      break;
  }
  return Invalid("weights are no vector");
}

namespace {

// Fetches entries of a pool as numbers of one kind: double, or the field of the bound context.
template <class T>
class Values {
 public:
  Values(const SnapPool::Impl& pool, SnapPool::Cache* cache) : pool_(pool), cache_(cache) {}

  Result<Affine<T>> OfForm(int f) {
    if constexpr (kIsFp<T>)
      return pool_.forms->InField(f, cache_->memo);
    else
      return pool_.forms->all()[f].real;
  }
  Result<std::vector<T>> OfVector(int e) {
    const SnapEntry& entry = pool_.entries[e];
    if constexpr (kIsFp<T>) {
      auto it = cache_->vectors.find(e);
      if (it != cache_->vectors.end()) return it->second;
      std::vector<T> v = TRY(pool_.VectorInField(entry, *cache_));
      return cache_->vectors.emplace(e, std::move(v)).first->second;
    } else {
      return entry.kind == EntryKind::kLiteral ? Numbers<T>(pool_.source->Initial(entry.ref))
                                               : entry.value;
    }
  }
  // Weights of an entry, element (n, k) on demand.
  struct Scaled {
    Forms::Weights w;
    const Form* form;
    Affine<T> own, pre;
    T At(int64_t n, int64_t k) const {
      int64_t at = w.view.Offset(n, k);
      T x = own.s[own.s.size() == 1 ? 0 : n];
      if constexpr (kIsFp<T>)
        x = x * (w.values.store() == Store::kField ? w.values.data<Fp>()[at]
                                                   : Fp(w.values.AsDouble(at)));
      else
        x = x * w.values.AsDouble(at);
      if (pre.defined())
        x = x * pre.s[pre.s.size() == 1 ? 0 : Forms::PreIndex(*form, w.view, pre.s.size(), n, k)];
      return x;
    }
  };
  Result<Scaled> OfWeights(int e) {
    Scaled y;
    y.form = &pool_.forms->all()[pool_.entries[e].ref];
    y.w = pool_.forms->WeightsOf(*y.form);
    if (!y.w.defined()) return Invalid("folded weights have no value");
    int value = pool_.source->nodes[y.form->contraction].inputs[y.form->weight_input];
    if constexpr (kIsFp<T>) {
      // Computed weights have a field value of their own.
      if (pool_.source->initializer[value] < 0)
        y.w.values = TRY(pool_.forms->Constant(value, cache_->memo));
    }
    y.own = TRY(OfForm(pool_.entries[e].ref));
    if (y.form->pre >= 0) y.pre = TRY(OfForm(y.form->pre));
    return y;
  }

  Status Fill(const SnapPool::Match& m, const Tensor& like, T* y) {
    if (m.solved) return FillSolved(*m.solved, y, like.size());
    if (m.pieces) return FillPieces(*m.pieces, like, y);
    if (pool_.entries[m.entry].kind == EntryKind::kWeights) {
      Scaled w = TRY(OfWeights(m.entry));
      for (int64_t n = 0; n < m.view.n; ++n) {
        for (int64_t k = 0; k < m.view.k; ++k) y[m.view.Offset(n, k)] = w.At(n, k);
      }
      return {};
    }
    std::vector<T> v = TRY(OfVector(m.entry));
    for (int64_t i = 0; i < like.size(); ++i)
      y[i] = m.negated ? -v[v.size() == 1 ? 0 : i] : v[v.size() == 1 ? 0 : i];
    return {};
  }

 private:
  // scale / sqrt(variance + epsilon) is the form's S; bias - mean * S its T.
  Status FillSolved(const SnapPool::Match::Solved& s, T* y, int64_t size) {
    Affine<T> form = TRY(OfForm(s.form));
    for (int64_t i = 0; i < size; ++i) {
      T scale = form.s[form.s.size() == 1 ? 0 : i], shift = form.t[form.t.size() == 1 ? 0 : i];
      if (s.shift)
        y[i] = shift + T(s.mean.AsDouble(i)) * scale;
      else
        y[i] = scale * ScalarSqrt(T(s.variance.AsDouble(i)) + T(s.epsilon));
    }
    return {};
  }
  Status FillPieces(const SnapPool::Match::Pieces& p, const Tensor& like, T* y) {
    std::unordered_map<int, Scaled> weights;
    std::unordered_map<int, std::vector<T>> vectors;
    for (int64_t i = 0; i < like.size(); ++i) {
      int e = p.entry[i];
      if (e < 0) {
        y[i] = T(like.AsDouble(i));
      } else if (pool_.entries[e].kind == EntryKind::kWeights) {
        auto it = weights.find(e);
        if (it == weights.end()) it = weights.emplace(e, TRY(OfWeights(e))).first;
        int64_t k = it->second.w.view.k;
        y[i] = it->second.At(p.index[i] / k, p.index[i] % k);
      } else {
        auto it = vectors.find(e);
        if (it == vectors.end()) it = vectors.emplace(e, TRY(OfVector(e))).first;
        y[i] = it->second[p.index[i]];
      }
    }
    return {};
  }

  const SnapPool::Impl& pool_;
  SnapPool::Cache* cache_;
};

}  // namespace

Result<Tensor> SnapPool::FieldValue(const Match& match, const Tensor& like, Cache& cache) const {
  Tensor out = TRY(Tensor::Make(like.dtype(), like.shape(), Store::kField, kNoLimits));
  TRY(Values<Fp>(*impl_, &cache).Fill(match, like, out.mutable_data<Fp>()));
  return out;
}

Result<Tensor> SnapPool::Rounded(const Match& match, const Tensor& like) const {
  std::vector<double> real(static_cast<size_t>(like.size()));
  TRY(Values<double>(*impl_, nullptr).Fill(match, like, real.data()));
  Tensor out = TRY(Tensor::Make(like.dtype(), like.shape(), Store::kNative, kNoLimits));
  for (int64_t i = 0; i < out.size(); ++i) out.Set(i, real[i]);
  return out;
}

}  // namespace assay
