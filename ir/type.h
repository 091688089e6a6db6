#pragma once
// Element types and static shapes. Tensors are dense and row-major.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gradc {

// The order is that of gradc_dtype in runtime/gradc_runtime.h.
enum class DType : uint8_t { f32, f64, f16, bf16, i8, u8, i16, i32, i64, boolean };
inline constexpr int kDTypeCount = 10;

std::string_view name_of(DType dtype);  // "f32", ..., "bool"
std::optional<DType> dtype_named(std::string_view name);
int64_t byte_size(DType dtype);  // of one element
bool is_float(DType dtype);
bool is_integer(DType dtype);  // neither float nor bool

using Dims = std::vector<int64_t>;

struct Type {
  DType dtype = DType::f32;
  Dims dims;

  int64_t rank() const { return static_cast<int64_t>(dims.size()); }
  int64_t elements() const;
  int64_t bytes() const { return elements() * byte_size(dtype); }
  bool operator==(const Type&) const = default;
};

inline Type scalar_type(DType dtype) {
  return Type{dtype, {}};
}

std::string to_string(const Type& type);  // f32[128,784]; f32[] for a scalar
std::string to_string(const Dims& dims);  // [128,784]

// A size, and what attributes say of sizes, is below 2^31, so that shape rules may add and multiply
// two of them; a tensor has at most 2^40 elements, so that sums of bytes stay far from 2^63, and
// 64 axes, as in other libraries of arrays.
inline constexpr int64_t kMaxSize = (int64_t{1} << 31) - 1;
inline constexpr int64_t kMaxElements = int64_t{1} << 40;
inline constexpr int64_t kMaxRank = 64;
void check_size(const Type& type);  // fails with what is too large

int64_t element_count(const Dims& dims);  // INT64_MAX if it is larger
Dims row_major_strides(const Dims& dims);  // in elements
// `axis` counted from the end when negative; fails when out of [-rank, rank).
int64_t normalize_axis(int64_t axis, int64_t rank);
// 0..rank-1 without `axes`, which must be sorted or not, but unique and in range.
std::vector<int64_t> other_axes(const std::vector<int64_t>& axes, int64_t rank);
bool contains(const std::vector<int64_t>& values, int64_t value);
bool all_are(const std::vector<int64_t>& values, int64_t value);

}  // namespace gradc
