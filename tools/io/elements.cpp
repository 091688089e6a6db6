#include "tools/io/elements.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "ir/diagnostic.h"
#include "ir/half.h"

namespace gradc {
namespace {

template <typename T>
T load(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <typename T>
void store(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof value);
}

template <typename T>
void load_all(const std::byte* from, size_t count, double* to) {
  for (size_t i = 0; i < count; ++i)
    to[i] = static_cast<double>(load<T>(from + i * sizeof(T)));
}

template <float (*widen)(uint16_t)>
void load_half(const std::byte* from, size_t count, double* to) {
  for (size_t i = 0; i < count; ++i)
    to[i] = widen(load<uint16_t>(from + i * 2));
}

template <typename T>
void store_floats(const double* from, size_t count, std::byte* to) {
  for (size_t i = 0; i < count; ++i)
    store(to + i * sizeof(T), static_cast<T>(from[i]));
}

template <uint16_t (*narrow)(float)>
void store_half(const double* from, size_t count, std::byte* to) {
  for (size_t i = 0; i < count; ++i)
    store(to + i * 2, narrow(static_cast<float>(from[i])));
}

template <typename T>
void store_integers(const double* from, size_t count, std::byte* to) {
  // Both bounds are exact in double, the upper one as a power of two.
  constexpr auto kLow = static_cast<double>(std::numeric_limits<T>::min());
  constexpr double kEnd = static_cast<double>(std::numeric_limits<T>::max() / 2 + 1) * 2;
  for (size_t i = 0; i < count; ++i) {
    if (!(from[i] >= kLow && from[i] < kEnd))
      fail("{} does not fit into {} bits", from[i], sizeof(T) * 8);
    store(to + i * sizeof(T), static_cast<T>(from[i]));
  }
}

void store_booleans(const double* from, size_t count, std::byte* to) {
  for (size_t i = 0; i < count; ++i)
    to[i] = std::byte{from[i] != 0};
}

using Load = void (*)(const std::byte*, size_t, double*);
using Store = void (*)(const double*, size_t, std::byte*);
// By DType.
constexpr Load kLoads[kDTypeCount] = {
    load_all<float>,   load_all<double>,  load_half<f16_to_f32>, load_half<bf16_to_f32>,
    load_all<int8_t>,  load_all<uint8_t>, load_all<int16_t>,     load_all<int32_t>,
    load_all<int64_t>, load_all<uint8_t>};
constexpr Store kStores[kDTypeCount] = {store_floats<float>,     store_floats<double>,
                                        store_half<f32_to_f16>,  store_half<f32_to_bf16>,
                                        store_integers<int8_t>,  store_integers<uint8_t>,
                                        store_integers<int16_t>, store_integers<int32_t>,
                                        store_integers<int64_t>, store_booleans};

}  // namespace

bool converts(DType from, DType to) {
  return is_float(to) || !is_float(from);
}

void convert_elements(DType from_type, std::span<const std::byte> from, DType to_type,
                      std::span<std::byte> to, double divisor) {
  auto from_size = static_cast<size_t>(byte_size(from_type));
  auto to_size = static_cast<size_t>(byte_size(to_type));
  size_t count = to.size() / to_size;
  GRADC_CHECK(converts(from_type, to_type) && from.size() == count * from_size);
  if (from_type == to_type && divisor == 1) {
    std::copy(from.begin(), from.end(), to.begin());
    return;
  }
  // By way of double, which holds every value of the other types but large i64 ones.
  double values[256];
  for (size_t i = 0; i < count; i += std::size(values)) {
    size_t n = std::min(std::size(values), count - i);
    kLoads[static_cast<size_t>(from_type)](&from[i * from_size], n, values);
    if (divisor != 1 && is_float(to_type))
      for (size_t j = 0; j < n; ++j)
        values[j] /= divisor;
    kStores[static_cast<size_t>(to_type)](values, n, &to[i * to_size]);
  }
}

void store_elements(std::span<const double> values, DType to_type, std::span<std::byte> to) {
  GRADC_CHECK(to.size() == values.size() * static_cast<size_t>(byte_size(to_type)));
  kStores[static_cast<size_t>(to_type)](values.data(), values.size(), to.data());
}

}  // namespace gradc
