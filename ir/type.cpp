#include "ir/type.h"

#include <algorithm>
#include <array>

#include "ir/diagnostic.h"

namespace gradc {
namespace {

struct DTypeInfo {
  std::string_view name;
  int64_t bytes;
};

constexpr std::array<DTypeInfo, kDTypeCount> kDTypes = {{{"f32", 4},
                                                         {"f64", 8},
                                                         {"f16", 2},
                                                         {"bf16", 2},
                                                         {"i8", 1},
                                                         {"u8", 1},
                                                         {"i16", 2},
                                                         {"i32", 4},
                                                         {"i64", 8},
                                                         {"bool", 1}}};

}  // namespace

std::string_view name_of(DType dtype) {
  return kDTypes[static_cast<size_t>(dtype)].name;
}

std::optional<DType> dtype_named(std::string_view name) {
  for (size_t i = 0; i < kDTypes.size(); ++i)
    if (kDTypes[i].name == name)
      return static_cast<DType>(i);
  return std::nullopt;
}

int64_t byte_size(DType dtype) {
  return kDTypes[static_cast<size_t>(dtype)].bytes;
}

bool is_float(DType dtype) {
  return dtype <= DType::bf16;
}

bool is_integer(DType dtype) {
  return dtype >= DType::i8 && dtype <= DType::i64;
}

int64_t Type::elements() const {
  return element_count(dims);
}

std::string to_string(const Dims& dims) {
  return fmt::format("[{}]", fmt::join(dims, ","));
}

std::string to_string(const Type& type) {
  return fmt::format("{}{}", name_of(type.dtype), to_string(type.dims));
}

void check_size(const Type& type) {
  if (type.rank() > kMaxRank)
    fail("a tensor of {} axes; at most {} are taken", type.rank(), kMaxRank);
  for (int64_t dim : type.dims)
    if (dim < 0 || dim > kMaxSize)
      fail("{} has a size of {}; sizes are from 0 to {}", to_string(type), dim, kMaxSize);
  if (type.elements() > kMaxElements)
    fail("{} has more than 2^40 elements", to_string(type));
}

int64_t element_count(const Dims& dims) {
  int64_t count = 1;
  bool overflows = false;
  for (int64_t dim : dims) {
    if (dim == 0)
      return 0;
    overflows |= __builtin_mul_overflow(count, dim, &count);
  }
  return overflows ? INT64_MAX : count;
}

Dims row_major_strides(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;)
    strides[i - 1] = strides[i] * dims[i];
  return strides;
}

int64_t normalize_axis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    fail("axis {} is out of range for {} dimensions", axis, rank);
  return axis < 0 ? axis + rank : axis;
}

bool contains(const std::vector<int64_t>& values, int64_t value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool all_are(const std::vector<int64_t>& values, int64_t value) {
  return std::all_of(values.begin(), values.end(), [&](int64_t x) { return x == value; });
}

std::vector<int64_t> other_axes(const std::vector<int64_t>& axes, int64_t rank) {
  std::vector<int64_t> others;
  for (int64_t axis = 0; axis < rank; ++axis)
    if (!contains(axes, axis))
      others.push_back(axis);
  return others;
}

}  // namespace gradc
