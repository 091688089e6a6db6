#pragma once
// Conversions between f32 and the 16-bit float types; to 16 bits they round to nearest even.
#include <bit>
#include <cstdint>

namespace gradc {

inline float bf16_to_f32(uint16_t bits) {
  return std::bit_cast<float>(uint32_t{bits} << 16);
}

inline uint16_t f32_to_bf16(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000)  // a NaN stays one, quiet
    return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline float f16_to_f32(uint16_t bits) {
  uint32_t sign = uint32_t{bits} >> 15 << 31, rest = bits & 0x7fff;
  if (rest >= 0x7c00)  // infinity and NaN
    return std::bit_cast<float>(sign | 0x7f800000 | (rest & 0x3ff) << 13);
  if (rest < 0x400)  // zero and subnormals: multiples of 2^-24
    return std::bit_cast<float>(sign |
                                std::bit_cast<uint32_t>(static_cast<float>(rest) * 0x1p-24f));
  return std::bit_cast<float>(sign | ((rest << 13) + ((127u - 15u) << 23)));
}

inline uint16_t f32_to_f16(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  uint32_t sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
  if (rest > 0x7f800000)
    return static_cast<uint16_t>(sign | 0x7e00 | (rest >> 13 & 0x3ff));
  if (rest >= 0x47800000)  // 2^16 and above, infinity
    return static_cast<uint16_t>(sign | 0x7c00);
  if (rest <
      0x38800000) {  // below 2^-14: adding 1/2 leaves the rounded multiple of 2^-24 as low bits
    float shifted = std::bit_cast<float>(rest) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000));
  }
  uint32_t rounded = rest + 0xfff + (rest >> 13 & 1);
  return static_cast<uint16_t>(sign | ((rounded - ((127u - 15u) << 23)) >> 13));
}

}  // namespace gradc
