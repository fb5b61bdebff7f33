// Dim: an extent or an integer attribute as an interval [lo, hi] of what is known of it. Concrete when
// lo == hi. Arithmetic is total: division by zero and overflow give an undefined Dim, and a comparison with
// an undefined Dim is false, so that a rule that meets one is violated.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace assay {

// What is known of a condition over Dims.
enum class Truth : uint8_t { kFalse, kTrue, kMaybe };
inline Truth operator&&(Truth a, Truth b) {
  if (a == Truth::kFalse || b == Truth::kFalse) return Truth::kFalse;
  return a == Truth::kTrue && b == Truth::kTrue ? Truth::kTrue : Truth::kMaybe;
}
inline Truth operator||(Truth a, Truth b) {
  if (a == Truth::kTrue || b == Truth::kTrue) return Truth::kTrue;
  return a == Truth::kFalse && b == Truth::kFalse ? Truth::kFalse : Truth::kMaybe;
}
inline Truth operator!(Truth a) {
  return a == Truth::kMaybe ? a : (a == Truth::kTrue ? Truth::kFalse : Truth::kTrue);
}
inline Truth Known(bool b) { return b ? Truth::kTrue : Truth::kFalse; }

class Dim {
 public:
  static constexpr int64_t kMax = int64_t{1} << 62;  // "unbounded"

  Dim() : lo_(0), hi_(kMax) {}                        // unknown extent
  Dim(int64_t v) : lo_(v), hi_(v) {}                  // NOLINT: a number is a Dim
  Dim(int64_t lo, int64_t hi) : lo_(lo), hi_(hi) {}
  static Dim Undefined() { return Dim(1, 0); }
  static Dim Unknown() { return Dim(); }

  bool defined() const { return lo_ <= hi_; }
  bool known() const { return lo_ == hi_; }
  int64_t value() const { return lo_; }  // meaningful when known()
  int64_t lo() const { return lo_; }
  int64_t hi() const { return hi_; }
  std::string ToString() const;          // "7", "[1..9]", "?", "undefined"

  friend bool Same(const Dim& a, const Dim& b) { return a.lo_ == b.lo_ && a.hi_ == b.hi_; }

 private:
  int64_t lo_, hi_;
};

namespace dim_detail {
// Sums and products of whatever is defined, overflow included.
Dim Add(Dim a, Dim b);
Dim Subtract(Dim a, Dim b);
Dim Multiply(Dim a, Dim b);
// Defined, and so small that sums / products of two can't overflow: nearly all there are.
constexpr int64_t kTameSum = int64_t{1} << 60, kTameProduct = int64_t{1} << 30;
inline bool Tame(Dim a, int64_t bound) { return a.defined() && a.lo() > -bound && a.hi() < bound; }
}  // namespace dim_detail

inline Dim operator+(Dim a, Dim b) {
  using namespace dim_detail;
  if (Tame(a, kTameSum) && Tame(b, kTameSum)) return Dim(a.lo() + b.lo(), a.hi() + b.hi());
  return Add(a, b);
}
inline Dim operator-(Dim a, Dim b) {
  using namespace dim_detail;
  if (Tame(a, kTameSum) && Tame(b, kTameSum)) return Dim(a.lo() - b.hi(), a.hi() - b.lo());
  return Subtract(a, b);
}
inline Dim operator*(Dim a, Dim b) {
  using namespace dim_detail;
  bool tame = Tame(a, kTameProduct) && Tame(b, kTameProduct);
  if (tame && a.lo() >= 0 && b.lo() >= 0) return Dim(a.lo() * b.lo(), a.hi() * b.hi());
  return Multiply(a, b);
}
Dim FloorDiv(Dim a, Dim b);  // towards minus infinity; b must not hold 0
Dim CeilDiv(Dim a, Dim b);
Dim Mod(Dim a, Dim b);       // of non-negative a by positive b
Dim Min(Dim a, Dim b);
Dim Max(Dim a, Dim b);
Dim Product(const std::vector<Dim>& dims, size_t begin = 0, size_t end = SIZE_MAX);

inline Truth operator==(Dim a, Dim b) {
  if (!a.defined() || !b.defined()) return Truth::kFalse;
  if (a.known() && b.known()) return Known(a.value() == b.value());
  return a.hi() < b.lo() || b.hi() < a.lo() ? Truth::kFalse : Truth::kMaybe;
}
inline Truth operator!=(Dim a, Dim b) {
  if (!a.defined() || !b.defined()) return Truth::kFalse;
  return !(a == b);
}
inline Truth operator<(Dim a, Dim b) {
  if (!a.defined() || !b.defined() || a.lo() >= b.hi()) return Truth::kFalse;
  return a.hi() < b.lo() ? Truth::kTrue : Truth::kMaybe;
}
inline Truth operator<=(Dim a, Dim b) {
  if (!a.defined() || !b.defined() || a.lo() > b.hi()) return Truth::kFalse;
  return a.hi() <= b.lo() ? Truth::kTrue : Truth::kMaybe;
}
inline Truth operator>(Dim a, Dim b) { return b < a; }
inline Truth operator>=(Dim a, Dim b) { return b <= a; }
Truth Divides(Dim divisor, Dim a);  // a is a multiple of divisor

// Numpy broadcasting of two extents; undefined when they can't go together.
Dim Broadcast(Dim a, Dim b);

}  // namespace assay
