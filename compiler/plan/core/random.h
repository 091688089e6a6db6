#pragma once
// Random choices of a search that come out the same on every machine.
#include <cstddef>
#include <cstdint>

namespace gradc {

// Knuth's 64-bit linear congruential generator.
class Random {
 public:
  explicit Random(uint64_t seed = 1) : state_(seed) {}
  size_t below(size_t bound) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>((state_ >> 33) * bound >> 31);
  }
  double between(double low, double high) {
    return low + (high - low) * static_cast<double>(below(1 << 20)) / (1 << 20);
  }

 private:
  uint64_t state_;
};

}  // namespace gradc
