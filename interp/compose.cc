#include "interp/compose.h"

namespace assay {
namespace {
constexpr int kOpset = 13;
}  // namespace

Result<Tensor> Compose(const KernelContext& c, const std::string& op, const std::vector<Tensor>& inputs,
                       std::vector<Attribute> attrs) {
  std::vector<std::string> names;
  std::vector<const Tensor*> args;
  for (size_t i = 0; i < inputs.size(); ++i) {
    names.push_back("x" + std::to_string(i));
    args.push_back(&inputs[i]);
  }
  NodePtr node = MakeNode(op, std::move(names), {"y"}, std::move(attrs));
  const OpSpec* row = FindOp("", op, kOpset);
  CHECK(row != nullptr);
  std::vector<Tensor> out = TRY(EvalNode(*row, *node, args, c.store(), c.limits(), kOpset));
  return out[0];
}

Result<Tensor> SliceAt(const KernelContext& c, const Tensor& t, int64_t axis, int64_t i) {
  return Compose(c, "Gather", {t, Tensor::Ints({}, {i})}, {{"axis", axis, {}}});
}

Result<Tensor> Stack(const KernelContext& c, const std::vector<Tensor>& items, int64_t axis) {
  std::vector<Tensor> wide;
  for (const Tensor& item : items) {
    if (item.dtype() != items[0].dtype() || item.shape() != items[0].shape()) {
      return Invalid("can't stack " + item.TypeString() + " on " + items[0].TypeString());
    }
    int64_t rank = item.rank() + 1, at = axis < 0 ? axis + rank : axis;
    if (at < 0 || at >= rank) return Invalid("axis " + std::to_string(axis) + " is outside of rank " + std::to_string(rank));
    Shape shape = item.shape();
    shape.insert(shape.begin() + at, 1);
    wide.push_back(item.Reshaped(std::move(shape)));
  }
  return Compose(c, "Concat", wide, {{"axis", axis, {}}});
}

}  // namespace assay
