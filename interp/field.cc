#include "interp/field.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <mutex>

#include "interp/choices.h"
#include "interp/result.h"

namespace assay {
namespace field_internal {
constinit thread_local Modulus modulus;
}
namespace {

thread_local const FieldContext* current_context = nullptr;

// |x|^power is only for placing constants in the random order; exact bits don't matter to a verdict.
constexpr int kMinExponent = -1100, kMaxExponent = 1100;

bool IsPrime(int64_t n) {
  for (int64_t d = 3; d * d <= n; d += 2) {
    if (n % d == 0) return false;
  }
  return n % 2 != 0;
}

// Primes below 2^19.5 (so that 2^13 products sum below 2^53) for which 2 is a square, so that sqrt(2) exists.
const std::vector<int64_t>& Primes() {
  static const std::vector<int64_t> primes = [] {
    std::vector<int64_t> v;
    for (int64_t n = 741455; v.size() < 64; --n) {
      if ((n % 8 == 1 || n % 8 == 7) && IsPrime(n)) v.push_back(n);
    }
    return v;
  }();
  return primes;
}

int64_t PowMod(int64_t base, int64_t exp, int64_t p) {
  int64_t r = 1;
  for (base %= p; exp > 0; exp >>= 1, base = base * base % p) {
    if (exp & 1) r = r * base % p;
  }
  return r;
}

// The real constants that frameworks round differently; within one float ulp they are the number itself.
struct Special {
  double value;
  int kind;
};
constexpr double kSqrt2 = 1.41421356237309504880, kPi = 3.14159265358979323846;
const Special kSpecials[] = {
    {kSqrt2, 0},     {kSqrt2 / 2, 1}, {0.79788456080286535588, 2} /* sqrt(2/pi) */,
    {kPi, 3},        {2.71828182845904523536, 4}, {0.69314718055994530942, 5} /* ln 2 */,
};

uint64_t HashName(std::string_view s) {
  uint64_t h = 0xcbf29ce484222325ULL;
  for (char c : s) h = (h ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
  return h;
}

// What depends on the prime alone, made once a prime: powers of 2 and a square root of 2.
struct PrimeTables {
  std::once_flag once;
  std::vector<double> pow2;
  int64_t root = 0;
};
const PrimeTables& TablesOf(size_t index) {
  static std::vector<PrimeTables> tables(Primes().size());
  PrimeTables& t = tables[index];
  std::call_once(t.once, [&] {
    int64_t p = Primes()[index], v = PowMod((p + 1) / 2, -kMinExponent, p);
    t.pow2.resize(kMaxExponent - kMinExponent + 1);
    for (double& power : t.pow2) power = static_cast<double>(v), v = v * 2 % p;
    // p = 7 mod 8 has the root 2^((p+1)/4); otherwise search.
    if (p % 4 == 3) t.root = PowMod(2, (p + 1) / 4, p);
    else for (t.root = 2; t.root * t.root % p != 2; ++t.root) {}
  });
  return t;
}

// Known constants are few: a small filter by the low bits of the residue, then a search.
constexpr size_t kFilter = 4096;
size_t FilterAt(double r) { return static_cast<size_t>(r) % kFilter; }

}  // namespace

FieldContext::FieldContext(uint64_t seed, std::vector<double> constants, double quantile_power) : seed_(Mix(seed)) {
  size_t prime = Mix(seed_ ^ 1) % Primes().size();
  p_ = static_cast<double>(Primes()[prime]);
  inv_p_ = 1.0 / p_;
  int64_t p = static_cast<int64_t>(p_), half = (p + 1) / 2, root = TablesOf(prime).root;
  pow2_ = TablesOf(prime).pow2;
  sqrt2_ = static_cast<double>(root);
  for (int i = 0; i < 8; ++i) special_[i] = HashTo(0x5bec1a10 + i);
  special_[0] = sqrt2_;
  special_[1] = static_cast<double>(root * half % p);
  for (double c : {-1.0, 0.0, 1.0}) constants.push_back(c);
  std::erase_if(constants, [](double c) { return std::isnan(c); });
  std::sort(constants.begin(), constants.end());
  constants.erase(std::unique(constants.begin(), constants.end()), constants.end());
  known_bit_.assign(kFilter, 0);
  for (size_t i = 0; i < constants.size(); ++i) {
    double r = Embed(constants[i]);
    bool seen = std::any_of(known_.begin(), known_.end(), [&](const auto& k) { return k.first == r; });
    if (seen) continue;  // within an ulp of one before it
    known_bit_[FilterAt(r)] = 1;
    double q = std::pow(static_cast<double>(i + 1) / static_cast<double>(constants.size() + 1), quantile_power);
    // The largest finite float and beyond bounds nothing.
    if (constants[i] >= 3.4e38) q = 2;
    if (constants[i] <= -3.4e38) q = -1;
    known_.push_back({r, {constants[i], q}});
  }
  std::sort(known_.begin(), known_.end());
}

double FieldContext::HashTo(uint64_t key) const {
  return 1 + static_cast<double>(Mix(seed_ ^ Mix(key)) % static_cast<uint64_t>(p_ - 1));
}

double FieldContext::Embed(double c) const {
  if (c == 0) return 0;
  if (!std::isfinite(c)) return HashTo(std::isnan(c) ? 0x7ff1 : (c > 0 ? 0x7ff2 : 0x7ff3));
  double a = std::fabs(c);
  constexpr double kUlp = 0x1p-23;
  double r = -1;
  if (a < 1 && a > 1e-6) {
    double n = std::nearbyint(1 / a);
    // 1/n of a float or double is meant as the fraction; powers of two are exact anyway.
    if (n < 1e6 && std::fabs(a * n - 1) <= kUlp / 2) r = Inverse(n - std::floor(n * inv_p_) * p_);
  }
  if (r < 0 && a > 0.6 && a < 3.2) {
    for (const Special& s : kSpecials) {
      if (std::fabs(a - s.value) <= kUlp * s.value) r = special_[s.kind];
    }
  }
  if (r < 0) {
    // a = mantissa * 2^e. The constants of a model are many, and nearly all of them float: 24 bits.
    bool subnormal = a < std::numeric_limits<double>::min();
    uint64_t bits = std::bit_cast<uint64_t>(subnormal ? a * 0x1p60 : a);
    uint64_t mantissa = (bits & ((uint64_t{1} << 52) - 1)) | uint64_t{1} << 52;
    int e = static_cast<int>(bits >> 52) - 1075 - (subnormal ? 60 : 0);
    if (mantissa % (1 << 29) == 0) mantissa >>= 29, e += 29;
    else mantissa %= static_cast<uint64_t>(p_);
    double x = static_cast<double>(mantissa) * pow2_[static_cast<size_t>(e - kMinExponent)];
    r = x - std::floor(x * inv_p_) * p_;
    if (r < 0) r += p_;
    if (r >= p_) r -= p_;
  }
  return c < 0 && r != 0 ? p_ - r : r;
}

double FieldContext::Inverse(double x) const {
  int64_t a = static_cast<int64_t>(x), p = static_cast<int64_t>(p_);
  if (a == 0) return HashTo(0xd1f0);
  int64_t r0 = p, r1 = a, t0 = 0, t1 = 1;
  while (r1 != 0) {
    int64_t q = r0 / r1;
    int64_t r2 = r0 - q * r1, t2 = t0 - q * t1;
    r0 = r1, r1 = r2, t0 = t1, t1 = t2;
  }
  return static_cast<double>(t0 < 0 ? t0 + p : t0);
}

bool FieldContext::KnownConstant(double r, double* c) const {
  if (!known_bit_[FilterAt(r)]) return false;
  auto it = std::lower_bound(known_.begin(), known_.end(), r, [](const auto& k, double v) { return k.first < v; });
  if (it == known_.end() || it->first != r) return false;
  *c = it->second.first;
  return true;
}

bool FieldContext::Real(double r, double* c) const {
  if (KnownConstant(r, c)) return true;
  constexpr int kMaxDenominator = 16;
  constexpr double kMaxNumerator = 1024;
  for (int d = 1; d <= kMaxDenominator; ++d) {
    double n = r * d - std::floor(r * d * inv_p_) * p_;
    if (n < 0) n += p_;
    if (n >= p_) n -= p_;
    if (n > p_ / 2) n -= p_;
    if (std::fabs(n) <= kMaxNumerator) return *c = n / d, true;
  }
  return false;
}

double FieldContext::OrderKey(double r) const {
  if (known_bit_[FilterAt(r)]) {
    auto it = std::lower_bound(known_.begin(), known_.end(), r, [](const auto& k, double v) { return k.first < v; });
    if (it != known_.end() && it->first == r) return it->second.second;
  }
  // A finalizer of its own, because comparisons are many: splitmix64's.
  uint64_t h = (static_cast<uint64_t>(r) + seed_) * 0x9e3779b97f4a7c15ULL;
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ULL;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebULL;
  return static_cast<double>((h ^ (h >> 31)) >> 11) * 0x1p-53;
}

const FieldContext* FieldContext::current() { return current_context; }

FieldScope::FieldScope(const FieldContext* context) : previous_(current_context) {
  current_context = context;
  if (context) field_internal::modulus = {context->p_, context->inv_p_};
}
FieldScope::~FieldScope() {
  current_context = previous_;
  if (previous_) field_internal::modulus = {previous_->p_, previous_->inv_p_};
}

Fp::Fp(double c) {
  CHECK(current_context != nullptr);
  r = current_context->Embed(c);
}
Fp::Fp(int64_t c) {
  int64_t p = static_cast<int64_t>(field_internal::modulus.p), m = c % p;
  r = static_cast<double>(m < 0 ? m + p : m);
}
Fp operator/(Fp a, Fp b) { return a * Fp::Raw(current_context->Inverse(b.r)); }
bool operator<(Fp a, Fp b) {
  if (a.r == b.r) return false;
  double ka = current_context->OrderKey(a.r), kb = current_context->OrderKey(b.r);
  return ka != kb ? ka < kb : a.r < b.r;
}

uint64_t HashOf(std::string_view name, Fp x) {
  return Mix(current_context->seed() ^ Mix(HashName(name) ^ static_cast<uint64_t>(x.r)));
}

Fp Uninterpreted(std::string_view name, Fp x, Parity parity) {
  Fp pos = x;
  bool negated = false;
  if (parity != Parity::kNone && x.r > field_internal::modulus.p / 2) {
    pos = -x;
    negated = true;
  }
  if (pos.r == 0 && parity == Parity::kOdd) return Fp();
  if (pos.r == 0 && parity == Parity::kExp) return Fp(1.0);
  Fp h = Fp::Raw(current_context->HashTo(HashName(name) ^ static_cast<uint64_t>(pos.r)));
  if (!negated || parity == Parity::kEven) return h;
  return parity == Parity::kOdd ? -h : Fp(1.0) / h;
}

Fp Uninterpreted(std::string_view name, Fp x, Fp y) {
  return Fp::Raw(current_context->HashTo(Mix(HashName(name) ^ static_cast<uint64_t>(x.r)) ^
                                         (static_cast<uint64_t>(y.r) << 20)));
}

}  // namespace assay
