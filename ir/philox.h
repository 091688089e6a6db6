#pragma once
// Philox4x32-10: four random words as a function of a counter and a key (J. Salmon, M. Moraes,
// R. Dror, D. Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
#include <array>
#include <cstdint>

namespace gradc {

inline constexpr int kPhiloxRounds = 10;
inline constexpr std::array<uint32_t, 2> kPhiloxMultipliers = {0xD2511F53, 0xCD9E8D57};
inline constexpr std::array<uint32_t, 2> kPhiloxKeySteps = {0x9E3779B9, 0xBB67AE85};

constexpr std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter,
                                         std::array<uint32_t, 2> key) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    uint64_t product_0 = uint64_t{kPhiloxMultipliers[0]} * counter[0];
    uint64_t product_2 = uint64_t{kPhiloxMultipliers[1]} * counter[2];
    counter = {static_cast<uint32_t>(product_2 >> 32) ^ counter[1] ^ key[0],
               static_cast<uint32_t>(product_2),
               static_cast<uint32_t>(product_0 >> 32) ^ counter[3] ^ key[1],
               static_cast<uint32_t>(product_0)};
    key = {key[0] + kPhiloxKeySteps[0], key[1] + kPhiloxKeySteps[1]};
  }
  return counter;
}

}  // namespace gradc
