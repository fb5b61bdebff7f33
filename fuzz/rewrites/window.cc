// Rewrites of padding and windows: Pad against pads (B01, B02), auto_pad against pads (B03),
// ConvTranspose's output_shape (B32), storage_order (B47).
#include <algorithm>
#include <cmath>

#include "fuzz/operands.h"

namespace assay {
namespace {

using Strings = std::vector<std::string>;

// The constant Pad of spatial axes, none negative, that alone feeds node i; added to the node's own
// pads. Nothing when its value is not `value`.
std::optional<std::vector<int64_t>> PadsTogether(const View& v, int i, double value) {
  int j = v.Maker(v.node(i).inputs[0]);
  if (j < 0 || v.OnlyReader(v.node(i).inputs[0]) != i) return std::nullopt;
  std::optional<PadOperands> p = PadOf(v, j);
  std::optional<Window> w = WindowOf(v, i);
  if (!p || !w || p->mode != "constant" || p->value != value || w->auto_pad.starts_with("SAME"))
    return std::nullopt;
  int n = w->axes();
  if (p->pads.size() != 2 * static_cast<size_t>(n + 2)) return std::nullopt;
  std::vector<int64_t> pads = w->pads;
  for (int side = 0; side < 2; ++side) {
    const int64_t* given = p->pads.data() + side * (n + 2);
    if (given[0] != 0 || given[1] != 0) return std::nullopt;
    for (int a = 0; a < n; ++a) {
      if (given[a + 2] < 0) return std::nullopt;
      pads[side * n + a] += given[a + 2];
    }
  }
  return pads;
}
Status FoldPad(Edit& e, int i, const std::vector<int64_t>& pads) {
  Node n = e.Copy(i);
  n.inputs[0] = e.view().node(e.view().Maker(n.inputs[0])).inputs[0];
  SetPads(&n, pads);
  e.Put(i, std::move(n));
  return {};
}
// Explicit pads, not all 0.
bool HasPads(const View& v, int i) {
  std::optional<Window> w = WindowOf(v, i);
  return w && w->auto_pad == "NOTSET" &&
         std::any_of(w->pads.begin(), w->pads.end(), [](int64_t p) { return p > 0; });
}
Status SplitPad(Edit& e, int i) {
  const View& v = e.view();
  Window w = *WindowOf(v, i);
  Node n = e.Copy(i);
  PadOperands p;
  for (int side = 0; side < 2; ++side) {
    p.pads.insert(p.pads.end(), 2, 0);
    p.pads.insert(p.pads.end(), w.pads.begin() + side * w.axes(),
                  w.pads.begin() + (side + 1) * w.axes());
  }
  n.inputs[0] = AddPad(e, "pad", n.inputs[0], v.ElementType(n.inputs[0]), p);
  n.Erase("pads");
  e.Put(i, std::move(n));
  return {};
}

// ---- B01 ----
Strings ConvPadArguments(const View& v, int i) {
  if (!v.Is(i, "Conv")) return {};
  Strings arguments;
  if (PadsTogether(v, i, 0)) arguments.push_back("fold");
  if (HasPads(v, i)) arguments.push_back("split");
  return arguments;
}
Status RewriteConvPad(Edit& e, int i, const std::string& argument) {
  return argument == "fold" ? FoldPad(e, i, *PadsTogether(e.view(), i, 0)) : SplitPad(e, i);
}

// ---- B02 ----
bool InsideKernel(const View& v, int i, const std::vector<int64_t>& pads) {
  Window w = *WindowOf(v, i);
  for (size_t a = 0; a < pads.size(); ++a) {
    if (pads[a] >= w.kernel[a % w.kernel.size()]) return false;
  }
  return true;
}
Strings PoolPadArguments(const View& v, int i) {
  std::optional<Window> w = v.IsAny(i, {"AveragePool", "MaxPool"}) ? WindowOf(v, i) : std::nullopt;
  if (!w || w->ceil) return {};
  if (v.Is(i, "MaxPool")) {
    std::optional<std::vector<int64_t>> pads = PadsTogether(v, i, -INFINITY);
    bool plain = v.node(i).outputs.size() == 1;  // indices count the padding otherwise
    return pads && plain && InsideKernel(v, i, *pads) ? Strings{"fold"} : Strings{};
  }
  Strings arguments;
  bool counts = v.node(i).Int("count_include_pad", 0) != 0;
  bool none = std::all_of(w->pads.begin(), w->pads.end(), [](int64_t p) { return p == 0; });
  std::optional<std::vector<int64_t>> pads = PadsTogether(v, i, 0);
  if (pads && (counts || none) && InsideKernel(v, i, *pads)) arguments.push_back("fold");
  if (counts && HasPads(v, i)) arguments.push_back("split");
  return arguments;
}
Status RewritePoolPad(Edit& e, int i, const std::string& argument) {
  if (argument == "split") return SplitPad(e, i);
  bool average = e.view().Is(i, "AveragePool");
  std::vector<int64_t> pads = *PadsTogether(e.view(), i, average ? 0 : -INFINITY);
  Node n = e.Copy(i);
  n.inputs[0] = e.view().node(e.view().Maker(n.inputs[0])).inputs[0];
  SetPads(&n, pads);
  if (average) n.Set("count_include_pad", int64_t{1});
  e.Put(i, std::move(n));
  return {};
}

// ---- B03 ----
Strings AutoPadArguments(const View& v, int i) {
  if (!v.IsAny(i, {"Conv", "MaxPool", "AveragePool"})) return {};
  std::optional<Window> w = WindowOf(v, i);
  if (!w || w->ceil) return {};
  bool pool = !v.Is(i, "Conv");
  if (w->auto_pad != "NOTSET") {
    // A pool refuses explicit pads as wide as its kernel, which a stride beyond the kernel can ask
    // for.
    return !pool || InsideKernel(v, i, w->pads) ? Strings{"explicit"} : Strings{};
  }
  // The pads that an auto_pad would choose, by asking for a node that has it.
  Strings arguments;
  bool none = std::all_of(w->pads.begin(), w->pads.end(), [](int64_t p) { return p == 0; });
  if (none) arguments.push_back("VALID");
  for (const char* same : {"SAME_UPPER", "SAME_LOWER"}) {
    bool fits = true;
    for (int a = 0; fits && a < w->axes(); ++a) {
      int64_t in = v.Extent(v.node(i).inputs[0], a + 2), stride = w->strides[a];
      int64_t reach = (w->kernel[a] - 1) * w->dilations[a] + 1;
      int64_t total =
          in < 0 ? -1
                 : std::max<int64_t>(((in + stride - 1) / stride - 1) * stride + reach - in, 0);
      int64_t begin = same[5] == 'U' ? total / 2 : total - total / 2;
      fits = total >= 0 && w->pads[a] == begin && w->pads[a + w->axes()] == total - begin;
    }
    if (fits) arguments.push_back(same);
  }
  return arguments;
}
Status RewriteAutoPad(Edit& e, int i, const std::string& argument) {
  Node n = e.Copy(i);
  if (argument == "explicit") {
    SetPads(&n, WindowOf(e.view(), i)->pads);
  } else {
    n.Erase("pads");
    n.Set("auto_pad", argument);
  }
  e.Put(i, std::move(n));
  return {};
}

// ---- B32: total pads of axis a are stride (in - 1) + output_padding + reach - out; the larger
// half first ----
std::optional<std::vector<int64_t>> TransposePads(const View& v, int i) {
  if (!v.Is(i, "ConvTranspose") || v.node(i).String("auto_pad", "NOTSET") != "NOTSET")
    return std::nullopt;
  std::vector<int64_t> shape = v.node(i).Ints("output_shape"),
                       padding = v.node(i).Ints("output_padding");
  std::optional<Window> w = WindowOf(v, i);
  if (!w || static_cast<int>(shape.size()) != w->axes()) return std::nullopt;
  if (padding.empty()) padding.assign(shape.size(), 0);
  std::vector<int64_t> pads(2 * shape.size());
  for (size_t a = 0; a < shape.size(); ++a) {
    int64_t in = v.Extent(v.node(i).inputs[0], static_cast<int>(a) + 2);
    if (in < 1 || in > (1 << 20) || padding.size() != shape.size()) return std::nullopt;
    for (int64_t x : {shape[a], padding[a]}) {
      if (x < 0 || x > (int64_t{1} << 40)) return std::nullopt;
    }
    int64_t total =
        w->strides[a] * (in - 1) + padding[a] + (w->kernel[a] - 1) * w->dilations[a] + 1 - shape[a];
    if (total < 0) return std::nullopt;
    pads[a] = total - total / 2;
    pads[a + shape.size()] = total / 2;
  }
  return pads;
}
Strings OutputShapeArguments(const View& v, int i) {
  return TransposePads(v, i) ? Strings{"pads"} : Strings{};
}
Status ExplicitTransposePads(Edit& e, int i, const std::string&) {
  Node n = e.Copy(i);
  SetPads(&n, *TransposePads(e.view(), i));
  n.Erase("output_shape");
  e.Put(i, std::move(n));
  return {};
}

// ---- B47 ----
Strings StorageArguments(const View& v, int i) {
  bool unused = v.Is(i, "MaxPool") && v.opset() >= 8 &&
                (v.node(i).outputs.size() == 1 || v.node(i).outputs[1].empty());
  if (!unused) return {};
  return {v.node(i).Int("storage_order", 0) == 0 ? "1" : "0"};
}
Status FlipStorage(Edit& e, int i, const std::string& argument) {
  Node n = e.Copy(i);
  n.Set("storage_order", *ParseInt(argument));
  e.Put(i, std::move(n));
  return {};
}

}  // namespace

std::vector<Transform> rewrites_window() {
  std::vector<Transform> rows;
  rows.push_back(
      OnNodes({.name = "B01",
               .doc = "A constant zero Pad folded into the pads of Conv (fold), and back (split).",
               .cite = "onnx/onnx#1580",
               .precondition = "pads of spatial axes, none negative; no other reader of the Pad",
               .ops = "Pad,Conv",
               .example = R"(
graph(float[1,1,3,3] x) -> (float[1,1,5,4] y) {
  p = int64[8] {0, 0, 1, 0, 0, 0, 1, 1}
  w = float[1,1,2,2] {1, 2, 3, 4}
  h = Pad(x, p)
  y = Conv(h, w) {pads=[1,0,0,1]}
})"},
              ConvPadArguments, RewriteConvPad));
  rows.push_back(OnNodes(
      {.name = "B02",
       .doc = "A Pad folded into the pads of a pool (fold), and those of AveragePool back (split).",
       .cite = "luludak/DiTOX passes.txt: fuse_pad_into_pool; microsoft/onnxruntime#22177",
       .precondition = "AveragePool: value 0 and all pads count; MaxPool: value -inf; ceil_mode 0",
       .ops = "Pad,AveragePool,MaxPool",
       .example = R"(
graph(float[1,1,3,3] x) -> (float[1,1,4,4] y) {
  p = int64[8] {0, 0, 1, 0, 0, 0, 0, 1}
  h = Pad(x, p)
  y = AveragePool(h) {kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1}
})"},
      PoolPadArguments, RewritePoolPad));
  rows.push_back(OnNodes({.name = "B03",
                          .doc = "auto_pad written as pads (explicit), and pads as auto_pad.",
                          .cite = "onnx/onnx#4299; Talmaj/onnx2pytorch#10",
                          .precondition = "known extents; the pads are those that auto_pad means",
                          .ops = "Conv,MaxPool,AveragePool",
                          .example = R"(
graph(float[1,1,5,4] x) -> (float[1,1,3,2] y) {
  w = float[1,1,3,2] {1, 2, 3, 4, 5, 6}
  h = Conv(x, w) {auto_pad="SAME_LOWER"}
  y = MaxPool(h) {kernel_shape=[2,2], strides=[2,2], pads=[0,0,1,0]}
})"},
                         AutoPadArguments, RewriteAutoPad));
  rows.push_back(OnNodes({.name = "B32",
                          .doc = "output_shape of ConvTranspose written as pads.",
                          .cite = "apache/tvm#11076; openvinotoolkit/openvino#32854",
                          .precondition = "known extents; no axis grows beyond the full result",
                          .ops = "ConvTranspose",
                          .example = R"(
graph(float[1,1,3,3] x) -> (float[1,1,6,5] y) {
  w = float[1,1,3,3] {1, 2, 3, 4, 5, 6, 7, 8, 9}
  y = ConvTranspose(x, w) {strides=[2,2], output_shape=[6,5]}
})"},
                         OutputShapeArguments, ExplicitTransposePads));
  rows.push_back(OnNodes({.name = "B47",
                          .doc = "storage_order of MaxPool flips.",
                          .cite = "openvinotoolkit/openvino#20879",
                          .precondition = "Indices are not used",
                          .ops = "MaxPool",
                          .example = R"(
graph(float[1,1,4,4] x) -> (float[1,1,3,3] y) {
  y = MaxPool(x) {kernel_shape=[2,2]}
})"},
                         StorageArguments, FlipStorage));
  return rows;
}

}  // namespace assay
