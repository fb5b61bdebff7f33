// PP: faults of preprocessing, the arithmetic between a graph input and the network.
#include <algorithm>

#include "fuzz/operands.h"

namespace assay {
namespace {

constexpr int kMaxBlock = 6;  // operators between an input and the end of its preprocessing
constexpr double kImageMean[] = {0.485, 0.456, 0.406};  // of ImageNet, RGB

bool IsArithmetic(const View& v, int i) { return v.IsAny(i, {"Add", "Sub", "Mul", "Div"}); }

// x op c of floats, the constant second (or the operator commutative), the type of x kept.
std::optional<WithConstant> Affine(const View& v, int i) {
  if (!IsArithmetic(v, i)) return std::nullopt;
  std::optional<WithConstant> c = ConstantOperand(v, i);
  if (!c || !IsFloatTensor(c->constant) || !v.SameType(c->data, v.node(i).outputs[0]))
    return std::nullopt;
  if (c->constant_at == 0 && v.IsAny(i, {"Sub", "Div"})) return std::nullopt;
  return c;
}

bool IsNeutral(const View& v, int i, const Tensor& c) {
  return AllEqual(c, v.IsAny(i, {"Mul", "Div"}) ? 1 : 0);
}

// Does node i stand in the preprocessing of a graph input: only arithmetic with constants, casts
// and moves between?
bool InBlock(const View& v, int i) {
  for (int step = 0; step < kMaxBlock; ++step) {
    if (v.node(i).inputs.empty()) return false;
    std::optional<WithConstant> c = ConstantOperand(v, i);
    const std::string& x = c ? c->data : v.node(i).inputs[0];
    if (v.IsInput(x)) return true;
    i = v.Maker(x);
    if (i < 0 || !(Affine(v, i) || v.IsAny(i, {"Cast", "Transpose", "Identity", "Gather"})))
      return false;
  }
  return false;
}

const std::string& InputName(const View& v, int i) { return v.graph().inputs[i].name; }
bool IsFloatInput(const View& v, int i) {
  const ValueInfo& in = v.graph().inputs[i];
  return IsFloat(in.dtype) && !v.graph().FindInitializer(in.name) && !v.Readers(in.name).empty();
}

// ---- PP_MEAN_DROP ----
std::vector<std::string> DropArguments(const View& v, int i) {
  std::optional<WithConstant> c = Affine(v, i);
  if (!c || !InBlock(v, i) || IsNeutral(v, i, *c->constant)) return {};
  return {"drop"};
}
Status Drop(Edit& e, int i, const std::string&) {
  e.Bypass(i, Affine(e.view(), i)->data);
  return {};
}
std::vector<std::string> InsertMeanArguments(const View& v, int i) {
  if (!IsFloatInput(v, i) || v.Rank(InputName(v, i)) < 1) return {};
  return {"insert"};
}
// x - mean, one mean a channel of [N,C,...]; a single one where the channels are unknown or many.
Status InsertMean(Edit& e, int i, const std::string&) {
  const View& v = e.view();
  const std::string& x = InputName(v, i);
  int rank = v.Rank(x);
  int64_t channels = rank >= 3 ? v.Extent(x, 1) : -1;
  Shape shape(rank, 1);
  std::vector<double> mean = {0.449};
  if (channels > 1 && channels <= 1024) {
    shape[1] = channels;
    mean.clear();
    for (int64_t c = 0; c < channels; ++c) mean.push_back(kImageMean[c % 3]);
  }
  std::optional<Tensor> t = Rounded(v.ElementType(x), shape, mean);
  if (!t) return DoesNotApply();
  e.Behind(x, "input", [&](const std::string& in, const std::string& out) {
    e.AddMaking("sub", {out}, "Sub", {in, e.Constant("mean", *t)});
  });
  return {};
}

// ---- PP_RANGE: y -> 2y - 1, the range [0,1] taken for [-1,1] ----
Status Stretch(Edit& e, const std::string& value) {
  DType t = e.view().ElementType(value);
  e.Behind(value, "input", [&](const std::string& in, const std::string& out) {
    std::string twice = e.Add("scaled", "Mul", {in, AddScalar(e, "scale", t, 2)});
    e.AddMaking("shifted", {out}, "Sub", {twice, AddScalar(e, "shift", t, 1)});
  });
  return {};
}
std::vector<std::string> RescaleArguments(const View& v, int i) {
  std::optional<WithConstant> c = Affine(v, i);
  if (!c || !InBlock(v, i) || !v.IsAny(i, {"Mul", "Div"}) || !ScalarOf(c->constant)) return {};
  return {"rescale"};
}
Status Rescale(Edit& e, int i, const std::string&) {
  return Stretch(e, e.view().node(i).outputs[0]);
}
std::vector<std::string> StretchArguments(const View& v, int i) {
  if (!IsFloatInput(v, i)) return {};
  return {"scale"};
}
Status StretchInput(Edit& e, int i, const std::string&) {
  return Stretch(e, InputName(e.view(), i));
}

// ---- PP_CHANNEL_SWAP ----
// Axes that may hold colours: 3 or 4 channels first or last; else axis 1.
std::vector<std::string> ChannelArguments(const View& v, int i) {
  const std::string& x = InputName(v, i);
  int rank = v.Rank(x);
  if (rank < 2 || v.Readers(x).empty() || v.graph().FindInitializer(x)) return {};
  std::vector<std::string> axes;
  for (int a : {1, rank - 1}) {
    int64_t n = v.Extent(x, a);
    if ((n == 3 || n == 4) && (axes.empty() || a != 1)) axes.push_back(std::to_string(a));
  }
  int64_t n = v.Extent(x, 1);
  if (axes.empty() && n >= 2 && n <= 4096) axes.push_back("1");
  return axes;
}
Status SwapChannels(Edit& e, int i, const std::string& argument) {
  const std::string& x = InputName(e.view(), i);
  int axis = static_cast<int>(*ParseInt(argument));
  std::vector<int64_t> reversed;
  for (int64_t c = e.view().Extent(x, axis); c-- > 0;) reversed.push_back(c);
  e.Behind(x, "input", [&](const std::string& in, const std::string& out) {
    e.AddMaking("bgr", {out}, "Gather", {in, e.Ints("channels", reversed)}, {Attr("axis", axis)});
  });
  return {};
}

// ---- PP_STD_SCALAR ----
std::vector<std::string> StdArguments(const View& v, int i) {
  std::optional<WithConstant> c = Affine(v, i);
  if (!c || !InBlock(v, i) || !v.IsAny(i, {"Mul", "Div"})) return {};
  if (c->constant->size() < 2 || AllEqual(*c->constant, c->constant->AsDouble(0))) return {};
  return {"mean"};
}
Status StdScalar(Edit& e, int i, const std::string&) {
  WithConstant c = *Affine(e.view(), i);
  double sum = 0;
  for (double x : Doubles(*c.constant)) sum += x;
  Shape ones(c.constant->rank(), 1);
  std::optional<Tensor> t =
      Rounded(c.constant->dtype(), ones, {sum / static_cast<double>(c.constant->size())});
  if (!t) return DoesNotApply();
  e.PutConstant(i, c.constant_at, "std", *t);
  return {};
}

// ---- PP_BIAS_BEFORE_SCALE: x*s + b -> (x + b)*s, (x - m)/d -> x/d - m ----
std::vector<std::string> OrderArguments(const View& v, int i) {
  std::optional<WithConstant> second = Affine(v, i);
  if (!second || !InBlock(v, i)) return {};
  int j = v.Maker(second->data);
  if (j < 0 || v.OnlyReader(second->data) != i) return {};
  std::optional<WithConstant> first = Affine(v, j);
  if (!first || v.IsAny(i, {"Mul", "Div"}) == v.IsAny(j, {"Mul", "Div"})) return {};
  if (IsNeutral(v, i, *second->constant) || IsNeutral(v, j, *first->constant)) return {};
  return {"swap"};
}
Status SwapOrder(Edit& e, int i, const std::string&) {
  const View& v = e.view();
  WithConstant second = *Affine(v, i);
  int j = v.Maker(second.data);
  WithConstant first = *Affine(v, j);
  Node a = e.Copy(i), b = e.Copy(j);
  a.name = v.node(j).name;
  b.name = v.node(i).name;
  a.inputs[1 - second.constant_at] = first.data;
  b.inputs[1 - first.constant_at] = second.data;
  std::swap(a.outputs, b.outputs);
  e.Put(j, std::move(a));
  e.Put(i, std::move(b));
  return {};
}

// ---- PP_AXES_NORM_BLOCK: Gather of channels along an axis of another layout ----
std::vector<std::string> GatherAxisArguments(const View& v, int i) {
  if (!v.Is(i, "Gather") || !InBlock(v, i)) return {};
  const std::string& x = v.node(i).inputs[0];
  const Tensor* indices = v.ConstantInput(i, 1);
  int rank = v.Rank(x);
  if (!indices || rank < 2 || indices->size() == 0) return {};
  int64_t axis = NormalizedAxis(v.node(i).Int("axis", 0), rank);
  std::vector<std::string> axes;
  for (int a = 0; a < rank; ++a) {
    if (a != axis && axis >= 0 && v.Extent(x, a) == v.Extent(x, static_cast<int>(axis)) &&
        v.Extent(x, a) > 1) {
      axes.push_back(std::to_string(a));
    }
  }
  return axes;
}
Status MoveGatherAxis(Edit& e, int i, const std::string& argument) {
  Node n = e.Copy(i);
  n.Set("axis", *ParseInt(argument));
  e.Put(i, std::move(n));
  return {};
}

}  // namespace

std::vector<Transform> faults_pp() {
  std::vector<Transform> rows;
  Transform mean{.name = "PP_MEAN_DROP",
                 .doc =
                     "A step of the normalisation right after an input (x - mean, / std) is lost "
                     "(drop), or the "
                     "converter normalises an input that was not normalised (insert).",
                 .cite = "tf-coreml/tf-coreml#91; apple/coremltools#953",
                 .precondition = "the constant is not neutral; what follows is not invariant to it",
                 .ops = "Sub,Div,Mul,Add",
                 .example = R"(
graph(float[1,3,4,4] x) -> (float[1,3,4,4] y) {
  mean = float[3,1,1] {0.4, 0.5, 0.6}
  c = Sub(x, mean)
  y = Sigmoid(c)
})"};
  rows.push_back(
      Either(OnNodes(mean, DropArguments, Drop), OnInputs(mean, InsertMeanArguments, InsertMean)));
  Transform range{.name = "PP_RANGE",
                  .doc =
                      "An image scaled to [0,1] is scaled to [-1,1] instead: 2x - 1 behind the "
                      "scaling or input.",
                  .cite = "magenta/magenta#998",
                  .precondition = "what follows is not invariant to an affine change",
                  .ops = "Mul,Add,Sub",
                  .example = R"(
graph(float[1,3,4,4] x) -> (float[1,3,4,4] y) {
  s = float[] {0.25}
  c = Mul(x, s)
  y = Sigmoid(c)
})"};
  rows.push_back(Either(OnNodes(range, RescaleArguments, Rescale),
                        OnInputs(range, StretchArguments, StretchInput)));
  rows.push_back(OnInputs(
      {.name = "PP_CHANNEL_SWAP",
       .doc = "The channels of an input are read in reverse order (RGB for BGR): Gather behind it.",
       .cite = "apache/mxnet#7933",
       .precondition = "two channels or more, told apart by what follows",
       .ops = "Gather",
       .example = R"(
graph(float[1,3,4,4] x) -> (float[1,3,4,4] y) {
  y = Relu(x)
})"},
      ChannelArguments, SwapChannels));
  rows.push_back(
      OnNodes({.name = "PP_STD_SCALAR",
               .doc = "A scale for each channel in the preprocessing is replaced by its mean.",
               .cite = "apple/coremltools#1087",
               .precondition = "the scales differ between channels",
               .ops = "Div,Mul",
               .example = R"(
graph(float[1,3,4,4] x) -> (float[1,3,4,4] y) {
  std = float[3,1,1] {0.2, 0.5, 0.3}
  y = Div(x, std)
})"},
              StdArguments, StdScalar));
  rows.push_back(OnNodes(
      {.name = "PP_BIAS_BEFORE_SCALE",
       .doc = "Scale and shift of the preprocessing in the other order: x*s + b becomes (x + b)*s.",
       .cite = "apache/mxnet#7933",
       .precondition = "neither is neutral",
       .ops = "Mul,Add,Sub,Div",
       .example = R"(
graph(float[1,3,4,4] x) -> (float[1,3,4,4] y) {
  s = float[] {0.25}
  b = float[3,1,1] {0.4, -0.5, 0.6}
  c = Mul(x, s)
  y = Add(c, b)
})"},
      OrderArguments, SwapOrder));
  rows.push_back(
      OnNodes({.name = "PP_AXES_NORM_BLOCK",
               .doc = "A Gather of the normalisation block reads along an axis of another layout.",
               .cite = "onnx/onnxmltools#719",
               .precondition = "the other axis has the same extent, so that no shape check sees it",
               .ops = "Gather,Unsqueeze",
               .example = R"(
graph(float[1,4,4,3] x) -> (float[1,2,4,3] y) {
  i = int64[2] {3, 1}
  y = Gather(x, i) {axis=1}
})"},
              GatherAxisArguments, MoveGatherAxis));
  return rows;
}

}  // namespace assay
