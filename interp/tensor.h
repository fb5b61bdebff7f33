// Tensor: an immutable, cheaply copied n-dimensional array of an ONNX element type.
//
// `dtype` is what ONNX says the tensor holds; `store` is how floating-point elements are represented while a
// graph executes in one of the scalar domains (interp/exec.h): their own format, float (float16 and bfloat16
// while they are computed with), double, or the prime field in which the oracle proves equivalence
// (interp/field.h). Other types are always stored natively. 2- and 4-bit types take one byte each in memory;
// floats of 8 and 4 bits are kept as their bits (interp/small_float.h says what they mean).
#pragma once

#include <atomic>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "interp/limits.h"
#include "interp/result.h"

namespace assay {

// ONNX TensorProto.DataType, same numbers.
enum class DType : uint8_t {
  kUndefined = 0,
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kComplex64 = 14,
  kComplex128 = 15,
  kBfloat16 = 16,
  kFloat8E4M3FN = 17,
  kFloat8E4M3FNUZ = 18,
  kFloat8E5M2 = 19,
  kFloat8E5M2FNUZ = 20,
  kUint4 = 21,
  kInt4 = 22,
  kFloat4E2M1 = 23,
  kFloat8E8M0 = 24,
  kUint2 = 25,
  kInt2 = 26,
};
inline constexpr int kDTypeCount = 27;
// Values that are lists of tensors, not tensors (Tensor::List). Not element types: no ONNX number, beyond kDTypeCount.
inline constexpr DType kSequence = static_cast<DType>(30), kOptional = static_cast<DType>(31);
inline bool IsList(DType t) { return t == kSequence || t == kOptional; }

const char* DTypeName(DType t);              // ONNX's names: "float", "int64", "bfloat16", ...
DType DTypeFromName(const std::string& s);   // kUndefined when unknown
int64_t ElementBytes(DType t);               // in memory; 0 for string
inline bool IsFloat(DType t);                // float16, bfloat16, float, double (the types with a scalar domain)
bool IsInt(DType t);                         // signed or unsigned, 8 to 64 bits
bool IsSigned(DType t);                      // IsFloat or a signed integer

// A set of element types as a bit mask.
using DTypeSet = uint32_t;
constexpr DTypeSet Bit(DType t) { return DTypeSet{1} << static_cast<int>(t); }
inline bool Contains(DTypeSet s, DType t) { return (s & Bit(t)) != 0; }
inline constexpr DTypeSet kFloats16 = Bit(DType::kFloat16) | Bit(DType::kFloat) | Bit(DType::kDouble);
inline constexpr DTypeSet kFloatsBf16 = kFloats16 | Bit(DType::kBfloat16);
inline bool IsFloat(DType t) { return Contains(kFloatsBf16, t); }
inline constexpr DTypeSet kSignedInts =
    Bit(DType::kInt8) | Bit(DType::kInt16) | Bit(DType::kInt32) | Bit(DType::kInt64);
inline constexpr DTypeSet kUnsignedInts =
    Bit(DType::kUint8) | Bit(DType::kUint16) | Bit(DType::kUint32) | Bit(DType::kUint64);
inline constexpr DTypeSet kInts = kSignedInts | kUnsignedInts;
inline constexpr DTypeSet kInts32_64 =
    Bit(DType::kInt32) | Bit(DType::kInt64) | Bit(DType::kUint32) | Bit(DType::kUint64);
inline constexpr DTypeSet kIndexInts = Bit(DType::kInt32) | Bit(DType::kInt64);
inline constexpr DTypeSet kComplexes = Bit(DType::kComplex64) | Bit(DType::kComplex128);
inline constexpr DTypeSet kAll7 = kFloats16 | kInts | Bit(DType::kBool) | Bit(DType::kString) | kComplexes;
inline constexpr DTypeSet kAll13 = kAll7 | Bit(DType::kBfloat16);
// Element types that later operator sets added: 8-bit floats (19), 4-bit integers (21), 4-bit floats (23), the
// exponent-only scale type (24), 2-bit integers (25).
inline constexpr DTypeSet kFloats8 = Bit(DType::kFloat8E4M3FN) | Bit(DType::kFloat8E4M3FNUZ) |
                                     Bit(DType::kFloat8E5M2) | Bit(DType::kFloat8E5M2FNUZ);
inline constexpr DTypeSet kInts4 = Bit(DType::kInt4) | Bit(DType::kUint4);
inline constexpr DTypeSet kInts2 = Bit(DType::kInt2) | Bit(DType::kUint2);
inline constexpr DTypeSet kAll19 = kAll13 | kFloats8;
inline constexpr DTypeSet kAll21 = kAll19 | kInts4;
inline constexpr DTypeSet kAll23 = kAll21 | Bit(DType::kFloat4E2M1);
inline constexpr DTypeSet kAll24 = kAll23 | Bit(DType::kFloat8E8M0);
inline constexpr DTypeSet kAll25 = kAll24 | kInts2;

enum class Store : uint8_t { kNative, kFloat, kDouble, kField };
// The store in which a type is held when `wanted` is asked for: one name for each way.
Store StoreOf(DType dtype, Store wanted);

using Shape = std::vector<int64_t>;
std::string ShapeToString(const Shape& s);  // "[1,3,8,8]"
// Product of extents; -1 on overflow or a negative extent.
int64_t ElementCount(const Shape& s);

struct Fp;  // interp/field.h

class Tensor {
 public:
  Tensor() = default;
  // Uninitialised memory (strings: empty). Checks `limits` before allocating, extents beside one of 0 included.
  static Result<Tensor> Make(DType dtype, Shape shape, Store store = Store::kNative,
                             const Limits& limits = Limits{});
  // For tests and constants; the sizes must agree.
  template <class T>
  static Tensor Of(DType dtype, Shape shape, const std::vector<T>& values);
  static Tensor Floats(Shape shape, const std::vector<float>& v) { return Of(DType::kFloat, std::move(shape), v); }
  static Tensor Ints(Shape shape, const std::vector<int64_t>& v) { return Of(DType::kInt64, std::move(shape), v); }
  static Tensor Vector(const std::vector<int64_t>& v) { return Ints({static_cast<int64_t>(v.size())}, v); }
  static Tensor ScalarFloat(float v) { return Floats({}, {v}); }
  static Tensor Strings(Shape shape, std::vector<std::string> v);
  // A sequence of tensors, or an optional with one item or none; its shape is [items]. `of`: what an item is,
  // {kFloat}, or {kSequence, kFloat} of an optional sequence.
  static Tensor List(DType kind, std::vector<DType> of, std::vector<Tensor> items);

  DType dtype() const { return rep_ ? rep_->dtype : DType::kUndefined; }
  Store store() const { return rep_ ? rep_->store : Store::kNative; }
  const Shape& shape() const { return rep_ ? rep_->shape : kNoShape; }
  int rank() const { return static_cast<int>(shape().size()); }
  int64_t dim(int i) const { return rep_->shape[i]; }
  int64_t size() const { return rep_ ? rep_->size : 0; }
  int64_t element_bytes() const { return rep_ ? rep_->element_bytes : 0; }  // as stored
  int64_t bytes() const { return size() * element_bytes(); }
  bool defined() const { return dtype() != DType::kUndefined; }

  // Elements in row-major order. T must be the stored type (checked by its size).
  template <class T>
  const T* data() const {
    CHECK(static_cast<int64_t>(sizeof(T)) == element_bytes());
    return reinterpret_cast<const T*>(raw());
  }
  template <class T>
  std::span<const T> span() const { return {data<T>(), static_cast<size_t>(size())}; }
  // For filling a tensor that was just made; nobody else may hold it.
  template <class T>
  T* mutable_data() {
    CHECK(static_cast<int64_t>(sizeof(T)) == element_bytes());
    return reinterpret_cast<T*>(mutable_raw());
  }
  // May its holder write over these elements: numbers that no other tensor holds?
  bool Unshared() const { return raw() && rep_.use_count() == 1 && rep_->memory.use_count() <= 1; }
  // One with the same memory: for who writes over elements that nobody reads any more.
  Tensor Overwritten() const;
  const std::byte* raw() const { return rep_ ? rep_->raw : nullptr; }
  std::byte* mutable_raw() {
    if (!rep_) return nullptr;
    rep_->hash.store(0, std::memory_order_relaxed);
    return rep_->raw;
  }
  const std::vector<std::string>& strings() const { return *rep_->strings; }
  // Of a list.
  const std::vector<Tensor>& items() const { return *rep_->items; }
  const std::vector<DType>& of() const { return rep_->of; }
  std::vector<std::string>& mutable_strings() {
    CHECK(rep_ != nullptr);
    rep_->hash.store(0, std::memory_order_relaxed);
    return *rep_->strings;
  }

  // The same elements under another shape of equal size, sharing memory.
  Tensor Reshaped(Shape shape) const;
  // The same bytes declared as another type of equal element size (e.g. after narrowing).
  Tensor WithDType(DType dtype) const;
  // A deep copy, for editing.
  Tensor Clone() const;

  // Element i as double / int64 whatever the stored type (field elements: the residue). Slow; for small use.
  double AsDouble(int64_t i) const;
  int64_t AsInt(int64_t i) const;
  std::vector<int64_t> AsInts() const;
  // Sets element i of a tensor just made or cloned, converting (rounding, truncating) to its type.
  void Set(int64_t i, double value);

  // Floating-point tensors to another store (field: constants embed exactly, see field.h); others unchanged.
  Tensor To(Store store) const;

  // Same type, shape and bits.
  bool Identical(const Tensor& other) const;
  // "float[2,3]"
  std::string TypeString() const;

  // Hash of element type, shape and bits, never 0; computed once, copies share it.
  uint64_t ContentHash() const;

  // Type and shape without the elements, which may not be asked for; a small tensor stays as it is.
  Tensor Outline() const;
  bool has_elements() const { return defined() && (rep_->raw || rep_->strings || rep_->items); }

 private:
  // What copies share: a copy is one pointer.
  struct Rep {
    DType dtype = DType::kUndefined;
    Store store = Store::kNative;
    Shape shape;
    int64_t size = 0, element_bytes = 0;
    std::byte* raw = nullptr;      // the elements
    std::shared_ptr<void> memory;  // that holds them; null: they stand behind this Rep in one allocation, or there are none
    std::shared_ptr<std::vector<std::string>> strings;
    std::shared_ptr<const std::vector<Tensor>> items;  // of a list
    std::vector<DType> of;
    std::atomic<uint64_t> hash{0};  // of the content; 0: not known
  };
  static const Shape kNoShape;
  // The same elements in a Rep of its own.
  std::shared_ptr<Rep> Sibling() const;

  std::shared_ptr<Rep> rep_;  // null: undefined
};

template <class T>
Tensor Tensor::Of(DType dtype, Shape shape, const std::vector<T>& values) {
  Tensor t = Make(dtype, std::move(shape)).value();
  CHECK(t.size() == static_cast<int64_t>(values.size()));
  T* out = t.mutable_data<T>();
  for (size_t i = 0; i < values.size(); ++i) out[i] = values[i];
  return t;
}

// float16 / bfloat16 bits to float and back (round to nearest even).
float HalfToFloat(uint16_t bits);
uint16_t FloatToHalf(float v);
float Bfloat16ToFloat(uint16_t bits);
uint16_t FloatToBfloat16(float v);

// Row-major strides of a shape, in elements.
Shape Strides(const Shape& shape);

}  // namespace assay
