// Floats of 8 and 4 bits as ONNX defines them (docs "Float stored in 8 bits", "Float stored in 4
// bits"; Cast opset 19, 23, 24): E4M3FN, E4M3FNUZ, E5M2, E5M2FNUZ, E2M1 and the exponent-only E8M0.
// Tensors hold their bits, one value a byte.
#pragma once

#include "interp/tensor.h"

namespace assay {

// float8*, float4* and float8e8m0.
bool IsSmallFloat(DType t);

// The number that `bits` stand for, exactly; NaN and infinities included. `t` is a small float.
double SmallFloatValue(DType t, uint8_t bits);

// Only for float8e8m0: to the power of two above, below, or nearest to a number.
enum class PowerRounding : uint8_t { kUp, kDown, kNearest };

// The bits nearest to v, half to even. Numbers out of range become the largest one of their sign
// when `saturate`, else infinity or, where the type has none, NaN. float4e2m1 always saturates and
// makes -0 of NaN, as the data of ONNX release 1.22 has it (the page on float4 says 6); float8e8m0
// drops the sign.
uint8_t SmallFloatBits(DType t, double v, bool saturate = true,
                       PowerRounding powers = PowerRounding::kUp);

}  // namespace assay
