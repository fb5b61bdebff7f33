// The four operations on one pair of scalars, for Add, Sub, Mul and Div of every broadcasting: integers wrap, division
// by zero never traps.
#pragma once

#include "interp/ops/elementwise.h"

namespace assay {

struct AddFn {
  template <class T>
  T operator()(T a, T b) const {
    return WrapAdd(a, b);
  }
};
struct SubFn {
  template <class T>
  T operator()(T a, T b) const {
    return WrapSub(a, b);
  }
};
struct MulFn {
  template <class T>
  T operator()(T a, T b) const {
    return WrapMul(a, b);
  }
};
struct DivFn {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      if (b == 0) return 0;  // undefined in the specification; never a trap
      if constexpr (std::is_signed_v<T>) {
        if (b == T(-1)) return WrapSub(T(0), a);  // INT_MIN / -1 wraps
      }
    }
    return static_cast<T>(a / b);
  }
};

}  // namespace assay
