#include "gen/profiles.h"

#include "gen/motif.h"

namespace assay {
namespace {

void FloatsOnly(GenOptions& o) { o.dtypes = {{DType::kFloat, 1}}; }

void Cnn(GenOptions& o) {
  FloatsOnly(o);
  o.ops = {"Conv",
           "ConvTranspose",
           "MaxPool",
           "AveragePool",
           "GlobalAveragePool",
           "BatchNormalization",
           "Relu",
           "LeakyRelu",
           "Sigmoid",
           "Clip",
           "Add",
           "Mul",
           "Concat",
           "Pad",
           "Resize",
           "Softmax",
           "Flatten",
           "Reshape",
           "Transpose",
           "Gemm",
           "MatMul",
           "ReduceMean",
           "HardSigmoid",
           "Upsample"};
  o.motifs = {{kVision, 0.25}};
}

void Transformer(GenOptions& o) {
  FloatsOnly(o);
  o.ops = {"MatMul",   "Gemm",   "Add",        "Sub",   "Mul",       "Div",
           "Sqrt",     "Pow",    "ReduceMean", "Erf",   "Tanh",      "Sigmoid",
           "Softmax",  "Where",  "Concat",     "Split", "Reshape",   "Transpose",
           "Slice",    "Gather", "Squeeze",    "Relu",  "Unsqueeze", "LayerNormalization",
           "Constant", "Cast",   "Identity",   "Shape", "Expand",    "ReduceSum"};
  o.motifs = {{kLanguage, 0.35}};
}

void Quantized(GenOptions& o) {
  o.dtypes = {{DType::kFloat, 70}, {DType::kUint8, 15}, {DType::kInt8, 10}, {DType::kInt32, 5}};
  o.motifs = {{kQuantized, 0.4}};
}

void Dynamic(GenOptions& o) {
  o.motifs = {{kShapes, 0.2}};
  o.dynamic = 1;
}

void ControlFlow(GenOptions& o) {
  o.motifs = {{kControlFlow, 0.3}, {kLists, 0.12}, {kRecurrent, 0.08}};
}

void Shapes(GenOptions& o) { o.motifs = {{kShapes, 0.3}, {kStructure, 0.1}}; }

void Bait(GenOptions& o) {
  o.motifs = {{kFusion, 0.3}, {kNoOp, 0.3}, {kStructure, 0.1}, {kQuantized, 0.05}};
  o.swarm = true;
}

void Everything(GenOptions& o) {
  o.opset = 0;
  o.draws_opset = true;
  o.even = true;
  o.links = true;
  o.by_value = 0.1;
  o.joins = 0.9;
  o.reuse = 0.95;
  o.swarm_types = 2;
  o.anything = true;
  o.dtypes.clear();
  for (int i = 1; i < kDTypeCount; ++i) {
    DType t = static_cast<DType>(i);
    if (Contains(kComplexes, t)) continue;  // hardly a runtime computes with them
    o.dtypes.push_back({t, t == DType::kFloat ? 40 : IsFloat(t) ? 8 : 4});
  }
  // Lists, control flow and tests for NaN come as motifs alone.
  o.motifs = {{kLists, 0.046}, {kControlFlow, 0.03}, {kNotFinite, 0.005}, {kAllTags, 0.03}};
  o.dynamic = 0.1;
  o.functions = 0.1;
}

}  // namespace

const std::vector<Profile>& AllProfiles() {
  static const std::vector<Profile> table = {
      {"default", "all operators, mostly float32, a motif now and then",
       [](GenOptions& o) {
         o.motifs = {{kVision | kLanguage, 0.02}, {kFusion | kNoOp, 0.03}};
       }},
      {"tiny", "tensors of at most 64 elements", [](GenOptions& o) { o.max_elements = 64; }},
      {"float", "float32 alone", FloatsOnly},
      {"types", "all element types alike",
       [](GenOptions& o) {
         for (auto& [dtype, weight] : o.dtypes) weight = dtype == DType::kFloat16 ? 2 : 10;
       }},
      {"cnn", "convolutional networks: residual, inception, squeeze-excite blocks", Cnn},
      {"transformer", "attention, normalisation and gated blocks", Transformer},
      {"quantized", "QuantizeLinear and DequantizeLinear around operators", Quantized},
      {"dynamic", "symbolic dimensions and computed shapes", Dynamic},
      {"control-flow", "If, Loop, Scan, sequences, optionals, recurrent layers", ControlFlow},
      {"shapes", "shapes computed at run time; scalars and extents of 0", Shapes},
      {"bait", "what optimizers rewrite, exact or with one thing off", Bait},
      {"everything", "operators of all operator sets alike, all element types and motifs",
       Everything},
  };
  return table;
}

std::vector<std::string> GenOptions::ProfileNames() {
  std::vector<std::string> names;
  for (const assay::Profile& p : AllProfiles()) names.push_back(p.name);
  return names;
}

Result<GenOptions> GenOptions::Profile(const std::string& name) {
  std::string known;
  for (const assay::Profile& p : AllProfiles()) {
    known += (known.empty() ? "" : ", ") + p.name;
    if (p.name != name) continue;
    GenOptions o;
    p.set(o);
    return o;
  }
  return Usage("unknown profile '" + name + "'; known: " + known);
}

}  // namespace assay
