#include "gen/restrictions.h"

namespace assay {
namespace {

constexpr int kAny = 1 << 10;

struct RowRestriction {
  const char* op;
  int last_since;    // of the row; kAny: every version
  DTypeSet without;  // element types of input 0
  int max_outputs;
  bool support = false;           // runtimes lack it, no more: generated where anything is
  uint32_t ranks = ~uint32_t{0};  // of input 0 that are left
};
constexpr RowRestriction kRows[] = {
    {"Erf", kAny, kInts, kAny},  // runtimes refuse integers
    // ONNX Runtime 1.30 writes it out as a Cast and then mistakes the type of its own casts around
    // float16.
    {"CastLike", kAny, Bit(DType::kFloat16), kAny},
    // How the real result becomes an integer is not specified.
    {"ReduceLogSumExp", kAny, kInts, kAny},
    {"ReduceLogSum", kAny, kInts, kAny},
    {"ReduceL2", kAny, kInts, kAny},
    {"ReduceMean", kAny, kInts, kAny},
    {"MeanVarianceNormalization", kAny, ~Bit(DType::kFloat),
     kAny},                                          // libonnx's function body is float's
    {"Compress", 9, ~DTypeSet{0}, kAny},             // libonnx infers no type for its output
    {"GRU", kAny, Bit(DType::kDouble), kAny, true},  // of floats alone in ONNX Runtime
    {"LSTM", kAny, Bit(DType::kDouble), kAny, true},
    // ONNX Runtime 1.30 writes it out with additions of float to double.
    {"Attention", kAny, Bit(DType::kDouble), kAny},
    {"RMSNormalization", kAny, Bit(DType::kDouble), kAny},
    // ONNX Runtime 1.30 makes its X float, and not its splits.
    {"TreeEnsemble", kAny, Bit(DType::kFloat16), kAny},
    {"LRN", kAny, 0, kAny, false, 1 << 4},  // runtimes know that of images
    {"Dropout", 11, 0, 1},  // the mask outside training is not specified before opset 12
};

struct AttributeRestriction {
  const char *op, *attr;
};
constexpr AttributeRestriction kAttributes[] = {
    {"CastLike", "saturate"},  // ONNX Runtime refuses them where the target is no small float
    {"CastLike", "round_mode"},
    {"TopK", "sorted"},  // the order of an unsorted answer is free
};

struct NodeRestriction {
  const char* op;
  bool (*restricted)(const Node&, std::span<const TypeInfo>);
};

bool AutoPads(const Node& n) { return n.String("auto_pad", "NOTSET") != "NOTSET"; }
bool SamePads(const Node& n) { return n.String("auto_pad", "").starts_with("SAME"); }
bool Dilates(const Node& n) {
  for (int64_t d : n.Ints("dilations")) {
    if (d > 1) return true;
  }
  return false;
}

// Windows with SAME pads that skip inputs, whose pads would be negative: as none everywhere in
// Conv. Pools are refused where they would be as many as the window has places.
bool Skips(const Node& n, std::span<const TypeInfo> inputs) {
  if (n.op == "Conv") return false;
  const bool pools = n.op == "MaxPool" || n.op == "AveragePool";
  std::vector<int64_t> strides = n.Ints("strides"), kernel = n.Ints("kernel_shape");
  for (size_t i = 0; i < strides.size(); ++i) {
    int64_t window = i < kernel.size() ? kernel[i]
                     : inputs.size() > 1 && i + 2 < inputs[1].dims.size()
                         ? inputs[1].dims[i + 2].value()
                         : 1;
    if (strides[i] > window && (!pools || window < 2)) return true;
  }
  return false;
}

// Zero points are one for all; one a row or column is where runtimes part.
bool OddZeroPoints(const Node&, std::span<const TypeInfo> inputs) {
  for (size_t i = 2; i < inputs.size(); ++i) {
    if (inputs[i].dims.size() > 1) return true;
    if (!inputs[i].dims.empty() && inputs[i].dims[0].value() != 1) return true;
  }
  return false;
}

// One element has no variance; what is left of it depends on the order of subtraction.
bool NoVarianceBehind(const Node& n, std::span<const TypeInfo> inputs) {
  int64_t rank = static_cast<int64_t>(inputs[0].dims.size()), axis = n.Int("axis", -1);
  for (int64_t i = axis < 0 ? axis + rank : axis; i >= 0 && i < rank; ++i) {
    if (inputs[0].dims[i].value() > 1) return false;
  }
  return true;
}

// A mask that ends before the keys, which opset 24 pads.
bool ShortMask(const Node&, std::span<const TypeInfo> inputs) {
  if (inputs.size() < 4 || inputs[3].dtype == DType::kUndefined) return false;
  auto extent = [&](size_t i, size_t from_end) {
    const std::vector<Dim>& d = inputs[i].dims;
    return d[d.size() - from_end].value();
  };
  bool past = inputs.size() > 4 && inputs[4].dtype != DType::kUndefined;
  return extent(3, 1) != extent(1, 2) + (past ? extent(4, 2) : 0);
}

// How many digits a number has as text is not specified.
bool MakesText(const Node&, std::span<const TypeInfo> inputs) {
  return inputs[1].dtype == DType::kString && inputs[0].dtype != DType::kString;
}

constexpr NodeRestriction kNodes[] = {
    {"CastLike", MakesText},
    {"Attention", ShortMask},
    {"LayerNormalization", NoVarianceBehind},
    // Runtimes know windows that have a middle.
    {"LRN", [](const Node& n, auto) { return n.Int("size", 1) % 2 == 0; }},
    {"MatMulInteger", OddZeroPoints},
    {"ConvInteger", OddZeroPoints},
    // Refused beside an auto_pad, even where they are 0.
    {"", [](const Node& n, auto) { return AutoPads(n) && n.Find("pads") != nullptr; }},
    // Runtimes ignore or refuse dilations when they compute SAME pads.
    {"", [](const Node& n,
            std::span<const TypeInfo> in) { return SamePads(n) && (Dilates(n) || Skips(n, in)); }},
    // An output_padding that no convolution could have lost.
    {"ConvTranspose",
     [](const Node& n, auto) {
       std::vector<int64_t> extra = n.Ints("output_padding"), strides = n.Ints("strides");
       for (size_t i = 0; i < extra.size(); ++i) {
         if (extra[i] >= (i < strides.size() ? strides[i] : 1) && extra[i] > 0) return true;
       }
       return false;
     }},
};

}  // namespace

namespace {
// Element types that an operator got in operator sets above 17: few runtimes have kernels for them.
DTypeSet LaterTypes(const OpSpec& spec) {
  constexpr int kLastOfOldTypes = 17;
  const OpSpec* old = FindOp(spec.domain, spec.name, kLastOfOldTypes);
  if (spec.since <= kLastOfOldTypes || !old || old->inputs.empty()) return 0;
  return spec.inputs[0].types & ~old->inputs[0].types;
}
}  // namespace

DTypeSet RestrictedTypes(const OpSpec& spec, bool anything) {
  DTypeSet without = anything ? kComplexes : LaterTypes(spec);
  for (const RowRestriction& r : kRows) {
    if (anything && r.support) continue;
    if (spec.name == r.op && spec.since <= r.last_since) without |= r.without;
  }
  return without;
}

uint32_t GeneratedRanks(const OpSpec& spec) {
  uint32_t ranks = ~uint32_t{0};
  for (const RowRestriction& r : kRows) {
    if (spec.name == r.op && spec.since <= r.last_since) ranks &= r.ranks;
  }
  return ranks;
}

int MaxGeneratedOutputs(const OpSpec& spec) {
  int most = kAny;
  for (const RowRestriction& r : kRows) {
    if (spec.name == r.op && spec.since <= r.last_since) most = std::min(most, r.max_outputs);
  }
  return most;
}

bool RestrictedAttribute(const OpSpec& spec, const std::string& attr) {
  for (const AttributeRestriction& r : kAttributes) {
    if (spec.name == r.op && attr == r.attr) return true;
  }
  return false;
}

bool Restricted(const OpSpec& spec, const Node& node, std::span<const TypeInfo> inputs) {
  for (const NodeRestriction& r : kNodes) {
    if ((*r.op == 0 || spec.name == r.op) && r.restricted(node, inputs)) return true;
  }
  return false;
}

}  // namespace assay
