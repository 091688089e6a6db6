#include "tools/verify/difference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "ir/diagnostic.h"
#include "ir/half.h"

namespace gradc {
namespace {

// An element of a float type as it is stored, and its value.
template <typename Bits, double (*value)(Bits)>
struct FloatElement {
  using Stored = Bits;
  static double number(Bits bits) { return value(bits); }
  // Numbers in the order of their values; both zeros are 0.
  static int64_t rank(Bits bits) {
    constexpr Bits kSign = Bits{1} << (sizeof(Bits) * 8 - 1);
    auto magnitude = static_cast<int64_t>(bits & ~kSign);
    return bits & kSign ? -magnitude : magnitude;
  }
  static constexpr bool kExact = false;
};

template <typename Integer>
struct IntegerElement {
  using Stored = Integer;
  static double number(Integer value) { return static_cast<double>(value); }
  static int64_t rank(Integer value) { return value; }
  static constexpr bool kExact = true;
};

double f32_value(uint32_t bits) {
  return double{std::bit_cast<float>(bits)};
}
double f64_value(uint64_t bits) {
  return std::bit_cast<double>(bits);
}
double f16_value(uint16_t bits) {
  return double{f16_to_f32(bits)};
}
double bf16_value(uint16_t bits) {
  return double{bf16_to_f32(bits)};
}

uint64_t distance(int64_t a, int64_t b) {
  return a > b ? static_cast<uint64_t>(a) - static_cast<uint64_t>(b)
               : static_cast<uint64_t>(b) - static_cast<uint64_t>(a);
}

template <typename Element>
void add_element(Difference& difference, int64_t i, typename Element::Stored got_bits,
                 typename Element::Stored wanted_bits, const Tolerance& tolerance) {
  double got = Element::number(got_bits), wanted = Element::number(wanted_bits);
  uint64_t ulp = distance(Element::rank(got_bits), Element::rank(wanted_bits));
  bool both_nan = std::isnan(got) && std::isnan(wanted);
  if (both_nan || ulp == 0)
    return;
  bool finite = std::isfinite(got) && std::isfinite(wanted);
  double absolute = finite ? std::abs(got - wanted) : std::numeric_limits<double>::infinity();
  difference.absolute = std::max(difference.absolute, absolute);
  if (wanted != 0)
    difference.relative =
        std::max(difference.relative, finite ? absolute / std::abs(wanted) : absolute);
  difference.ulp = std::max(difference.ulp, ulp);
  bool equal = !Element::kExact && finite &&
               absolute <= tolerance.absolute + tolerance.relative * std::abs(wanted);
  if (equal)
    return;
  if (difference.wrong++ == 0) {
    difference.first_wrong = i;
    difference.got = got;
    difference.wanted = wanted;
  }
}

template <typename Element>
Difference compare(std::span<const std::byte> got, std::span<const std::byte> wanted,
                   const Tolerance& tolerance) {
  using Stored = typename Element::Stored;
  Difference result;
  for (size_t i = 0; i < got.size() / sizeof(Stored); ++i) {
    Stored x, y;
    std::memcpy(&x, got.data() + i * sizeof(Stored), sizeof(Stored));
    std::memcpy(&y, wanted.data() + i * sizeof(Stored), sizeof(Stored));
    add_element<Element>(result, static_cast<int64_t>(i), x, y, tolerance);
  }
  return result;
}

using Compare = Difference (*)(std::span<const std::byte>, std::span<const std::byte>,
                               const Tolerance&);
// By DType.
constexpr Compare kCompares[kDTypeCount] = {compare<FloatElement<uint32_t, f32_value>>,
                                            compare<FloatElement<uint64_t, f64_value>>,
                                            compare<FloatElement<uint16_t, f16_value>>,
                                            compare<FloatElement<uint16_t, bf16_value>>,
                                            compare<IntegerElement<int8_t>>,
                                            compare<IntegerElement<uint8_t>>,
                                            compare<IntegerElement<int16_t>>,
                                            compare<IntegerElement<int32_t>>,
                                            compare<IntegerElement<int64_t>>,
                                            compare<IntegerElement<uint8_t>>};

}  // namespace

Difference difference(const Type& type, std::span<const std::byte> got,
                      std::span<const std::byte> wanted, const Tolerance& tolerance) {
  GRADC_CHECK(got.size() == wanted.size() && got.size() == static_cast<size_t>(type.bytes()));
  return kCompares[static_cast<size_t>(type.dtype)](got, wanted, tolerance);
}

}  // namespace gradc
