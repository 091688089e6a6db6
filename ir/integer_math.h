#pragma once
// Divisions that round another way than C++'s, for y > 0.
#include <cstdint>

namespace gradc {

constexpr int64_t floor_div(int64_t x, int64_t y) {
  return x >= 0 ? x / y : -((-x + y - 1) / y);
}

constexpr int64_t ceil_div(int64_t x, int64_t y) {
  return -floor_div(-x, y);
}

constexpr int64_t round_up(int64_t x, int64_t unit) {
  return ceil_div(x, unit) * unit;
}

}  // namespace gradc
