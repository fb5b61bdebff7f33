#include "interp/draw.h"

#include <cmath>

namespace assay {

Tensor RandomConstant(Choices& choices, DType dtype, Shape shape) {
  Tensor t = Tensor::Make(dtype, std::move(shape)).value();
  for (int64_t i = 0; i < t.size(); ++i) {
    if (dtype == DType::kString)
      t.mutable_strings()[i] = RandomText(choices);
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
  if (choices.Chance(0.4)) return std::min<int64_t>(most, choices.PickOf<int64_t>({1, 2, 2, 2, 3, 3, 3, 4}));
  if (choices.Chance(0.3)) return most;
  return choices.Between(1, most);
}

int64_t DrawDivisor(Choices& choices, int64_t n) {
  std::vector<int64_t> divisors;
  for (int64_t d = 1; d <= n; ++d) {
    if (n % d == 0) divisors.push_back(d);
  }
  return choices.Pick(divisors);
}

int64_t ElementsOfInput(const Draft& draft, size_t i) { return ElementCount(draft.shape(i)); }

void Ask(Draft& draft, size_t i, DType dtype, Shape shape) {
  if (draft.inputs.size() <= i) draft.inputs.resize(i + 1);
  if (draft.constants.size() <= i) draft.constants.resize(i + 1);
  draft.inputs[i] = TypeInfo::Of(dtype, shape);
}

DType TypeOr(const Draft& draft, size_t i, DType otherwise) {
  bool known = i < draft.inputs.size() && draft.inputs[i].dtype != DType::kUndefined;
  return known ? draft.inputs[i].dtype : otherwise;
}

void MaybeSet(Choices& choices, Draft& draft, const std::string& attr, double p) {
  const AttrSpec* a = draft.spec->FindAttr(attr);
  if (!a || !choices.Chance(p)) return;
  const AttrDomain& d = a->domain;
  if (a->type == AttrType::kInt)
    draft.Set(attr, d.ints.empty() ? choices.Between(d.lo, d.hi) : choices.Pick(d.ints));
  else if (a->type == AttrType::kFloat && !d.floats.empty())
    draft.Set(attr, static_cast<float>(choices.Pick(d.floats)));
  else if (a->type == AttrType::kString && !d.strings.empty())
    draft.Set(attr, choices.Pick(d.strings));
}

Tensor UniformConstant(Choices& choices, DType dtype, Shape shape, double lo, double hi) {
  Tensor t = Tensor::Make(dtype, std::move(shape)).value();
  bool half = dtype == DType::kFloat16 || dtype == DType::kBfloat16;
  for (int64_t i = 0; i < t.size(); ++i) {
    double v = choices.Uniform(lo, hi);
    t.Set(i, half ? std::nearbyint(v * 4) / 4 : v);
  }
  return t;
}

Tensor IntegerConstant(Choices& choices, DType dtype, Shape shape, int64_t lo, int64_t hi) {
  Tensor t = Tensor::Make(dtype, std::move(shape)).value();
  for (int64_t i = 0; i < t.size(); ++i) t.Set(i, static_cast<double>(choices.Between(lo, hi)));
  return t;
}

std::string RandomWord(Choices& choices) {
  static const std::vector<std::string> words = {"a",  "b",  "ab",  "Cat", "dog", "DOG",
                                                 "x1", "42", "the", "The", "a.b", "c,d",
                                                 "-",  "",   "0",   "1",   "2",   "3"};
  return choices.Pick(words);
}

std::string RandomText(Choices& choices) {
  std::string text = RandomWord(choices);
  for (uint64_t more = choices.Below(3); more > 0; --more)
    text += choices.PickOf<const char*>({" ", " ", ".", ",", ""}) + RandomWord(choices);
  return text;
}

}  // namespace assay
