#include "interp/tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "interp/field.h"

namespace assay {
namespace {

struct DTypeInfo {
  const char* name;
  int bytes;
};
constexpr DTypeInfo kInfo[kDTypeCount] = {
    {"undefined", 0}, {"float", 4},          {"uint8", 1},          {"int8", 1},         {"uint16", 2},
    {"int16", 2},     {"int32", 4},          {"int64", 8},          {"string", 0},       {"bool", 1},
    {"float16", 2},   {"double", 8},         {"uint32", 4},         {"uint64", 8},       {"complex64", 8},
    {"complex128", 16}, {"bfloat16", 2},     {"float8e4m3fn", 1},   {"float8e4m3fnuz", 1}, {"float8e5m2", 1},
    {"float8e5m2fnuz", 1}, {"uint4", 1},     {"int4", 1},           {"float4e2m1", 1},
};

// Converts a double to an integer type with defined behaviour for every value.
template <class T>
T Saturate(double v) {
  if (std::isnan(v)) return 0;
  if (v <= static_cast<double>(std::numeric_limits<T>::min())) return std::numeric_limits<T>::min();
  if (v >= static_cast<double>(std::numeric_limits<T>::max())) return std::numeric_limits<T>::max();
  return static_cast<T>(v);
}

}  // namespace

const char* DTypeName(DType t) {
  int i = static_cast<int>(t);
  return i < kDTypeCount ? kInfo[i].name : "undefined";
}
DType DTypeFromName(const std::string& s) {
  for (int i = 1; i < kDTypeCount; ++i) {
    if (s == kInfo[i].name) return static_cast<DType>(i);
  }
  return DType::kUndefined;
}
int64_t ElementBytes(DType t) { return static_cast<int>(t) < kDTypeCount ? kInfo[static_cast<int>(t)].bytes : 0; }
bool IsFloat(DType t) { return Contains(kFloatsBf16, t); }
bool IsInt(DType t) { return Contains(kInts, t); }
bool IsSigned(DType t) { return IsFloat(t) || Contains(kSignedInts, t); }

std::string ShapeToString(const Shape& s) {
  std::string out = "[";
  for (size_t i = 0; i < s.size(); ++i) out += (i ? "," : "") + std::to_string(s[i]);
  return out + "]";
}

int64_t ElementCount(const Shape& s) {
  int64_t n = 1;
  bool zero = false;
  for (int64_t d : s) {
    if (d < 0) return -1;
    if (d == 0) zero = true;
    else if (__builtin_mul_overflow(n, d, &n)) return zero ? 0 : -1;
  }
  return zero ? 0 : n;
}

Shape Strides(const Shape& shape) {
  Shape strides(shape.size());
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    // Overflows (wraps) only beside an extent of 0, where no stride is ever used.
    (void)__builtin_mul_overflow(step, shape[i], &step);
  }
  return strides;
}

Result<Tensor> Tensor::Make(DType dtype, Shape shape, Store store, const Limits& limits) {
  Tensor t;
  t.dtype_ = dtype;
  t.store_ = IsFloat(dtype) ? store : Store::kNative;
  if (dtype == DType::kFloat && t.store_ == Store::kFloat) t.store_ = Store::kNative;
  if (dtype == DType::kDouble && t.store_ != Store::kField) t.store_ = Store::kNative;
  t.size_ = ElementCount(shape);
  if (t.size_ < 0) return LimitHit("tensor shape " + ShapeToString(shape) + " overflows");
  // Beside an extent of 0 the others stay within the limit too: kernels multiply and count through them.
  Shape others = shape;
  for (int64_t& d : others) d = std::max<int64_t>(d, 1);
  int64_t places = ElementCount(others);
  if (places < 0 || places > limits.elements) {
    return LimitHit("tensor " + std::string(DTypeName(dtype)) + ShapeToString(shape) + " has more than " +
                    std::to_string(limits.elements) + " elements");
  }
  t.shape_ = std::move(shape);
  if (dtype == DType::kString) {
    if (t.size_ > limits.bytes / static_cast<int64_t>(sizeof(std::string))) {
      return LimitHit("tensor " + t.TypeString() + " takes more than " + std::to_string(limits.bytes) + " bytes");
    }
    t.strings_ = std::make_shared<std::vector<std::string>>(t.size_);
    return t;
  }
  int64_t bytes = t.bytes();
  if (bytes > limits.bytes) {
    return LimitHit("tensor " + t.TypeString() + " takes more than " + std::to_string(limits.bytes) + " bytes");
  }
  // Over-aligned for vector loads; for_overwrite because every kernel writes every element.
  t.raw_ = std::shared_ptr<std::byte[]>(
      static_cast<std::byte*>(::operator new[](static_cast<size_t>(bytes) + 1, std::align_val_t{64})),
      [](std::byte* p) { ::operator delete[](p, std::align_val_t{64}); });
  return t;
}

Tensor Tensor::Strings(Shape shape, std::vector<std::string> v) {
  Tensor t = Make(DType::kString, std::move(shape)).value();
  CHECK(t.size() == static_cast<int64_t>(v.size()));
  *t.strings_ = std::move(v);
  return t;
}

int64_t Tensor::element_bytes() const {
  switch (store_) {
    case Store::kNative: return ElementBytes(dtype_);
    case Store::kFloat: return 4;
    case Store::kDouble: return 8;
    case Store::kField: return 8;
  }
  return 0;
}

Tensor Tensor::Reshaped(Shape shape) const {
  CHECK(ElementCount(shape) == size_);
  Tensor t = *this;
  t.shape_ = std::move(shape);
  return t;
}

Tensor Tensor::WithDType(DType dtype) const {
  Tensor t = *this;
  t.dtype_ = dtype;
  CHECK(t.element_bytes() == element_bytes());
  return t;
}

Tensor Tensor::Clone() const {
  Tensor t = Make(dtype_, shape_, store_, Limits{.elements = INT64_MAX, .bytes = INT64_MAX}).value();
  if (dtype_ == DType::kString) *t.strings_ = *strings_;
  else if (bytes() > 0) std::memcpy(t.raw_.get(), raw_.get(), static_cast<size_t>(bytes()));
  return t;
}

double Tensor::AsDouble(int64_t i) const {
  switch (store_) {
    case Store::kFloat: return data<float>()[i];
    case Store::kDouble: return data<double>()[i];
    case Store::kField: return data<Fp>()[i].r;
    case Store::kNative: break;
  }
  switch (dtype_) {
    case DType::kFloat: return data<float>()[i];
    case DType::kDouble: return data<double>()[i];
    case DType::kFloat16: return HalfToFloat(data<uint16_t>()[i]);
    case DType::kBfloat16: return Bfloat16ToFloat(data<uint16_t>()[i]);
    case DType::kUint64: return static_cast<double>(data<uint64_t>()[i]);
    case DType::kComplex64: return data<std::complex<float>>()[i].real();
    case DType::kComplex128: return data<std::complex<double>>()[i].real();
    default: return static_cast<double>(AsInt(i));
  }
}

int64_t Tensor::AsInt(int64_t i) const {
  if (IsFloat(dtype_)) return Saturate<int64_t>(AsDouble(i));
  switch (dtype_) {
    case DType::kUint8:
    case DType::kUint4:
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2:
    case DType::kFloat8E5M2FNUZ:
    case DType::kFloat4E2M1:
    case DType::kBool: return data<uint8_t>()[i];
    case DType::kInt8:
    case DType::kInt4: return data<int8_t>()[i];
    case DType::kUint16: return data<uint16_t>()[i];
    case DType::kInt16: return data<int16_t>()[i];
    case DType::kInt32: return data<int32_t>()[i];
    case DType::kUint32: return data<uint32_t>()[i];
    case DType::kInt64: return data<int64_t>()[i];
    case DType::kUint64: return static_cast<int64_t>(data<uint64_t>()[i]);
    default: return 0;
  }
}

std::vector<int64_t> Tensor::AsInts() const {
  std::vector<int64_t> v(static_cast<size_t>(size_));
  for (int64_t i = 0; i < size_; ++i) v[i] = AsInt(i);
  return v;
}

void Tensor::Set(int64_t i, double value) {
  switch (store_) {
    case Store::kFloat: mutable_data<float>()[i] = static_cast<float>(value); return;
    case Store::kDouble: mutable_data<double>()[i] = value; return;
    case Store::kField: mutable_data<Fp>()[i] = Fp(value); return;
    case Store::kNative: break;
  }
  switch (dtype_) {
    case DType::kFloat: mutable_data<float>()[i] = static_cast<float>(value); return;
    case DType::kDouble: mutable_data<double>()[i] = value; return;
    case DType::kFloat16: mutable_data<uint16_t>()[i] = FloatToHalf(static_cast<float>(value)); return;
    case DType::kBfloat16: mutable_data<uint16_t>()[i] = FloatToBfloat16(static_cast<float>(value)); return;
    case DType::kBool: mutable_data<uint8_t>()[i] = value != 0; return;
    case DType::kUint8: mutable_data<uint8_t>()[i] = Saturate<uint8_t>(value); return;
    case DType::kInt8: mutable_data<int8_t>()[i] = Saturate<int8_t>(value); return;
    case DType::kUint16: mutable_data<uint16_t>()[i] = Saturate<uint16_t>(value); return;
    case DType::kInt16: mutable_data<int16_t>()[i] = Saturate<int16_t>(value); return;
    case DType::kInt32: mutable_data<int32_t>()[i] = Saturate<int32_t>(value); return;
    case DType::kUint32: mutable_data<uint32_t>()[i] = Saturate<uint32_t>(value); return;
    case DType::kInt64: mutable_data<int64_t>()[i] = Saturate<int64_t>(value); return;
    case DType::kUint64: mutable_data<uint64_t>()[i] = Saturate<uint64_t>(value); return;
    case DType::kComplex64: mutable_data<std::complex<float>>()[i] = static_cast<float>(value); return;
    case DType::kComplex128: mutable_data<std::complex<double>>()[i] = value; return;
    case DType::kInt4: mutable_data<int8_t>()[i] = static_cast<int8_t>(std::clamp<int64_t>(Saturate<int64_t>(value), -8, 7)); return;
    case DType::kUint4: mutable_data<uint8_t>()[i] = static_cast<uint8_t>(std::clamp<int64_t>(Saturate<int64_t>(value), 0, 15)); return;
    // 8- and 4-bit floats are bits to us: no operator of the table computes with them.
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2:
    case DType::kFloat8E5M2FNUZ:
    case DType::kFloat4E2M1: mutable_data<uint8_t>()[i] = Saturate<uint8_t>(value); return;
    case DType::kString:
    case DType::kUndefined: CHECK(false);
  }
}

Tensor Tensor::To(Store store) const {
  if (!IsFloat(dtype_)) return *this;
  Tensor t = Make(dtype_, shape_, store, Limits{.elements = INT64_MAX, .bytes = INT64_MAX}).value();
  if (t.store_ == store_) return *this;
  for (int64_t i = 0; i < size_; ++i) t.Set(i, AsDouble(i));
  return t;
}

bool Tensor::Identical(const Tensor& o) const {
  if (dtype_ != o.dtype_ || store_ != o.store_ || shape_ != o.shape_) return false;
  if (dtype_ == DType::kString) return *strings_ == *o.strings_;
  return raw_ == o.raw_ || bytes() == 0 || std::memcmp(raw_.get(), o.raw_.get(), static_cast<size_t>(bytes())) == 0;
}

std::string Tensor::TypeString() const { return DTypeName(dtype_) + ShapeToString(shape_); }

float HalfToFloat(uint16_t h) {
  uint32_t sign = (h & 0x8000u) << 16, exp = (h >> 10) & 0x1f, man = h & 0x3ff;
  uint32_t bits;
  if (exp == 31) {
    bits = sign | 0x7f800000u | (man << 13);
  } else if (exp != 0) {
    bits = sign | ((exp + 112) << 23) | (man << 13);
  } else {
    float v = static_cast<float>(man) * 0x1p-24f;  // subnormal: exact
    return sign ? -v : v;
  }
  float v;
  std::memcpy(&v, &bits, 4);
  return v;
}

uint16_t FloatToHalf(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, 4);
  uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000);
  uint32_t a = bits & 0x7fffffff;
  if (a > 0x7f800000) return sign | 0x7e00;
  if (a >= 0x477ff000) return sign | 0x7c00;  // rounds to 65536 or more
  if (a < 0x38800000) {                       // below 2^-14: subnormal, rounded by the float adder
    float m = std::fabs(v) + 0.5f;            // 0.5 has ulp 2^-24, the subnormal step
    uint32_t mb;
    std::memcpy(&mb, &m, 4);
    return static_cast<uint16_t>(sign | (mb - 0x3f000000));
  }
  uint32_t rounded = a + 0xfff + ((a >> 13) & 1);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000) >> 13));
}

float Bfloat16ToFloat(uint16_t b) {
  uint32_t bits = static_cast<uint32_t>(b) << 16;
  float v;
  std::memcpy(&v, &bits, 4);
  return v;
}

uint16_t FloatToBfloat16(float v) {
  uint32_t bits;
  std::memcpy(&bits, &v, 4);
  if (std::isnan(v)) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

}  // namespace assay
