#include "tools/io/elements.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "ir/half.h"
#include "tests/support/data_files.h"

using namespace gradc;
using gradc_test::user_error;

namespace {

template <typename To, typename From>
std::vector<To> convert(DType from_type, const std::vector<From>& from, DType to_type,
                        double divisor = 1) {
  std::vector<To> to(from.size());
  convert_elements(from_type, std::as_bytes(std::span(from)), to_type,
                   std::as_writable_bytes(std::span(to)), divisor);
  return to;
}

}  // namespace

TEST_CASE("every f16 value survives f32 and back", "[elements]") {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    auto half = static_cast<uint16_t>(bits);
    float value = f16_to_f32(half);
    // The definition: (-1)^s 2^(e-15) (1 + m/1024), or 2^-14 (m/1024) where e is 0.
    int exponent = static_cast<int>(bits >> 10 & 31), mantissa = static_cast<int>(bits & 1023);
    if (exponent == 31 && mantissa != 0) {
      REQUIRE(std::isnan(value));
      REQUIRE(std::isnan(f16_to_f32(f32_to_f16(value))));
      continue;
    }
    double expected = exponent == 31  ? INFINITY
                      : exponent == 0 ? std::ldexp(mantissa, -24)
                                      : std::ldexp(1024 + mantissa, exponent - 25);
    REQUIRE(value == static_cast<float>(bits >> 15 ? -expected : expected));
    REQUIRE(f32_to_f16(value) == half);
  }
}

TEST_CASE("rounding to 16 bits is to nearest, ties to even", "[elements]") {
  // Halfway between neighbours, and just beside: the neighbour with an even last bit wins a tie.
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    float low = f16_to_f32(static_cast<uint16_t>(bits)),
          high = f16_to_f32(static_cast<uint16_t>(bits + 1));
    float middle = low + (high - low) / 2;
    REQUIRE(f32_to_f16(middle) == (bits % 2 == 0 ? bits : bits + 1));
    REQUIRE(f32_to_f16(std::nextafter(middle, 0.0f)) == bits);
    REQUIRE(f32_to_f16(std::nextafter(middle, 1e9f)) == bits + 1);
  }
  CHECK(f32_to_f16(65519.99f) == 0x7bff);
  CHECK(f32_to_f16(65520) == 0x7c00);
  CHECK(f32_to_f16(-1e30f) == 0xfc00);
  CHECK(f32_to_bf16(std::bit_cast<float>(0x3f808000u)) == 0x3f80);
  CHECK(f32_to_bf16(std::bit_cast<float>(0x3f818000u)) == 0x3f82);
  CHECK(f32_to_bf16(std::bit_cast<float>(0x3f808001u)) == 0x3f81);
  CHECK(f32_to_bf16(3.4e38f) == 0x7f80);
  CHECK(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7f800001u)))));
}

TEST_CASE("bytes become floats exactly as a division by 255 in f32", "[elements]") {
  std::vector<uint8_t> bytes(256);
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<uint8_t>(i);
  std::vector<float> pixels = convert<float>(DType::u8, bytes, DType::f32, 255);
  for (size_t i = 0; i < bytes.size(); ++i)
    CHECK(pixels[i] == static_cast<float>(i) / 255.0f);
}

TEST_CASE("integers that fit are converted, others are errors", "[elements]") {
  std::vector<int64_t> labels(1000, 9);  // longer than one block
  labels[999] = -7;
  std::vector<int32_t> narrow = convert<int32_t>(DType::i64, labels, DType::i32);
  CHECK(narrow[0] == 9);
  CHECK(narrow[999] == -7);
  auto i64_to_i32 = [](int64_t value) {
    return user_error([=] { convert<int32_t>(DType::i64, std::vector{value}, DType::i32); });
  };
  CHECK(i64_to_i32(INT32_MAX) == "");
  CHECK(i64_to_i32(INT32_MIN) == "");
  CHECK(i64_to_i32(int64_t{INT32_MAX} + 1) == "error: 2147483648 does not fit into 32 bits");
  CHECK(i64_to_i32(int64_t{INT32_MIN} - 1) == "error: -2147483649 does not fit into 32 bits");
  CHECK(user_error([] { convert<uint8_t>(DType::i16, std::vector<int16_t>{-1}, DType::u8); }) ==
        "error: -1 does not fit into 8 bits");
  std::vector<int64_t> large = {INT64_MAX, INT64_MIN};
  CHECK(convert<int64_t>(DType::i64, large, DType::i64) == large);
  CHECK(convert<uint8_t>(DType::i32, std::vector<int32_t>{0, 5, -1}, DType::boolean) ==
        std::vector<uint8_t>{0, 1, 1});
}

TEST_CASE("floats become floats, never integers", "[elements]") {
  CHECK(converts(DType::f64, DType::bf16));
  CHECK(converts(DType::boolean, DType::f32));
  CHECK(converts(DType::u8, DType::i64));
  CHECK_FALSE(converts(DType::f32, DType::i32));
  CHECK_FALSE(converts(DType::f16, DType::boolean));
  CHECK(convert<uint16_t>(DType::f64, std::vector{1.0, -2.0}, DType::f16) ==
        std::vector<uint16_t>{0x3c00, 0xc000});
  CHECK(convert<double>(DType::bf16, std::vector<uint16_t>{0x3fc0}, DType::f64) ==
        std::vector{1.5});
}
