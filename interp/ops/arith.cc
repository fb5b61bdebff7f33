// Add, Sub, Mul, Div with numpy broadcasting (ONNX Add, Sub, Mul, Div; opset 7, 13, 14), and Neg
// (6, 13).
#include "interp/ops/arith.h"

namespace assay {
namespace {

struct NegFn {
  template <class T>
  T operator()(T x) const {
    if constexpr (std::is_integral_v<T>)
      return WrapSub(T(0), x);  // of INT_MIN: INT_MIN
    else
      return -x;
  }
};

void AddVersions(std::vector<OpSpec>& rows, const char* name, EvalFn eval, uint32_t traits,
                 SafeValues b = {}, std::optional<SafeValues> integers = {}) {
  OpSpec v7 = Op(name, 7)
                  .In("A", "T", kFloats16 | kInts32_64)
                  .In("B", "T", kFloats16 | kInts32_64)
                  .Out("C", "T", kFloats16 | kInts32_64)
                  .Rule(BroadcastAll)
                  .Eval(eval)
                  .Safe("B", b, integers)
                  .Traits(kElementwise | kBroadcasts | traits);
  PushVersions(rows, v7, "T", {{13, kFloatsBf16 | kInts32_64}, {14, kFloatsBf16 | kInts}});
}

}  // namespace

std::vector<OpSpec> ops_arith() {
  std::vector<OpSpec> rows;
  AddVersions(rows, "Add", Binary<AddFn>, kCommutative);
  AddVersions(rows, "Sub", Binary<SubFn>, 0);
  AddVersions(rows, "Mul", Binary<MulFn>, kCommutative);
  AddVersions(rows, "Div", Binary<DivFn>, 0, {.nonzero = true},
              SafeValues{.nonzero = true, .constant = true});
  OpSpec neg = Op("Neg", 6)
                   .In("X", "T", kFloats16 | kSignedInts)
                   .Out("Y", "T", kFloats16 | kSignedInts)
                   .Rule(SameAsInput0)
                   .Eval(UnaryNumeric<NegFn>)
                   .Traits(kElementwise)
                   .Class(Accuracy::kExact);
  PushVersions(rows, neg, "T", {{13, kFloatsBf16 | kSignedInts}});
  return rows;
}

}  // namespace assay
