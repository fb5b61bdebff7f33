// Readers of fuzz/operands.h.
#include "fuzz/operands.h"

#include <algorithm>
#include <cmath>

namespace assay {

std::vector<double> Doubles(const Tensor& t) {
  std::vector<double> v(static_cast<size_t>(t.size()));
  for (int64_t i = 0; i < t.size(); ++i) v[i] = t.AsDouble(i);
  return v;
}
std::optional<Tensor> Rounded(DType dtype, Shape shape, const std::vector<double>& values) {
  Result<Tensor> t = Tensor::Make(dtype, std::move(shape));
  if (!t.ok() || t->size() != static_cast<int64_t>(values.size()) || !IsFloat(dtype))
    return std::nullopt;
  for (size_t i = 0; i < values.size(); ++i) {
    t->Set(static_cast<int64_t>(i), values[i]);
    if (!std::isfinite(t->AsDouble(static_cast<int64_t>(i)))) return std::nullopt;
  }
  return *t;
}
bool AllEqual(const Tensor& t, double value) {
  if (t.dtype() == DType::kString) return false;
  for (int64_t i = 0; i < t.size(); ++i) {
    if (t.AsDouble(i) != value) return false;
  }
  return true;
}
std::optional<double> ScalarOf(const Tensor* t) {
  if (!t || t->size() != 1 || t->dtype() == DType::kString) return std::nullopt;
  return t->AsDouble(0);
}
bool IsFloatTensor(const Tensor* t) { return t && IsFloat(t->dtype()); }

int64_t NormalizedAxis(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) return -1;
  return axis < 0 ? axis + rank : axis;
}
std::optional<std::vector<int64_t>> NormalizedAxes(std::vector<int64_t> axes, int rank) {
  for (int64_t& a : axes) {
    a = NormalizedAxis(a, rank);
    if (a < 0) return std::nullopt;
  }
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) return std::nullopt;
  return axes;
}

std::optional<std::vector<int64_t>> RawAxes(const View& view, int i) {
  const Node& n = view.node(i);
  if (n.HasInput(1)) {
    const Tensor* t = view.ConstantInput(i, 1);
    if (!t || !IsInt(t->dtype())) return std::nullopt;
    return t->AsInts();
  }
  return n.Ints("axes");
}

bool IsReduce(const View& view, int i) {
  return view.IsAny(
      i, {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
          "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"});
}
std::optional<ReducedAxes> ReductionOf(const View& view, int i) {
  if (!IsReduce(view, i)) return std::nullopt;
  const Node& n = view.node(i);
  int rank = view.Rank(n.inputs[0]);
  std::optional<std::vector<int64_t>> axes = RawAxes(view, i);
  if (rank < 0 || !axes) return std::nullopt;
  ReducedAxes r;
  r.keepdims = n.Int("keepdims", 1) != 0;
  r.noop = axes->empty() && n.Int("noop_with_empty_axes", 0) != 0;
  if (axes->empty() && !r.noop) {
    for (int a = 0; a < rank; ++a) axes->push_back(a);
  }
  axes = NormalizedAxes(*axes, rank);
  if (!axes) return std::nullopt;
  r.axes = *axes;
  return r;
}

std::optional<std::vector<int64_t>> PermOf(const View& view, int i) {
  if (!view.Is(i, "Transpose")) return std::nullopt;
  std::vector<int64_t> perm = view.node(i).Ints("perm");
  int rank = view.Rank(view.node(i).inputs[0]);
  if (rank < 0) return std::nullopt;
  if (perm.empty()) {
    for (int a = rank; a-- > 0;) perm.push_back(a);
  }
  std::optional<std::vector<int64_t>> sorted = NormalizedAxes(perm, rank);
  if (!sorted || static_cast<int>(perm.size()) != rank) return std::nullopt;
  for (int64_t& p : perm) p = NormalizedAxis(p, rank);
  return perm;
}
std::vector<int64_t> InversePerm(const std::vector<int64_t>& perm) {
  std::vector<int64_t> inverse(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) inverse[perm[i]] = static_cast<int64_t>(i);
  return inverse;
}
bool IsIdentityPerm(const std::vector<int64_t>& perm) {
  for (size_t i = 0; i < perm.size(); ++i) {
    if (perm[i] != static_cast<int64_t>(i)) return false;
  }
  return true;
}

namespace {

std::vector<int64_t> OrElse(std::vector<int64_t> v, size_t count, int64_t otherwise) {
  return v.empty() ? std::vector<int64_t>(count, otherwise) : v;
}

// auto_pad SAME_* of a Conv or pool: output = ceil(input / stride), the odd element at the end for
// SAME_UPPER.
bool ResolveSame(const View& view, int i, Window* w) {
  const std::string& x = view.node(i).inputs[0];
  int n = w->axes();
  for (int a = 0; a < n; ++a) {
    int64_t in = view.Extent(x, a + 2);
    if (in < 0) return false;
    int64_t out = (in + w->strides[a] - 1) / w->strides[a];
    int64_t reach = (w->kernel[a] - 1) * w->dilations[a] + 1;
    int64_t total = std::max<int64_t>((out - 1) * w->strides[a] + reach - in, 0);
    w->pads[a] = w->auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
    w->pads[a + n] = total - w->pads[a];
  }
  return true;
}

}  // namespace

std::optional<Window> WindowOf(const View& view, int i) {
  if (!view.IsAny(i, {"Conv", "ConvTranspose", "MaxPool", "AveragePool"})) return std::nullopt;
  const Node& n = view.node(i);
  int rank = view.Rank(n.inputs[0]);
  if (rank < 3) return std::nullopt;
  size_t axes = static_cast<size_t>(rank - 2);
  Window w;
  w.kernel = n.Ints("kernel_shape");
  if (w.kernel.empty() && n.HasInput(1)) {
    std::optional<Shape> weights = view.Extents(n.inputs[1]);
    if (weights && static_cast<int>(weights->size()) == rank)
      w.kernel.assign(weights->begin() + 2, weights->end());
  }
  w.strides = OrElse(n.Ints("strides"), axes, 1);
  w.dilations = OrElse(n.Ints("dilations"), axes, 1);
  w.pads = OrElse(n.Ints("pads"), 2 * axes, 0);
  w.auto_pad = n.String("auto_pad", "NOTSET");
  w.group = n.Int("group", 1);
  w.ceil = n.Int("ceil_mode", 0) != 0;
  if (w.kernel.size() != axes || w.strides.size() != axes || w.dilations.size() != axes ||
      w.pads.size() != 2 * axes) {
    return std::nullopt;
  }
  for (size_t a = 0; a < axes; ++a) {
    // Bounds that keep all later arithmetic far from overflow.
    for (int64_t v : {w.kernel[a], w.strides[a], w.dilations[a]}) {
      if (v < 1 || v > (1 << 20)) return std::nullopt;
    }
    for (int64_t v : {w.pads[a], w.pads[a + axes]}) {
      if (v < 0 || v > (1 << 20)) return std::nullopt;
    }
  }
  if (w.auto_pad == "VALID")
    w.pads.assign(2 * axes, 0);
  else if (w.auto_pad != "NOTSET" && (view.Is(i, "ConvTranspose") || !ResolveSame(view, i, &w)))
    return std::nullopt;
  return w;
}

void SetPads(Node* node, const std::vector<int64_t>& pads) {
  node->Erase("auto_pad");
  node->Set("pads", pads);
}

std::optional<PadOperands> PadOf(const View& view, int i) {
  if (!view.Is(i, "Pad")) return std::nullopt;
  const Node& n = view.node(i);
  int rank = view.Rank(n.inputs[0]);
  // What pads strings is no number.
  if (rank < 1 || view.ElementType(n.inputs[0]) == DType::kString) return std::nullopt;
  PadOperands p;
  p.mode = n.String("mode", "constant");
  if (view.opset() < 11) {
    p.pads = n.Ints("pads");
    p.value = n.Float("value", 0);
  } else {
    const Tensor* pads = view.ConstantInput(i, 1);
    if (!pads) return std::nullopt;
    p.pads = pads->AsInts();
    if (n.HasInput(2)) {
      std::optional<double> value = ScalarOf(view.ConstantInput(i, 2));
      if (!value) return std::nullopt;
      p.value = *value;
    }
    if (n.HasInput(3)) {
      const Tensor* given = view.ConstantInput(i, 3);
      if (!given) return std::nullopt;
      std::vector<int64_t> axes = given->AsInts(), all(2 * rank, 0);
      if (p.pads.size() != 2 * axes.size() || !NormalizedAxes(axes, rank)) return std::nullopt;
      for (size_t a = 0; a < axes.size(); ++a) {
        int64_t axis = NormalizedAxis(axes[a], rank);
        all[axis] = p.pads[a];
        all[axis + rank] = p.pads[a + axes.size()];
      }
      p.pads = all;
    }
  }
  if (static_cast<int>(p.pads.size()) != 2 * rank) return std::nullopt;
  for (int64_t v : p.pads) {
    if (v < -(1 << 20) || v > (1 << 20)) return std::nullopt;
  }
  return p;
}

std::optional<ClipOperands> ClipOf(const View& view, int i) {
  if (!view.Is(i, "Clip")) return std::nullopt;
  const Node& n = view.node(i);
  ClipOperands b;
  if (view.opset() < 11) {
    if (n.Find("min")) b.lo = n.Float("min", 0);
    if (n.Find("max")) b.hi = n.Float("max", 0);
    return b;
  }
  if (n.HasInput(1) && !(b.lo = ScalarOf(view.ConstantInput(i, 1)))) return std::nullopt;
  if (n.HasInput(2) && !(b.hi = ScalarOf(view.ConstantInput(i, 2)))) return std::nullopt;
  return b;
}

std::optional<SliceOperands> SliceOf(const View& view, int i) {
  if (!view.Is(i, "Slice")) return std::nullopt;
  const Node& n = view.node(i);
  int rank = view.Rank(n.inputs[0]);
  SliceOperands s;
  if (view.opset() < 10) {
    s.starts = n.Ints("starts");
    s.ends = n.Ints("ends");
    s.axes = n.Ints("axes");
  } else {
    std::vector<int64_t>* lists[] = {&s.starts, &s.ends, &s.axes, &s.steps};
    for (size_t k = 1; k <= 4; ++k) {
      if (!n.HasInput(k)) continue;
      const Tensor* t = view.ConstantInput(i, k);
      if (!t) return std::nullopt;
      *lists[k - 1] = t->AsInts();
    }
  }
  size_t count = s.starts.size();
  if (s.axes.empty()) {
    for (size_t a = 0; a < count; ++a) s.axes.push_back(static_cast<int64_t>(a));
  }
  s.steps = OrElse(s.steps, count, 1);
  if (rank < 1 || count == 0 || s.ends.size() != count || s.axes.size() != count ||
      s.steps.size() != count) {
    return std::nullopt;
  }
  if (!NormalizedAxes(s.axes, rank)) return std::nullopt;
  for (int64_t& a : s.axes) a = NormalizedAxis(a, rank);
  return s;
}

std::vector<double> BatchNorm::Factor() const {
  std::vector<double> a(scale.size());
  for (size_t c = 0; c < a.size(); ++c) a[c] = scale[c] / std::sqrt(var[c] + epsilon);
  return a;
}
std::vector<double> BatchNorm::Offset() const {
  std::vector<double> a = Factor(), b(scale.size());
  for (size_t c = 0; c < b.size(); ++c) b[c] = bias[c] - mean[c] * a[c];
  return b;
}

std::optional<BatchNorm> BatchNormOf(const View& view, int i) {
  if (!view.Is(i, "BatchNormalization")) return std::nullopt;
  const Node& n = view.node(i);
  if (n.Int("training_mode", 0) != 0 || n.Int("spatial", 1) != 1) return std::nullopt;
  for (size_t o = 1; o < n.outputs.size(); ++o) {
    if (!n.outputs[o].empty()) return std::nullopt;
  }
  BatchNorm b;
  std::vector<double>* lists[] = {&b.scale, &b.bias, &b.mean, &b.var};
  for (size_t k = 1; k <= 4; ++k) {
    const Tensor* t = view.ConstantInput(i, k);
    if (!IsFloatTensor(t) || t->rank() != 1) return std::nullopt;
    *lists[k - 1] = Doubles(*t);
    if (lists[k - 1]->size() != b.scale.size()) return std::nullopt;
  }
  b.epsilon = n.Float("epsilon", 1e-5f);
  for (double v : b.var) {
    if (!(v + b.epsilon > 0)) return std::nullopt;
  }
  return b;
}

std::optional<WithConstant> ConstantOperand(const View& view, int i) {
  const Node& n = view.node(i);
  if (n.inputs.size() != 2) return std::nullopt;
  for (size_t k : {size_t{1}, size_t{0}}) {
    const Tensor* t = view.ConstantInput(i, k);
    if (t && !view.ConstantInput(i, 1 - k) && n.HasInput(1 - k))
      return WithConstant{k, t, n.inputs[1 - k]};
  }
  return std::nullopt;
}

std::optional<std::vector<double>> PerChannel(const Tensor& t, int rank, int axis,
                                              int64_t channels) {
  if (channels < 0 || axis >= rank || t.rank() > rank || t.dtype() == DType::kString)
    return std::nullopt;
  if (t.size() == 1) return std::vector<double>(static_cast<size_t>(channels), t.AsDouble(0));
  for (int a = 0; a < t.rank(); ++a) {
    int64_t want = a + rank - t.rank() == axis ? channels : 1;
    if (t.dim(a) != want) return std::nullopt;
  }
  if (t.size() != channels) return std::nullopt;
  return Doubles(t);
}

const OpSpec* SpecOf(const View& view, int i) {
  Result<const OpSpec*> row = RowFor(view.subject().model, view.node(i));
  return row.ok() ? *row : nullptr;
}
bool IsDeterministic(const View& view, int i) {
  const OpSpec* spec = SpecOf(view, i);
  return spec && !spec->Has(kNondeterministic) && !view.IsAny(i, {"Dropout", "If", "Loop", "Scan"});
}
bool IsPointwise(const View& view, int i) {
  static const char* kOps[] = {"Relu",       "Sigmoid",
                               "Tanh",       "LeakyRelu",
                               "Elu",        "Selu",
                               "Celu",       "Softplus",
                               "Softsign",   "HardSigmoid",
                               "HardSwish",  "Erf",
                               "Exp",        "Neg",
                               "Abs",        "Sqrt",
                               "Reciprocal", "Log",
                               "Sin",        "Cos",
                               "Tan",        "Atan",
                               "Asin",       "Acos",
                               "Sinh",       "Cosh",
                               "Asinh",      "Acosh",
                               "Atanh",      "Floor",
                               "Ceil",       "Round",
                               "Sign",       "ThresholdedRelu",
                               "Clip",       "Gelu",
                               "Mish",       "Identity",
                               "Not",        "Shrink"};
  const Node& n = view.node(i);
  if (n.outputs.size() != 1 || n.inputs.empty()) return false;
  for (size_t k = 1; k < n.inputs.size(); ++k) {
    if (n.HasInput(k) && !view.ConstantInput(i, k)) return false;
  }
  return std::any_of(std::begin(kOps), std::end(kOps),
                     [&](const char* op) { return view.Is(i, op); });
}

std::optional<std::vector<int64_t>> ReshapeTarget(const View& view, const std::string& value) {
  const TypeInfo* t = view.Type(value);
  if (!t || !t->ranked) return std::nullopt;
  std::vector<int64_t> target;
  int unknown = 0;
  for (const Dim& d : t->dims) {
    unknown += !d.known();
    if (d.known() && d.value() == 0) return std::nullopt;
    target.push_back(d.known() ? d.value() : -1);
  }
  if (unknown > 1) return std::nullopt;
  return target;
}

}  // namespace assay
