// Choices: the one source of randomness. It is fed by a seed or by bytes (libFuzzer), so that campaign,
// unit test and fuzz target run the same code. Deterministic on every machine: no std::*_distribution.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>
#include <vector>

namespace assay {

// Mixes 64 bits (splitmix64 finaliser); the base of all seeds derived from seeds.
uint64_t Mix(uint64_t x);
// A new seed from a seed and an index: case i of campaign s has seed MixSeeds(s, i).
uint64_t MixSeeds(uint64_t seed, uint64_t index);

class Choices {
 public:
  explicit Choices(uint64_t seed);
  // Decodes decisions from bytes; when they run out every choice is 0 (the smallest decision).
  // `bytes` must outlive the object.
  explicit Choices(std::span<const uint8_t> bytes);

  uint64_t Bits();                          // 64 random bits
  uint64_t Below(uint64_t n);               // uniform in [0, n); n >= 1
  int64_t Between(int64_t lo, int64_t hi);  // uniform in [lo, hi], lo <= hi
  bool Chance(double p);                    // true with probability p
  double Uniform();                         // in [0, 1)
  double Uniform(double lo, double hi) { return lo + (hi - lo) * Uniform(); }
  double Normal();                          // mean 0, variance 1 (sum of uniforms: no libm, same bytes everywhere)
  bool exhausted() const { return from_bytes_ && at_ >= bytes_.size(); }

  template <class T>
  const T& Pick(const std::vector<T>& items) {
    return items[Below(items.size())];
  }
  template <class T>
  T PickOf(std::initializer_list<T> items) {
    return *(items.begin() + Below(items.size()));
  }
  template <class T>
  void Shuffle(std::vector<T>& items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[Below(i)]);
  }

 private:
  bool from_bytes_ = false;
  uint64_t state_ = 0;
  std::span<const uint8_t> bytes_;
  size_t at_ = 0;
};

}  // namespace assay
