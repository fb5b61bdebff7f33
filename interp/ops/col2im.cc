// Col2Im (ONNX opset 18): the blocks of an image put back where they were taken from and added up
// where they overlap. input [N, C * block, L], image_shape and block_shape [axes]; output [N, C,
// image..].
#include <complex>

#include "interp/draw.h"
#include "interp/movement.h"
#include "interp/ops/elementwise.h"

namespace assay {
namespace {

struct Axis {
  int64_t image, block, stride, dilation, begin, end;
  // How many blocks begin on the axis; -1 when none fits or a number is out of bounds.
  int64_t Blocks() const {
    constexpr int64_t kMost = int64_t{1} << 31;
    for (int64_t v : {image, block, stride, dilation}) {
      if (v < 1 || v > kMost) return -1;
    }
    if (begin < 0 || end < 0 || begin > kMost || end > kMost) return -1;
    int64_t reach = 0;
    if (__builtin_mul_overflow(dilation, block - 1, &reach)) return -1;
    int64_t room = image + begin + end - reach - 1;
    return room < 0 ? -1 : room / stride + 1;
  }
};

std::vector<Axis> AxesOf(const std::vector<int64_t>& image, const std::vector<int64_t>& block,
                         const Node& node) {
  auto ints = [&](const char* name, size_t i, int64_t otherwise) {
    std::vector<int64_t> v = node.Ints(name);
    return i < v.size() ? v[i] : otherwise;
  };
  std::vector<Axis> axes;
  size_t n = image.size();
  for (size_t d = 0; d < n; ++d)
    axes.push_back({image[d], block[d], ints("strides", d, 1), ints("dilations", d, 1),
                    ints("pads", d, 0), ints("pads", n + d, 0)});
  return axes;
}

void Col2ImRule(RuleContext& c) {
  c.OutUnranked(0, c.dtype(0));
  for (int i : {1, 2}) {
    if (c.Ranked(i))
      c.Require(c.Rank(i) == 1, "image_shape and block_shape have an entry for each axis");
  }
  if (c.Ranked(0)) c.Require(c.Rank(0) == 3, "the input is [N, C * block, L]");
  std::vector<int64_t> image, block;
  if (!c.KnownInts(1, &image) || !c.KnownInts(2, &block) || c.failed()) return;
  size_t n = image.size();
  c.Require(n == block.size() && n >= 1 && n <= static_cast<size_t>(kMaxRank),
            "image_shape and block_shape have an entry for each axis");
  if (c.failed()) return;
  c.IntsOr("strides", n, 1);
  c.IntsOr("dilations", n, 1);
  c.IntsOr("pads", 2 * n, 0);
  Dim blocks = Dim(1), taps = Dim(1);
  for (const Axis& a : AxesOf(image, block, c.node())) {
    c.Require(a.Blocks() >= 1, "a block fits on every axis");
    if (c.failed()) return;
    blocks = blocks * Dim(a.Blocks());
    taps = taps * Dim(a.block);
  }
  Dim channels = Dim::Unknown(), batch = Dim::Unknown();
  if (c.Ranked(0)) {
    c.Require(Divides(taps, c.In(0, 1)) && c.In(0, 2) == blocks, "the input holds every block");
    channels = FloorDiv(c.In(0, 1), taps), batch = c.In(0, 0);
  }
  if (c.failed()) return;
  std::vector<Dim> dims = {batch, channels};
  dims.insert(dims.end(), image.begin(), image.end());
  c.Out(0, c.dtype(0), dims);
}

template <class T, class F>
void PutBack(KernelContext& c, Tensor* y, F&& add) {
  std::vector<Axis> axes = AxesOf(c.in(1).AsInts(), c.in(2).AsInts(), c.node());
  int64_t taps = 1, blocks = 1, plane = 1;
  for (const Axis& a : axes) taps *= a.block, blocks *= a.Blocks(), plane *= a.image;
  const T* x = c.data<T>(0);
  T* out = y->mutable_data<T>();
  std::fill_n(out, y->size(), T());
  for (int64_t i = 0; i < c.in(0).size(); ++i) {
    int64_t b = i % blocks, tap = i / blocks % taps, to = i / blocks / taps * plane, step = 1;
    bool inside = true;
    for (size_t d = axes.size(); d-- > 0;) {
      const Axis& a = axes[d];
      int64_t at = b % a.Blocks() * a.stride + tap % a.block * a.dilation - a.begin;
      inside = inside && at >= 0 && at < a.image;
      to += inside ? at * step : 0;
      step *= a.image, b /= a.Blocks(), tap /= a.block;
    }
    if (inside) out[to] = add(out[to], x[i]);
  }
}

Status EvalCol2Im(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  auto sums = [&](auto zero) -> Status {
    using T = decltype(zero);
    PutBack<T>(c, y, [](T a, T b) { return WrapAdd(a, b); });
    return {};
  };
  switch (c.in(0).dtype()) {
    case DType::kBool:  // a sum of bools says whether one of them holds
      PutBack<uint8_t>(c, y, [](uint8_t a, uint8_t b) -> uint8_t { return a | b; });
      return {};
    case DType::kComplex64:
      return sums(std::complex<float>{});
    case DType::kComplex128:
      return sums(std::complex<double>{});
    default:
      return VisitNumeric(c.in(0), sums);  // texts have no sum
  }
}

// Blocks of which C * block of the input is a multiple, on one axis or two, as many as the input
// holds; the image is as large as they reach.
bool DrawCol2Im(Choices& choices, Draft& d) {
  d.attrs.clear();
  if (!d.concrete(0) || d.inputs[0].dims.size() != 3 || ElementsOfInput(d, 0) == 0) return false;
  if (!Contains(kFloatsBf16 | kInts, d.inputs[0].dtype)) return false;  // a sum that runtimes know
  Shape x = d.shape(0);
  std::vector<int64_t> image, block, strides, dilations, begin, end;
  int64_t axes = choices.Between(1, 2), taps = x[1], places = x[2];
  for (int64_t a = 0; a < axes; ++a) {
    int64_t blocks = a + 1 == axes ? places : DrawDivisor(choices, places);
    block.push_back(DrawDivisor(choices, taps));
    taps /= block[a], places /= blocks;
    strides.push_back(choices.Between(1, 3));
    // ONNX Runtime 1.30 mistakes all channels but the first of dilated sequences.
    dilations.push_back(axes > 1 || d.anything ? choices.Between(1, 2) : 1);
    int64_t reach = (blocks - 1) * strides[a] + (block[a] - 1) * dilations[a] + 1;
    begin.push_back(std::min<int64_t>(choices.Below(3), (reach - 1) / 2));
    end.push_back(std::min<int64_t>(choices.Below(3), (reach - 1) / 2));
    // An odd element at the end that no block reaches.
    image.push_back(reach - begin[a] - end[a] + choices.Between(0, strides[a] - 1));
  }
  begin.insert(begin.end(), end.begin(), end.end());
  auto set = [&](const char* name, const std::vector<int64_t>& v, int64_t otherwise) {
    bool needed = std::any_of(v.begin(), v.end(), [&](int64_t i) { return i != otherwise; });
    if (needed || choices.Chance(0.3)) d.Set(name, v);
  };
  set("strides", strides, 1);
  set("dilations", dilations, 1);
  set("pads", begin, 0);
  d.SetConstant(1, Tensor::Vector(image));
  d.SetConstant(2, Tensor::Vector(block));
  return true;
}

}  // namespace

std::vector<OpSpec> ops_col2im() {
  return {Op("Col2Im", 18)
              .In("input", "T", kAll13)
              .In("image_shape", "", Bit(DType::kInt64))
              .In("block_shape", "", Bit(DType::kInt64))
              .Out("output", "T", kAll13)
              .Ints("dilations", {.lo = 1, .hi = 2})
              .Ints("pads", {.lo = 0, .hi = 2})
              .Ints("strides", {.lo = 1, .hi = 3})
              .Rule(Col2ImRule)
              .Eval(EvalCol2Im)
              .Draw(DrawCol2Im)
              .Class(Accuracy::kReduction)
              .Example("opset 18 graph(float[1,5,5] x) -> (y) { i = int64[2] {5, 5} b = int64[2] {1, "
                       "5} y = Col2Im(x, i, b) }")};
}

}  // namespace assay
