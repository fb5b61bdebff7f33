// OptionalHasElement and OptionalGetElement (ONNX opset 18) of tensors, which count as optionals
// that are there.
#include "interp/kernels.h"

namespace assay {
namespace {

void HasRule(RuleContext& c) { c.Out(0, DType::kBool, {}); }

Status EvalHas(KernelContext& c) {
  Tensor* y = TRY(c.Out(0));
  y->Set(0, c.Has(0));
  return {};
}

Status EvalGet(KernelContext& c) {
  c.Set(0, c.in(0));
  return {};
}

}  // namespace

std::vector<OpSpec> ops_optional() {
  return {Op("OptionalHasElement", 18)
              .In("input", "O", kAll13, Arity::kOptional)
              .Out("output", "B", Bit(DType::kBool))
              .Rule(HasRule)
              .Eval(EvalHas)
              .Traits(kNotGenerated)
              .Class(Accuracy::kExact),
          Op("OptionalGetElement", 18)
              .In("input", "O", kAll13)
              .Out("output", "V", kAll13)
              .Rule(SameAsInput0)
              .Eval(EvalGet)
              .Traits(kNotGenerated | kMovesData)
              .Class(Accuracy::kExact)};
}

}  // namespace assay
