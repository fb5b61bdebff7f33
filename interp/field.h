// Fp: one scalar of the algebra in which equal functions give equal bits, the ground on which the oracle
// proves two graphs equal (polynomial identity testing).
//
// - A residue modulo a prime p < 2^19.5, held as an integer in a double, so that a sum of 2^13 products is
//   exact and the double matrix product is the field's. A float constant m*2^e maps exactly.
// - Non-linear functions are uninterpreted: a hash of (name, operand), with cheap identities built in
//   (odd and even functions, exp(-x) = 1/exp(x)).
// - Order (Max, Relu, TopK, compare, ...) is one random total order in which known constants keep their
//   real order.
// Every operation is a function of residues alone, so that equal functions can never be told apart; one run
// with a random prime and seed wrongly equates different values with probability about 1/p for each scalar.
//
// A FieldContext is bound to the current thread while a graph executes; contexts are immutable once built.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace assay {

class FieldContext {
 public:
  // `seed` picks prime, hashes and order. `constants` are the real numbers that keep their order;
  // `quantile_power` moves them in the order (1 = evenly spread; LabOptions in oracle/lab.h).
  FieldContext(uint64_t seed, std::vector<double> constants, double quantile_power = 1.0);

  double p() const { return p_; }
  double Embed(double c) const;                // exact residue of a constant
  double Inverse(double r) const;              // of 0: a fixed random residue
  double HashTo(uint64_t key) const;           // a random residue in [1, p)
  uint64_t seed() const { return seed_; }
  // Position of a residue in the total order; distinct residues (almost) never share one.
  double OrderKey(double r) const;
  // The real number of a residue that is a known constant; false otherwise.
  bool KnownConstant(double r, double* c) const;
  // The real number that a residue stands for where one must be had (a scale, the end of a range): a known
  // constant, or else n/d with d <= 16 and |n| <= 1024. A random residue is taken for one by chance 1 in 30.
  bool Real(double r, double* c) const;

  static const FieldContext* current();

 private:
  friend class FieldScope;
  double p_, inv_p_;
  uint64_t seed_;
  double sqrt2_, special_[8];
  std::vector<double> pow2_;                   // 2^e mod p, e from -1100
  std::vector<uint8_t> known_bit_;             // residue is a known constant
  std::vector<std::pair<double, std::pair<double, double>>> known_;  // residue -> (real, order key), sorted
};

// Binds a context to this thread for its lifetime.
class FieldScope {
 public:
  explicit FieldScope(const FieldContext* context);
  ~FieldScope();
  FieldScope(const FieldScope&) = delete;
  FieldScope& operator=(const FieldScope&) = delete;

 private:
  const FieldContext* previous_;
};

namespace field_internal {
struct Modulus {
  double p = 524287, inv_p = 1.0 / 524287;
};
// A hot copy of the current prime. constinit spares every use the check for dynamic initialisation.
extern constinit thread_local Modulus modulus;
}  // namespace field_internal

struct Fp {
  double r = 0;  // residue in [0, p)

  Fp() = default;
  Fp(double c);                                            // NOLINT: embeds a constant
  Fp(float c) : Fp(static_cast<double>(c)) {}              // NOLINT
  Fp(int c) { *this = Reduce(c); }                         // NOLINT: the same without a table look-up
  Fp(int64_t c);                                           // NOLINT: exact for all 64 bits
  static Fp Raw(double residue) { Fp f; f.r = residue; return f; }
  // Any integer-valued double below 2^53 in magnitude to its residue.
  static Fp Reduce(double x) {
    double p = field_internal::modulus.p;
    double q = __builtin_floor(x * field_internal::modulus.inv_p);
    double r = x - q * p;  // q is exact or off by one; the product is exact since |q*p| < 2^53
    if (r < 0) r += p;
    if (r >= p) r -= p;
    return Raw(r);
  }

  friend Fp operator+(Fp a, Fp b) {
    double s = a.r + b.r, p = field_internal::modulus.p;
    return Raw(s >= p ? s - p : s);
  }
  friend Fp operator-(Fp a, Fp b) {
    double s = a.r - b.r;
    return Raw(s < 0 ? s + field_internal::modulus.p : s);
  }
  friend Fp operator-(Fp a) { return Raw(a.r == 0 ? 0 : field_internal::modulus.p - a.r); }
  friend Fp operator*(Fp a, Fp b) { return Reduce(a.r * b.r); }
  friend Fp operator/(Fp a, Fp b);
  Fp& operator+=(Fp b) { return *this = *this + b; }
  Fp& operator-=(Fp b) { return *this = *this - b; }
  Fp& operator*=(Fp b) { return *this = *this * b; }
  Fp& operator/=(Fp b) { return *this = *this / b; }
  friend bool operator==(Fp a, Fp b) { return a.r == b.r; }
  friend bool operator!=(Fp a, Fp b) { return a.r != b.r; }
  friend bool operator<(Fp a, Fp b);
  friend bool operator>(Fp a, Fp b) { return b < a; }
  friend bool operator<=(Fp a, Fp b) { return a.r == b.r || a < b; }
  friend bool operator>=(Fp a, Fp b) { return a.r == b.r || b < a; }
};
static_assert(sizeof(Fp) == sizeof(double), "the double kernels run on Fp arrays");

// Symmetry of an uninterpreted function.
enum class Parity : uint8_t { kNone, kOdd, kEven, kExp /* f(-x) = 1/f(x), f(0) = 1 */ };
// f(x) for a function without a field meaning; `name` carries its parameters too.
Fp Uninterpreted(std::string_view name, Fp x, Parity parity = Parity::kNone);
Fp Uninterpreted(std::string_view name, Fp x, Fp y);
// A 64-bit hash of a residue under the current context, e.g. for indices derived from data.
uint64_t HashOf(std::string_view name, Fp x);

}  // namespace assay
