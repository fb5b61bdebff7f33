#include "interp/tensor.h"

#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "interp/choices.h"
#include "interp/field.h"
#include "interp/hash.h"
#include "interp/kernels_parallel.h"

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
    {"float8e8m0", 1}, {"uint2", 1},      {"int2", 1},
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
  if (IsList(t)) return t == kSequence ? "sequence" : "optional";
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

const Shape Tensor::kNoShape;

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer);
#else
constexpr bool kSanitized = false;
#endif
// Small tensors are many, and allocations slow: their elements stand behind the Rep, aligned by hand. A sanitizer sees the
// exact size of every tensor.
constexpr int64_t kSmallBytes = kSanitized ? -1 : 4096;
// Vector code that peels to alignment would add in another order elsewhere: the same bits need the same alignment.
constexpr size_t kAlignment = 64;

// Weights and feature maps of real models: first touched page by page they cost as much time in the kernel as in a
// kernel of ours. Large pages where the system has them on request.
constexpr int64_t kHugeBytes = 4 << 20;
std::shared_ptr<std::byte[]> HugeMemory(size_t n) {
  constexpr size_t kPage = 2 << 20;
  auto* p = static_cast<std::byte*>(::operator new[](n + 1, std::align_val_t{kPage}));
#ifdef MADV_HUGEPAGE
  (void)madvise(p, n / kPage * kPage, MADV_HUGEPAGE);
#endif
  return {p, [](std::byte* q) { ::operator delete[](q, std::align_val_t{kPage}); }};
}

// What a graph frees it soon wants again: memory given back to the system is zeroed page by page when it returns.
void KeepFreedMemory() {
#ifdef M_TRIM_THRESHOLD
  static const bool once = mallopt(M_TRIM_THRESHOLD, 128 << 20) && mallopt(M_MMAP_THRESHOLD, 32 << 20);
  (void)once;
#endif
}

// Not initialised, because every kernel writes every element.
std::shared_ptr<std::byte[]> Memory(int64_t bytes) {
  size_t n = static_cast<size_t>(bytes);
  KeepFreedMemory();
  if (bytes >= kHugeBytes) return HugeMemory(n);
  return {static_cast<std::byte*>(::operator new[](n + 1, std::align_val_t{kAlignment})),
          [](std::byte* p) { ::operator delete[](p, std::align_val_t{kAlignment}); }};
}

// For std::allocate_shared of one object: leaves room for elements behind it and says where that begins.
template <class T>
struct WithRoom {
  using value_type = T;
  size_t bytes;
  std::byte** room;  // read by allocate alone
  WithRoom(size_t bytes, std::byte** room) : bytes(bytes), room(room) {}
  template <class U>
  WithRoom(const WithRoom<U>& other) : WithRoom(other.bytes, other.room) {}  // NOLINT: an allocator converts
  T* allocate(size_t n) {
    auto* p = static_cast<std::byte*>(::operator new(n * sizeof(T) + bytes + kAlignment));
    std::byte* first = p + n * sizeof(T);
    size_t past = reinterpret_cast<uintptr_t>(first) % kAlignment;
    *room = first + (past ? kAlignment - past : 0);
    return reinterpret_cast<T*>(p);
  }
  void deallocate(T* p, size_t) { ::operator delete(p); }
  template <class U>
  bool operator==(const WithRoom<U>&) const { return true; }
};

int64_t StoredBytes(DType dtype, Store store) {
  switch (store) {
    case Store::kNative: return ElementBytes(dtype);
    case Store::kFloat: return 4;
    case Store::kDouble: return 8;
    case Store::kField: return 8;
  }
  return 0;
}

}  // namespace

Store StoreOf(DType dtype, Store wanted) {
  if (!IsFloat(dtype)) return Store::kNative;
  if (dtype == DType::kFloat && wanted == Store::kFloat) return Store::kNative;
  if (dtype == DType::kDouble && wanted != Store::kField) return Store::kNative;
  return wanted;
}

Result<Tensor> Tensor::Make(DType dtype, Shape shape, Store store, const Limits& limits) {
  int64_t size = ElementCount(shape);
  if (size < 0) return LimitHit("tensor shape " + ShapeToString(shape) + " overflows");
  // Beside an extent of 0 the others stay within the limit too: kernels multiply and count through them.
  int64_t places = size;
  if (places == 0) {
    Shape others = shape;
    for (int64_t& d : others) d = std::max<int64_t>(d, 1);
    places = ElementCount(others);
  }
  auto name = [&] { return "tensor " + std::string(DTypeName(dtype)) + ShapeToString(shape); };
  if (places < 0 || places > limits.elements) {
    return LimitHit(name() + " has more than " + std::to_string(limits.elements) + " elements");
  }
  Store held = StoreOf(dtype, store);
  int64_t element_bytes = StoredBytes(dtype, held);
  bool text = dtype == DType::kString;
  if (size > limits.bytes / std::max<int64_t>(text ? sizeof(std::string) : element_bytes, 1)) {
    return LimitHit(name() + " takes more than " + std::to_string(limits.bytes) + " bytes");
  }
  Tensor t;
  int64_t bytes = size * element_bytes;
  if (!text && bytes <= kSmallBytes) {
    std::byte* first = nullptr;
    t.rep_ = std::allocate_shared<Rep>(WithRoom<Rep>(static_cast<size_t>(bytes), &first));
    t.rep_->raw = first;
  } else {
    t.rep_ = std::make_shared<Rep>();
    if (text) {
      t.rep_->strings = std::make_shared<std::vector<std::string>>(size);
    } else {
      std::shared_ptr<std::byte[]> memory = Memory(bytes);
      t.rep_->raw = memory.get();
      t.rep_->memory = std::move(memory);
    }
  }
  t.rep_->dtype = dtype;
  t.rep_->store = held;
  t.rep_->element_bytes = element_bytes;
  t.rep_->size = size;
  t.rep_->shape = std::move(shape);
  return t;
}

Tensor Tensor::Strings(Shape shape, std::vector<std::string> v) {
  Tensor t = Make(DType::kString, std::move(shape)).value();
  CHECK(t.size() == static_cast<int64_t>(v.size()));
  *t.rep_->strings = std::move(v);
  return t;
}

Tensor Tensor::List(DType kind, std::vector<DType> of, std::vector<Tensor> items) {
  CHECK(IsList(kind));
  Tensor t;
  t.rep_ = std::make_shared<Rep>();
  t.rep_->dtype = kind;
  t.rep_->size = static_cast<int64_t>(items.size());
  t.rep_->shape = {t.rep_->size};
  t.rep_->of = std::move(of);
  t.rep_->items = std::make_shared<const std::vector<Tensor>>(std::move(items));
  return t;
}

std::shared_ptr<Tensor::Rep> Tensor::Sibling() const {
  auto r = std::make_shared<Rep>();
  r->dtype = rep_->dtype;
  r->store = rep_->store;
  r->shape = rep_->shape;
  r->size = rep_->size;
  r->element_bytes = rep_->element_bytes;
  r->raw = rep_->raw;
  r->memory = rep_->memory ? rep_->memory : rep_;
  r->strings = rep_->strings;
  r->items = rep_->items;
  r->of = rep_->of;
  return r;
}

Tensor Tensor::Reshaped(Shape shape) const {
  CHECK(ElementCount(shape) == size());
  Tensor t;
  t.rep_ = Sibling();
  t.rep_->shape = std::move(shape);
  return t;
}

Tensor Tensor::WithDType(DType dtype) const {
  CHECK(StoredBytes(dtype, store()) == element_bytes());
  Tensor t;
  t.rep_ = Sibling();
  t.rep_->dtype = dtype;
  return t;
}

Tensor Tensor::Overwritten() const {
  Tensor t;
  t.rep_ = Sibling();
  return t;
}

Tensor Tensor::Clone() const {
  if (!defined() || IsList(dtype())) return *this;  // nobody edits a list in place
  Tensor t = Make(dtype(), shape(), store(), Limits{.elements = INT64_MAX, .bytes = INT64_MAX}).value();
  if (dtype() == DType::kString) *t.rep_->strings = strings();
  else if (bytes() > 0) std::memcpy(t.rep_->raw, raw(), static_cast<size_t>(bytes()));
  return t;
}

double Tensor::AsDouble(int64_t i) const {
  switch (store()) {
    case Store::kFloat: return data<float>()[i];
    case Store::kDouble: return data<double>()[i];
    case Store::kField: return data<Fp>()[i].r;
    case Store::kNative: break;
  }
  switch (dtype()) {
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
  if (IsFloat(dtype())) return Saturate<int64_t>(AsDouble(i));
  switch (dtype()) {
    case DType::kUint8:
    case DType::kUint4:
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2:
    case DType::kFloat8E5M2FNUZ:
    case DType::kFloat4E2M1:
    case DType::kFloat8E8M0:
    case DType::kUint2:
    case DType::kBool: return data<uint8_t>()[i];
    case DType::kInt2:
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
  std::vector<int64_t> v(static_cast<size_t>(size()));
  for (int64_t i = 0; i < size(); ++i) v[i] = AsInt(i);
  return v;
}

void Tensor::Set(int64_t i, double value) {
  switch (store()) {
    case Store::kFloat: mutable_data<float>()[i] = static_cast<float>(value); return;
    case Store::kDouble: mutable_data<double>()[i] = value; return;
    case Store::kField: mutable_data<Fp>()[i] = Fp(value); return;
    case Store::kNative: break;
  }
  switch (dtype()) {
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
    case DType::kInt2: mutable_data<int8_t>()[i] = static_cast<int8_t>(std::clamp<int64_t>(Saturate<int64_t>(value), -2, 1)); return;
    case DType::kUint2: mutable_data<uint8_t>()[i] = static_cast<uint8_t>(std::clamp<int64_t>(Saturate<int64_t>(value), 0, 3)); return;
    // 8- and 4-bit floats are bits here: no operator computes with them, casts read them (small_float.h).
    case DType::kFloat8E8M0:
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2:
    case DType::kFloat8E5M2FNUZ:
    case DType::kFloat4E2M1: mutable_data<uint8_t>()[i] = Saturate<uint8_t>(value); return;
    case DType::kString:
    case DType::kUndefined: CHECK(false);
  }
}

namespace {
template <class From, class To>
bool Convert(const Tensor& from, Tensor& to) {
  const From* x = from.data<From>();
  To* y = to.mutable_data<To>();
  ParallelRanges(from.size(), 1 << 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = static_cast<To>(x[i]);
  });
  return true;
}
// The conversions of whole models; false: element by element then.
bool ConvertFast(const Tensor& from, Tensor& to) {
  if (from.store() != Store::kNative) return false;
  bool single = from.dtype() == DType::kFloat, wide = from.dtype() == DType::kDouble;
  if (to.store() == Store::kDouble && single) return Convert<float, double>(from, to);
  if (to.store() == Store::kField && single) return Convert<float, Fp>(from, to);
  if (to.store() == Store::kField && wide) return Convert<double, Fp>(from, to);
  return false;
}
}  // namespace

Tensor Tensor::To(Store store) const {
  if (IsList(dtype())) {
    std::vector<Tensor> converted;
    for (const Tensor& item : items()) converted.push_back(item.To(store));
    return List(dtype(), of(), std::move(converted));
  }
  if (!IsFloat(dtype()) || StoreOf(dtype(), store) == this->store()) return *this;
  Tensor t = Make(dtype(), shape(), store, Limits{.elements = INT64_MAX, .bytes = INT64_MAX}).value();
  if (ConvertFast(*this, t)) return t;
  for (int64_t i = 0; i < size(); ++i) t.Set(i, AsDouble(i));
  return t;
}

bool Tensor::Identical(const Tensor& o) const {
  if (dtype() != o.dtype() || store() != o.store() || shape() != o.shape()) return false;
  if (rep_ == o.rep_) return true;
  if (dtype() == DType::kString) return strings() == o.strings();
  if (IsList(dtype())) {
    return of() == o.of() && std::equal(items().begin(), items().end(), o.items().begin(), o.items().end(),
                                        [](const Tensor& a, const Tensor& b) { return a.Identical(b); });
  }
  return raw() == o.raw() || bytes() == 0 || std::memcmp(raw(), o.raw(), static_cast<size_t>(bytes())) == 0;
}

Tensor Tensor::Outline() const {
  if (!rep_ || IsList(dtype()) || (dtype() != DType::kString && bytes() <= kSmallBytes)) return *this;
  Tensor t;
  t.rep_ = Sibling();
  t.rep_->raw = nullptr;
  t.rep_->memory = nullptr;
  t.rep_->strings = nullptr;
  return t;
}

uint64_t Tensor::ContentHash() const {
  if (!rep_) return 1;
  uint64_t h = rep_->hash.load(std::memory_order_relaxed);
  if (h != 0) return h;
  h = Mix(static_cast<uint64_t>(dtype()));
  h = HashBytes(h, shape().data(), shape().size() * sizeof(int64_t));
  if (dtype() == DType::kString) {
    for (const std::string& s : strings()) h = HashBytes(Mix(h ^ s.size()), s.data(), s.size());
  } else if (IsList(dtype())) {
    for (DType t : of()) h = Mix(h ^ static_cast<uint64_t>(t));
    for (const Tensor& item : items()) h = Mix(h ^ item.ContentHash());
  } else {
    h = HashBytes(h, raw(), static_cast<size_t>(bytes()));
  }
  h |= 1;
  rep_->hash.store(h, std::memory_order_relaxed);
  return h;
}

std::string Tensor::TypeString() const {
  if (!IsList(dtype())) return DTypeName(dtype()) + ShapeToString(shape());
  std::string text = std::string(DTypeName(dtype())) + "(";
  for (size_t i = 0; i < of().size(); ++i) text += (i ? " " : "") + std::string(DTypeName(of()[i]));
  return text + ")" + ShapeToString(shape());
}

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
