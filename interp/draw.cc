#include "interp/draw.h"

namespace assay {

Tensor RandomConstant(Choices& choices, DType dtype, Shape shape) {
  Tensor t = Tensor::Make(dtype, std::move(shape)).value();
  for (int64_t i = 0; i < t.size(); ++i) {
    if (dtype == DType::kString)
      t.mutable_strings()[i] = std::string(1, static_cast<char>('a' + choices.Below(26)));
    else if (dtype == DType::kBool)
      t.Set(i, static_cast<double>(choices.Below(2)));
    else if (Contains(kSignedInts, dtype))
      t.Set(i, static_cast<double>(choices.Between(-8, 8)));
    else if (IsInt(dtype))
      t.Set(i, static_cast<double>(choices.Below(17)));
    else
      t.Set(i, choices.Normal());
  }
  return t;
}

int64_t MaybeNegative(Choices& choices, const Draft& draft, int64_t axis, int rank) {
  return draft.opset >= kNegativeAxesSince && choices.Chance(0.3) ? axis - rank : axis;
}

int64_t DrawAxis(Choices& choices, const Draft& draft, int rank) {
  return MaybeNegative(choices, draft,
                       static_cast<int64_t>(choices.Below(static_cast<uint64_t>(rank))), rank);
}

std::vector<int64_t> DrawAxes(Choices& choices, int rank) {
  std::vector<int64_t> axes;
  int64_t always = static_cast<int64_t>(choices.Below(static_cast<uint64_t>(rank)));
  for (int64_t a = 0; a < rank; ++a) {
    if (a == always || choices.Chance(0.35)) axes.push_back(a);
  }
  return axes;
}

int64_t DrawExtent(Choices& choices, int64_t most) {
  if (most <= 1) return 1;
  if (choices.Chance(0.4)) return std::min<int64_t>(most, choices.PickOf<int64_t>({1, 2, 3}));
  if (choices.Chance(0.3)) return most;
  return choices.Between(1, most);
}

int64_t ElementsOfInput(const Draft& draft, size_t i) { return ElementCount(draft.shape(i)); }

}  // namespace assay
