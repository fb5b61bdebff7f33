#include "fuzz/fold.h"

#include <algorithm>

namespace assay {
namespace {

// Gemm's C [M,N], unidirectionally broadcast, as one number a column.
std::optional<std::vector<double>> ColumnBias(const Tensor& c, int64_t channels) {
  return PerChannel(c, 2, 1, channels);
}

bool ReadBias(const View& view, int i, Linear* linear) {
  linear->bias.assign(static_cast<size_t>(linear->channels), 0.0);
  if (!view.node(i).HasInput(2) || linear->op == LinearOp::kMatMul) return true;
  const Tensor* b = view.ConstantInput(i, 2);
  if (!IsFloatTensor(b)) return false;
  std::optional<std::vector<double>> bias = ColumnBias(*b, linear->channels);
  if (!bias) return false;
  for (size_t c = 0; c < bias->size(); ++c) linear->bias[c] = (*bias)[c] * linear->bias_factor;
  linear->has_bias = true;
  return true;
}

// w with every entry multiplied by the factor of its output channel.
std::optional<Tensor> Scaled(const Linear& linear, const std::vector<double>& factor) {
  const Tensor& w = *linear.weights;
  std::vector<double> values = Doubles(w);
  int64_t inner = 1, extent = w.dim(linear.column_axis);
  for (int a = linear.column_axis + 1; a < w.rank(); ++a) inner *= w.dim(a);
  // ConvTranspose [C,M/G,k..]: channel = group of row * (M/G) + column.
  int64_t rows_per_group = linear.op == LinearOp::kConvTranspose ? w.dim(0) / linear.group : 0;
  for (size_t j = 0; j < values.size(); ++j) {
    int64_t column = static_cast<int64_t>(j) / inner % extent;
    if (linear.op == LinearOp::kConvTranspose && linear.column_axis == 1) {
      int64_t row = static_cast<int64_t>(j) / (inner * extent);
      column += row / rows_per_group * extent;
    }
    values[j] *= factor[static_cast<size_t>(column)];
  }
  return Rounded(w.dtype(), w.shape(), values);
}

}  // namespace

std::optional<Linear> LinearAt(const View& view, int i) {
  if (!view.IsAny(i, {"Conv", "ConvTranspose", "Gemm", "MatMul"})) return std::nullopt;
  const Node& n = view.node(i);
  const Tensor* w = view.ConstantInput(i, 1);
  int rank = view.Rank(n.outputs[0]);
  if (!IsFloatTensor(w) || w->size() == 0 || rank < 2) return std::nullopt;
  Linear l;
  l.node = i;
  l.weights = w;
  l.group = n.Int("group", 1);
  if (view.IsAny(i, {"Conv", "ConvTranspose"})) {
    bool transposed = view.Is(i, "ConvTranspose");
    if (w->rank() < 3 || l.group < 1 || w->dim(0) % l.group != 0) return std::nullopt;
    l.op = transposed ? LinearOp::kConvTranspose : LinearOp::kConv;
    l.column_axis = transposed ? 1 : 0;
    l.channels = transposed ? w->dim(1) * l.group : w->dim(0);
  } else {
    if (w->rank() != 2) return std::nullopt;
    l.group = 1;
    l.op = view.Is(i, "Gemm") ? LinearOp::kGemm : LinearOp::kMatMul;
    l.column_axis = l.op == LinearOp::kGemm && n.Int("transB", 0) != 0 ? 0 : 1;
    l.channels = w->dim(l.column_axis);
    l.channel_axis = rank - 1;
    l.bias_factor = n.Float("beta", 1);
  }
  if (!ReadBias(view, i, &l)) return std::nullopt;
  return l;
}

std::optional<Linear> LinearBefore(const View& view, int i, size_t k) {
  if (!view.node(i).HasInput(k)) return std::nullopt;
  const std::string& x = view.node(i).inputs[k];
  int j = view.Maker(x);
  if (j < 0 || view.OnlyReader(x) != i) return std::nullopt;
  return LinearAt(view, j);
}

std::optional<Linear> LinearBeforeBatchNorm(const View& view, int i) {
  std::optional<BatchNorm> b = BatchNormOf(view, i);
  std::optional<Linear> linear = b ? LinearBefore(view, i) : std::nullopt;
  if (!linear || linear->channel_axis != 1 ||
      linear->channels != static_cast<int64_t>(b->scale.size())) {
    return std::nullopt;
  }
  return linear;
}

Status FoldAffine(Edit& e, const Linear& linear, int absorbed, const std::vector<double>& factor,
                  const std::vector<double>& offset) {
  int i = linear.node;
  const std::string& y = e.view().node(absorbed).outputs[0];
  DType dtype = linear.weights->dtype();
  std::optional<Tensor> w = Scaled(linear, factor);
  std::vector<double> bias(linear.bias);
  bool any = linear.has_bias;
  for (size_t c = 0; c < bias.size(); ++c) {
    bias[c] = bias[c] * factor[c] + offset[c];
    any |= bias[c] != 0;
  }
  std::optional<Tensor> b = Rounded(dtype, {linear.channels}, bias);
  if (!w || !b) return DoesNotApply("a folded constant is not finite");
  Node n = e.Copy(i);
  n.inputs[1] = e.Constant("weight", *w);
  bool added = linear.op == LinearOp::kMatMul && any;
  if (added) {
    n.outputs[0] = e.Fresh("product");
    e.At(absorbed);
    e.AddMaking("add", {y}, "Add", {n.outputs[0], e.Constant("bias", *b)});
  } else {
    n.outputs[0] = y;
    if (any && linear.op != LinearOp::kMatMul) {
      n.inputs.resize(3);
      n.inputs[2] = e.Constant("bias", *b);
      n.Erase("beta");
    }
  }
  e.Put(i, std::move(n));
  e.Remove(absorbed);
  return {};
}

}  // namespace assay
