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
Truth operator&&(Truth a, Truth b);
Truth operator||(Truth a, Truth b);
Truth operator!(Truth a);
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

Dim operator+(Dim a, Dim b);
Dim operator-(Dim a, Dim b);
Dim operator*(Dim a, Dim b);
Dim FloorDiv(Dim a, Dim b);  // towards minus infinity; b must not hold 0
Dim CeilDiv(Dim a, Dim b);
Dim Mod(Dim a, Dim b);       // of non-negative a by positive b
Dim Min(Dim a, Dim b);
Dim Max(Dim a, Dim b);
Dim Product(const std::vector<Dim>& dims, size_t begin = 0, size_t end = SIZE_MAX);

Truth operator==(Dim a, Dim b);
Truth operator!=(Dim a, Dim b);
Truth operator<(Dim a, Dim b);
Truth operator<=(Dim a, Dim b);
Truth operator>(Dim a, Dim b);
Truth operator>=(Dim a, Dim b);
Truth Divides(Dim divisor, Dim a);  // a is a multiple of divisor

// Numpy broadcasting of two extents; undefined when they can't go together.
Dim Broadcast(Dim a, Dim b);

}  // namespace assay
