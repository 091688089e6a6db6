#include "tools/verify/difference.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "ir/half.h"

using namespace gradc;

namespace {

template <typename T>
std::span<const std::byte> bytes(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

template <typename T>
Difference of(DType dtype, const std::vector<T>& got, const std::vector<T>& wanted,
              const Tolerance& tolerance = {}) {
  Type type{dtype, {static_cast<int64_t>(got.size())}};
  return difference(type, bytes(got), bytes(wanted), tolerance);
}

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

}  // namespace

TEST_CASE("equal tensors do not differ", "[verify]") {
  Difference same =
      of<float>(DType::f32, {1, -2, 0, kInfinity, kNan}, {1, -2, -0.0f, kInfinity, kNan});
  CHECK(same.wrong == 0);
  CHECK(same.absolute == 0);
  CHECK(same.relative == 0);
  CHECK(same.ulp == 0);
  CHECK(same.first_wrong == -1);
  CHECK(of<float>(DType::f32, {}, {}).wrong == 0);
}

TEST_CASE("ULP are counted across zero", "[verify]") {
  float least = std::numeric_limits<float>::denorm_min();
  CHECK(of<float>(DType::f32, {least}, {-least}).ulp == 2);
  CHECK(of<float>(DType::f32, {1}, {std::nextafter(1.0f, 2.0f)}).ulp == 1);
  CHECK(of<double>(DType::f64, {1}, {std::nextafter(1.0, 0.0)}).ulp == 1);
  CHECK(of<uint16_t>(DType::f16, {f32_to_f16(1)}, {f32_to_f16(1.5f)}).ulp == 512);
  CHECK(of<uint16_t>(DType::bf16, {f32_to_bf16(1)}, {f32_to_bf16(1.5f)}).ulp == 64);
}

TEST_CASE("floats are equal within the tolerance", "[verify]") {
  Difference close = of<float>(DType::f32, {100, 8}, {100.0625f, 8}, {1e-3, 0});
  CHECK(close.wrong == 0);
  CHECK(close.absolute == 0.0625);
  CHECK(close.relative == 0.0625 / 100.0625);
  Difference far = of<float>(DType::f32, {8, 100}, {8, 100.0625f}, {1e-4, 0});
  CHECK(far.wrong == 1);
  CHECK(far.first_wrong == 1);
  CHECK(far.got == 100);
  CHECK(far.wanted == 100.0625);
  CHECK(of<float>(DType::f32, {0.5f}, {0}, {0, 0.5}).wrong == 0);
  CHECK(of<float>(DType::f32, {0.5f}, {0}, {1, 0}).wrong == 1);
}

TEST_CASE("infinities and NaNs equal themselves only", "[verify]") {
  Tolerance loose{1e30, 1e30};
  for (auto [got, wanted] : {std::pair{kNan, 1.0f},
                             {1.0f, kNan},
                             {kInfinity, 1.0f},
                             {1.0f, -kInfinity},
                             {kInfinity, -kInfinity},
                             {kNan, kInfinity}}) {
    Difference found = of<float>(DType::f32, {got}, {wanted}, loose);
    CHECK(found.wrong == 1);
    CHECK(std::isinf(found.absolute));
  }
}

TEST_CASE("whole numbers and bools must be the same", "[verify]") {
  Tolerance loose{1, 100};
  Difference far = of<int64_t>(DType::i64, {INT64_MAX, 3}, {INT64_MIN, 3}, loose);
  CHECK(far.wrong == 1);
  CHECK(far.ulp == UINT64_MAX);
  CHECK(of<int64_t>(DType::i64, {(int64_t{1} << 53) + 1}, {int64_t{1} << 53}, loose).wrong == 1);
  CHECK(of<int8_t>(DType::i8, {-1}, {1}, loose).ulp == 2);
  CHECK(of<uint8_t>(DType::u8, {255}, {254}, loose).wrong == 1);
  CHECK(of<uint8_t>(DType::boolean, {1, 0}, {1, 1}, loose).first_wrong == 1);
}
