#include "compiler/import/onnx/constant.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "ir/diagnostic.h"
#include "ir/half.h"

namespace gradc::onnx {
namespace {

// 16-bit floats as they are stored.
template <DType type>
struct Half {
  uint16_t bits;
  explicit operator double() const {
    return double{type == DType::f16 ? f16_to_f32(bits) : bf16_to_f32(bits)};
  }
  static Half from(double value) {
    auto narrow = static_cast<float>(value);
    return {type == DType::f16 ? f32_to_f16(narrow) : f32_to_bf16(narrow)};
  }
};

// Calls f with a value of the C++ type that holds elements of `dtype`.
template <typename F>
auto with_element(DType dtype, F f) {
  switch (dtype) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::f16:
      return f(Half<DType::f16>{});
    case DType::bf16:
      return f(Half<DType::bf16>{});
    case DType::i8:
      return f(int8_t{});
    case DType::u8:
      return f(uint8_t{});
    case DType::i16:
      return f(int16_t{});
    case DType::i32:
      return f(int32_t{});
    case DType::i64:
      return f(int64_t{});
    case DType::boolean:
      return f(false);
  }
  GRADC_CHECK(false, "unknown element type");
}

template <typename T>
T read(const Constant& constant, size_t i) {
  if constexpr (std::is_same_v<T, bool>) {
    return constant.content.bytes[i] != std::byte{0};
  } else {
    T value;
    std::memcpy(&value, constant.content.bytes.data() + i * sizeof(T), sizeof(T));
    return value;
  }
}

template <typename T>
T from_double(double value) {
  if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(value);
  } else if constexpr (std::is_same_v<T, bool>) {
    return value != 0;
  } else if constexpr (std::is_integral_v<T>) {
    if (std::isnan(value))
      return 0;
    // The largest i64 rounds up to 2^63, which is out of range.
    if (value >= static_cast<double>(std::numeric_limits<T>::max()))
      return std::numeric_limits<T>::max();
    return static_cast<T>(std::max(value, static_cast<double>(std::numeric_limits<T>::min())));
  } else {
    return T::from(value);
  }
}

size_t count(const Constant& constant) {
  return static_cast<size_t>(constant.type.elements());
}

}  // namespace

ConstantPtr constant_of(const Type& type, SharedBytes content) {
  GRADC_CHECK(content.bytes.size() == static_cast<size_t>(type.bytes()),
              "{} needs {} bytes, got {}", to_string(type), type.bytes(), content.bytes.size());
  return std::make_shared<const Constant>(Constant{type, std::move(content)});
}

ConstantPtr constant_of(const Tensor& tensor) {
  if (!tensor.dtype)
    fail("tensor `{}` holds {}; supported are f32 f64 f16 bf16 i8 u8 i16 i32 i64 bool", tensor.name,
         name_of(tensor.element_type));
  return constant_of(Type{*tensor.dtype, tensor.dims}, tensor.data);
}

ConstantPtr numbers_constant(const Type& type, const std::vector<double>& values) {
  return from_tensor({type, values});
}

ConstantPtr integers_constant(const std::vector<int64_t>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(int64_t));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return constant_of(Type{DType::i64, {static_cast<int64_t>(values.size())}},
                     SharedBytes(std::move(bytes)));
}

ConstantPtr integer_constant(int64_t value) {
  std::vector<std::byte> bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return constant_of(scalar_type(DType::i64), SharedBytes(std::move(bytes)));
}

ConstantPtr filled_constant(const Type& type, double value) {
  return from_tensor({type, std::vector<double>(static_cast<size_t>(type.elements()), value)});
}

std::vector<int64_t> integers_of(const Constant& constant) {
  if (is_float(constant.type.dtype))
    fail("whole numbers are expected, got {}", to_string(constant.type));
  std::vector<int64_t> values(count(constant));
  with_element(constant.type.dtype, [&](auto element) {
    using T = decltype(element);
    if constexpr (std::is_integral_v<T>)
      for (size_t i = 0; i < values.size(); ++i)
        values[i] = read<T>(constant, i);
  });
  return values;
}

std::vector<double> numbers_of(const Constant& constant) {
  std::vector<double> values(count(constant));
  with_element(constant.type.dtype, [&](auto element) {
    using T = decltype(element);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<double>(read<T>(constant, i));
  });
  return values;
}

std::optional<double> uniform_value(const Constant& constant) {
  std::span<const std::byte> bytes = constant.content.bytes;
  auto size = static_cast<size_t>(byte_size(constant.type.dtype));
  if (bytes.empty() ||
      !std::equal(bytes.begin() + static_cast<ptrdiff_t>(size), bytes.end(), bytes.begin()))
    return std::nullopt;
  Constant first{scalar_type(constant.type.dtype), {constant.content.owner, bytes.first(size)}};
  if (exceeds_double(first))
    return std::nullopt;
  return numbers_of(first)[0];
}

bool exceeds_double(const Constant& constant) {
  if (constant.type.dtype != DType::i64)
    return false;
  constexpr int64_t kExact = int64_t{1} << 53;
  for (size_t i = 0; i < count(constant); ++i)
    if (auto value = read<int64_t>(constant, i); value > kExact || value < -kExact)
      return true;
  return false;
}

gradc::Tensor to_tensor(const Constant& constant) {
  return {constant.type, numbers_of(constant)};
}

ConstantPtr from_tensor(const gradc::Tensor& tensor) {
  std::vector<std::byte> bytes(static_cast<size_t>(tensor.type.bytes()));
  with_element(tensor.type.dtype, [&](auto element) {
    using T = decltype(element);
    for (size_t i = 0; i < tensor.data.size(); ++i) {
      T value = from_double<T>(tensor.data[i]);
      std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
    }
  });
  return constant_of(tensor.type, SharedBytes(std::move(bytes)));
}

gradc::Tensor low_half(const Constant& constant) {
  gradc::Tensor half{constant.type, {}};
  for (int64_t value : integers_of(constant))
    half.data.push_back(static_cast<double>(value & 0xffffffff));
  return half;
}

gradc::Tensor high_half(const Constant& constant) {
  gradc::Tensor half{constant.type, {}};
  for (int64_t value : integers_of(constant))
    half.data.push_back(static_cast<double>(value >> 32));
  return half;
}

ConstantPtr from_halves(const gradc::Tensor& low, const gradc::Tensor& high) {
  std::vector<int64_t> values(low.data.size());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] =
        static_cast<int64_t>(high.data[i]) * (int64_t{1} << 32) + static_cast<int64_t>(low.data[i]);
  return constant_of(low.type, integers_constant(values)->content);
}

}  // namespace gradc::onnx
