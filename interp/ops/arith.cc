// Add, Sub, Mul, Div with numpy broadcasting (ONNX Add, Sub, Mul, Div; opset 7, 13, 14).
#include "interp/kernels.h"

namespace assay {
namespace {

struct AddFn {
  template <class T> T operator()(T a, T b) const { return WrapAdd(a, b); }
};
struct SubFn {
  template <class T> T operator()(T a, T b) const { return WrapSub(a, b); }
};
struct MulFn {
  template <class T> T operator()(T a, T b) const { return WrapMul(a, b); }
};
struct DivFn {
  template <class T> T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      if (b == 0) return 0;  // undefined in the specification; never a trap
      if constexpr (std::is_signed_v<T>) {
        if (b == T(-1)) return WrapSub(T(0), a);  // INT_MIN / -1 wraps
      }
    }
    return static_cast<T>(a / b);
  }
};

// C = fn(A, B), broadcast.
template <class Fn>
Status Binary(KernelContext& c) {
  Tensor* out = TRY(c.Out(0));
  return VisitNumeric(c.in(0), [&](auto zero) -> Status {
    using T = decltype(zero);
    const T* a = c.data<T>(0);
    const T* b = c.data<T>(1);
    T* y = out->mutable_data<T>();
    Fn fn;
    ForBroadcast2(out->shape(), c.in(0).shape(), c.in(1).shape(),
                  [&](int64_t i, int64_t ia, int64_t ib) { y[i] = fn(a[ia], b[ib]); });
    return {};
  });
}

void AddVersions(std::vector<OpSpec>& rows, const char* name, EvalFn eval, uint32_t traits) {
  OpSpec v7 = Op(name, 7)
                  .In("A", "T", kFloats16 | kInts32_64).In("B", "T", kFloats16 | kInts32_64)
                  .Out("C", "T", kFloats16 | kInts32_64)
                  .Rule(BroadcastAll).Eval(eval).Traits(kElementwise | kBroadcasts | traits);
  rows.push_back(v7);
  rows.push_back(v7.Since(13).Types("T", kFloatsBf16 | kInts32_64));
  rows.push_back(v7.Since(14).Types("T", kFloatsBf16 | kInts));
}

}  // namespace

std::vector<OpSpec> ops_arith() {
  std::vector<OpSpec> rows;
  AddVersions(rows, "Add", Binary<AddFn>, kCommutative);
  AddVersions(rows, "Sub", Binary<SubFn>, 0);
  AddVersions(rows, "Mul", Binary<MulFn>, kCommutative);
  AddVersions(rows, "Div", Binary<DivFn>, 0);
  return rows;
}

}  // namespace assay
