// libFuzzer target: choices -> a row of the operator table, a hostile node of it -> infer and run,
// in float and in double. An error is fine; what runs has the types that the row allows and the
// shape that was inferred, within Limits, and inference that knows less says nothing else.
#include <cstddef>
#include <cstdint>
#include <span>

#include "fuzz/hostile_node.h"
#include "interp/exec.h"
#include "interp/kernels_parallel.h"

namespace assay {
namespace {

// No node of so small operands needs more; beyond it libFuzzer's -malloc_limit_mb and -timeout can
// tell a defect.
Limits Tight() {
  Limits limits = Limits::Small();
  limits.elements = 1 << 18;
  limits.bytes = 1 << 24;
  limits.flops = 1 << 24;
  limits.seconds = 0.2;
  return limits;
}

// Does what was inferred, from all or a part of what is known, hold for a result?
bool Holds(const TypeInfo& inferred, const Tensor& result) {
  if (inferred.dtype != DType::kUndefined && inferred.dtype != result.dtype()) return false;
  if (IsList(result.dtype()) || !inferred.ranked) return true;
  if (static_cast<int>(inferred.dims.size()) != result.rank()) return false;
  for (int i = 0; i < result.rank(); ++i) {
    if ((inferred.dims[static_cast<size_t>(i)] == Dim(result.dim(i))) == Truth::kFalse)
      return false;
  }
  return true;
}

void Check(const OpSpec& spec, const HostileNode& h, const std::vector<Tensor>& results,
           const std::vector<TypeInfo>& partly, const Limits& limits) {
  CHECK(results.size() == h.node->outputs.size());
  std::vector<const TypeInfo*> types;
  for (size_t i = 0; i < partly.size(); ++i)
    types.push_back(h.inputs[i].defined() ? &partly[i] : nullptr);
  Result<std::vector<TypeInfo>> less =
      InferNode(spec, *h.node, types, std::vector<const Tensor*>(types.size(), nullptr));
  CHECK(less.ok() || less.error().code == Code::kUnsupported || spec.Has(kRunsGraphs));
  for (size_t i = 0; i < results.size(); ++i) {
    const Tensor& t = results[i];
    if (h.node->outputs[i].empty() || !t.defined()) continue;
    CHECK(t.size() <= limits.elements);
    CHECK(Contains(spec.OutputAt(static_cast<int>(i)).types, t.dtype()));
    if (less.ok()) CHECK(Holds((*less)[i], t));
  }
}

}  // namespace
}  // namespace assay

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace assay;
  static ThreadScope threads(2);
  Choices choices(std::span<const uint8_t>(data, size));
  const OpSpec& spec = AllOps()[choices.Below(AllOps().size())];
  if (!spec.eval) return 0;
  const Limits limits = Tight();
  const HostileNode h = DrawHostileNode(choices, spec);
  const std::vector<TypeInfo> partly = PartlyKnown(choices, h);
  for (Store store : {Store::kNative, Store::kDouble}) {
    std::vector<Tensor> stored;
    std::vector<const Tensor*> args;
    for (size_t i = 0; i < h.inputs.size(); ++i) {
      const Tensor& t = h.inputs[i];
      bool keep = !t.defined() || spec.InputAt(static_cast<int>(i)).parameter;
      stored.push_back(keep ? t : t.To(store));
    }
    for (const Tensor& t : stored) args.push_back(t.defined() ? &t : nullptr);
    Result<std::vector<Tensor>> out =
        EvalNode(spec, *h.node, args, store, limits, std::max(spec.since, 7));
    CHECK(out.ok() || out.error().code != Code::kInternal);
    if (out.ok()) Check(spec, h, *out, partly, limits);
  }
  return 0;
}
