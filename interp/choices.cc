#include "interp/choices.h"

#include <algorithm>

namespace assay {

uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

uint64_t MixSeeds(uint64_t seed, uint64_t index) { return Mix(Mix(seed) ^ Mix(index + 0x5851f42d4c957f2dULL)); }

Choices::Choices(uint64_t seed) : state_(Mix(seed)) {}
Choices::Choices(std::span<const uint8_t> bytes) : from_bytes_(true), bytes_(bytes) {}

uint64_t Choices::Bits() {
  if (!from_bytes_) {
    state_ += 0x9e3779b97f4a7c15ULL;
    uint64_t x = state_;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
  }
  uint64_t x = 0;
  for (int i = 0; i < 8 && at_ < bytes_.size(); ++i) x |= uint64_t{bytes_[at_++]} << (8 * i);
  return x;
}

uint64_t Choices::Below(uint64_t n) {
  if (n <= 1) return 0;
  if (from_bytes_) {
    // As few bytes as the range needs, so that a mutated byte moves one decision.
    uint64_t x = 0;
    for (uint64_t top = n - 1; top > 0; top >>= 8) x = (x << 8) | (at_ < bytes_.size() ? bytes_[at_++] : 0);
    return x % n;
  }
  return static_cast<uint64_t>((static_cast<unsigned __int128>(Bits()) * n) >> 64);
}

int64_t Choices::Between(int64_t lo, int64_t hi) {
  if (hi <= lo) return lo;
  uint64_t span = static_cast<uint64_t>(hi) - static_cast<uint64_t>(lo);
  if (span == ~uint64_t{0}) return static_cast<int64_t>(Bits());
  return static_cast<int64_t>(static_cast<uint64_t>(lo) + Below(span + 1));
}

double Choices::Uniform() {
  if (from_bytes_) return static_cast<double>(Below(65536)) / 65536.0;
  return static_cast<double>(Bits() >> 11) * 0x1p-53;
}

bool Choices::Chance(double p) { return Uniform() < p; }

double Choices::Normal() {
  // Irwin-Hall with twelve 16-bit uniforms from three draws: exact arithmetic, variance 1.
  double sum = 0;
  for (int i = 0; i < 3; ++i) {
    uint64_t x = Bits();
    for (int j = 0; j < 4; ++j, x >>= 16) sum += static_cast<double>(x & 0xffff) / 65536.0;
  }
  return sum - 6.0;
}

}  // namespace assay
