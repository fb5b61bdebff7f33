// Einsum (ONNX opset 12): the sum, over all labels that the output lacks, of the product of the
// operands. Operands are contracted from left to right, each time as a batch of matrix products.
//
// Surprises: a label twice in one term takes the diagonal; an extent of 1 broadcasts.
#include "interp/draw.h"
#include "interp/ops/einsum_equation.h"
#include "interp/ops/elementwise.h"

namespace assay {
namespace {

constexpr int kLabels = EinsumEquation::kMaxLabels;

void Rule(RuleContext& c) {
  std::vector<int> ranks;
  for (int i = 0; i < c.inputs(); ++i) {
    if (!c.Ranked(i)) return c.OutUnranked(0, c.dtype(0));
    ranks.push_back(c.Rank(i));
  }
  EinsumEquation e = ParseEinsum(c.String("equation"), ranks);
  c.Require(e.error == nullptr, e.error ? e.error : "");
  if (c.failed()) return;
  std::vector<Dim> extents(kLabels, Dim(1));
  for (size_t i = 0; i < e.terms.size(); ++i) {
    std::vector<int> seen(kLabels, -1);
    for (size_t d = 0; d < e.terms[i].size(); ++d) {
      int l = e.terms[i][d];
      Dim here = c.In(static_cast<int>(i), static_cast<int>(d));
      if (seen[l] >= 0)
        c.Require(here == c.In(static_cast<int>(i), seen[l]), "axes of a diagonal have one extent");
      seen[l] = static_cast<int>(d);
      c.Require(extents[l] == here || extents[l] == Dim(1) || here == Dim(1),
                "axes of one label have one extent");
      Dim both = Broadcast(extents[l], here);
      extents[l] = both.defined() ? both : here;
    }
  }
  std::vector<Dim> y;
  for (int l : e.output) y.push_back(extents[l]);
  c.Out(0, c.dtype(0), std::move(y));
}

using Labels = std::vector<int>;
bool Holds(const Labels& labels, int l) {
  return std::find(labels.begin(), labels.end(), l) != labels.end();
}

// A tensor whose axes have labels; axes that broadcast are left out.
template <class M>
struct Operand {
  Labels labels;
  std::vector<M> data;  // row-major in the order of `labels`
};

template <class M>
class Contraction {
 public:
  Contraction(const KernelContext& c, const EinsumEquation& e)
      : c_(c), extents_(kLabels, 1), last_use_(kLabels, -1) {
    for (size_t i = 0; i < e.terms.size(); ++i) {
      for (size_t d = 0; d < e.terms[i].size(); ++d) {
        int l = e.terms[i][d];
        int64_t extent = c.in(static_cast<int>(i)).dim(static_cast<int>(d));
        if (extent != 1) extents_[l] = extent;
        last_use_[l] = static_cast<int>(i);
      }
    }
    for (int l : e.output) last_use_[l] = static_cast<int>(e.terms.size());
  }

  // Input i with its diagonals taken and everything summed that neither the output nor another
  // operand needs.
  template <class T>
  Result<Operand<M>> Load(const EinsumEquation& e, size_t i) const {
    const Tensor& t = c_.in(static_cast<int>(i));
    Shape strides = Strides(t.shape()), step(kLabels, 0);
    Labels kept, summed;
    for (size_t d = 0; d < e.terms[i].size(); ++d) {
      int l = e.terms[i][d];
      if (t.dim(static_cast<int>(d)) == 1) continue;
      step[l] += strides[d];
      if (Holds(kept, l) || Holds(summed, l)) continue;
      (last_use_[l] > static_cast<int>(i) || UsedBefore(e, l, i) ? kept : summed).push_back(l);
    }
    return Gather(t.data<T>(), step, kept, summed);
  }

  // The product of two operands, summed over the labels whose last use is operand `i`.
  Result<Operand<M>> Multiply(const Operand<M>& a, const Operand<M>& b, int i) const {
    Labels batch, left, right, summed;
    for (int l : a.labels) {
      if (!Holds(b.labels, l))
        left.push_back(l);
      else
        (last_use_[l] > i ? batch : summed).push_back(l);
    }
    for (int l : b.labels) {
      if (!Holds(a.labels, l)) right.push_back(l);
    }
    // A label of one side alone may end here too: it is summed before the product.
    Labels left_sum = TakeEnding(left, i), right_sum = TakeEnding(right, i);
    int64_t nb = Count(batch), m = Count(left), k = Count(summed), n = Count(right);
    TRY(c_.Charge({nb, m, k, n}));
    Operand<M> x = TRY(Gather(a.data.data(), StepsOf(a), Join({batch, left, summed}), left_sum));
    Operand<M> y = TRY(Gather(b.data.data(), StepsOf(b), Join({batch, summed, right}), right_sum));
    Operand<M> out{Join({batch, left, right}), {}};
    TRY(Allocate(out));
    for (int64_t j = 0; j < nb; ++j) {
      MatrixProduct(x.data.data() + j * m * k, y.data.data() + j * k * n,
                    out.data.data() + j * m * n, m, k, n);
    }
    return out;
  }

  // The axes of `a` in the order of the output; what the output has and `a` lacks has extent 1.
  Result<Operand<M>> Finish(const Operand<M>& a, const Labels& output) const {
    Labels order;
    for (int l : output) {
      if (Holds(a.labels, l)) order.push_back(l);
    }
    return Gather(a.data.data(), StepsOf(a), order, {});
  }

 private:
  bool UsedBefore(const EinsumEquation& e, int l, size_t i) const {
    for (size_t j = 0; j < i; ++j) {
      if (Holds(e.terms[j], l)) return true;
    }
    return false;
  }
  Labels TakeEnding(Labels& labels, int i) const {
    Labels ending;
    for (int l : labels) {
      if (last_use_[l] <= i) ending.push_back(l);
    }
    std::erase_if(labels, [&](int l) { return last_use_[l] <= i; });
    return ending;
  }
  static Labels Join(std::initializer_list<Labels> parts) {
    Labels all;
    for (const Labels& p : parts) all.insert(all.end(), p.begin(), p.end());
    return all;
  }
  int64_t Count(const Labels& labels) const {
    Shape s;
    for (int l : labels) s.push_back(extents_[l]);
    return ElementCount(s);
  }
  Shape StepsOf(const Operand<M>& a) const {
    Shape step(kLabels, 0);
    int64_t stride = 1;
    for (size_t d = a.labels.size(); d-- > 0; stride *= extents_[a.labels[d]])
      step[a.labels[d]] = stride;
    return step;
  }
  Status Allocate(Operand<M>& a) const {
    int64_t n = Count(a.labels);
    if (n < 0 || n > c_.limits().elements ||
        n > c_.limits().bytes / static_cast<int64_t>(sizeof(M))) {
      return LimitHit("an intermediate product is too large");
    }
    a.data.assign(static_cast<size_t>(n), M(0));
    return {};
  }

  // Copies elements `step[l]` apart along label l to the order of `kept`, summing over `summed`.
  template <class T>
  Result<Operand<M>> Gather(const T* from, const Shape& step, const Labels& kept,
                            const Labels& summed) const {
    Operand<M> out{kept, {}};
    TRY(Allocate(out));
    Labels all = Join({kept, summed});
    int64_t inner = Count(summed), at = 0;
    if (inner == 0) return out;
    Shape index(all.size(), 0);
    for (M& value : out.data) {
      Wide<M> sum = Wide<M>(0);
      for (int64_t i = 0; i < inner; ++i) {
        sum = WrapAdd(sum, static_cast<Wide<M>>(from[at]));
        for (size_t d = all.size(); d-- > 0;) {
          at += step[all[d]];
          if (++index[d] < extents_[all[d]]) break;
          at -= step[all[d]] * extents_[all[d]];
          index[d] = 0;
        }
      }
      value = static_cast<M>(sum);
    }
    return out;
  }

  const KernelContext& c_;
  std::vector<int64_t> extents_;
  std::vector<int> last_use_;  // the operand after which a label is not needed
};

// 8- and 16-bit integers are computed in 64 bits and cut off, which wraps around as their own
// products would.
template <class T>
using Computed = std::conditional_t<!std::is_integral_v<T> || sizeof(T) >= 4, T,
                                    std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>>;

template <class T>
Status Evaluate(const KernelContext& c, const EinsumEquation& e, Tensor* y) {
  using M = Computed<T>;
  Contraction<M> contraction(c, e);
  Operand<M> total = TRY(contraction.template Load<T>(e, 0));
  for (size_t i = 1; i < e.terms.size(); ++i) {
    Operand<M> next = TRY(contraction.template Load<T>(e, i));
    total = TRY(contraction.Multiply(total, next, static_cast<int>(i)));
  }
  total = TRY(contraction.Finish(total, e.output));
  T* out = y->mutable_data<T>();
  for (int64_t i = 0; i < y->size(); ++i) out[i] = static_cast<T>(total.data[i]);
  return {};
}

Status Eval(KernelContext& c) {
  std::vector<int> ranks;
  for (int i = 0; i < c.inputs(); ++i) ranks.push_back(c.in(i).rank());
  EinsumEquation e = ParseEinsum(c.String("equation"), ranks);
  Tensor* y = TRY(c.Out(0));
  if (y->size() == 0) return {};
  return VisitNumeric(c.in(0), [&](auto zero) { return Evaluate<decltype(zero)>(c, e, y); });
}

// One letter for each axis of input 0; further operands are constants that share some letters and
// bring one new.
bool Draw(Choices& choices, Draft& d) {
  if (!d.concrete(0)) return false;
  Shape x = d.shape(0);
  if (x.empty() || x.size() > 6) return false;
  std::string equation, letters;
  Shape extents;
  for (int64_t extent : x) {
    letters += static_cast<char>('a' + letters.size());
    extents.push_back(extent);
  }
  equation = letters;
  for (size_t i = 1; i < d.inputs.size(); ++i) {
    std::vector<size_t> term;
    for (size_t l = 0; l < letters.size(); ++l) {
      if (choices.Chance(0.4)) term.push_back(l);
    }
    letters += static_cast<char>('a' + letters.size());
    extents.push_back(choices.Between(1, 4));
    term.push_back(letters.size() - 1);
    choices.Shuffle(term);
    equation += ',';
    Shape shape;
    for (size_t l : term) {
      equation += letters[l];
      shape.push_back(extents[l]);
    }
    if (ElementCount(shape) > d.max_elements) return false;
    d.SetConstant(i, RandomConstant(choices, d.inputs[i].dtype, shape));
  }
  if (ElementCount(extents) < 0 || ElementCount(extents) > d.max_elements) return false;
  std::vector<char> output;
  for (char l : letters) {
    if (choices.Chance(0.7)) output.push_back(l);
  }
  choices.Shuffle(output);
  d.Set("equation", equation + "->" + std::string(output.begin(), output.end()));
  return true;
}

}  // namespace

std::vector<OpSpec> ops_einsum() {
  constexpr DTypeSet kNumbers = kFloats16 | kInts;
  OpSpec row =
      Op("Einsum", 12).In("Inputs", "T", kNumbers, Arity::kVariadic).Out("Output", "T", kNumbers);
  row.Attr({"equation", AttrType::kString, true, std::nullopt, {}});
  return {row.Rule(Rule).Eval(Eval).Draw(Draw).Class(Accuracy::kReduction)};
}

}  // namespace assay
