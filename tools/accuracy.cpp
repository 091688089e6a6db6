#include "tools/accuracy.h"

#include <algorithm>
#include <cstring>

namespace gradc {
namespace {

int64_t label_at(std::span<const std::byte> labels, DType dtype, int64_t i) {
  if (dtype == DType::i64) {
    int64_t value = 0;
    std::memcpy(&value, labels.data() + i * 8, 8);
    return value;
  }
  int32_t value = 0;
  std::memcpy(&value, labels.data() + i * 4, 4);
  return value;
}

}  // namespace

std::optional<ClassAxis> class_axis(const Type& scores, const Type& labels) {
  bool whole_labels = labels.dtype == DType::i32 || labels.dtype == DType::i64;
  if (!whole_labels || scores.dtype != DType::f32 || scores.rank() != labels.rank() + 1)
    return std::nullopt;
  for (int64_t axis : {int64_t{1}, scores.rank() - 1}) {
    Dims rest = scores.dims;
    if (axis >= scores.rank())
      continue;
    rest.erase(rest.begin() + axis);
    if (rest == labels.dims)
      return ClassAxis{element_count(Dims(rest.begin(), rest.begin() + axis)),
                       scores.dims[static_cast<size_t>(axis)],
                       element_count(Dims(rest.begin() + axis, rest.end()))};
  }
  return std::nullopt;
}

int64_t count_correct(const ClassAxis& axis, std::span<const std::byte> scores,
                      std::span<const std::byte> labels, DType label_type,
                      int64_t first_positions) {
  const auto* values = reinterpret_cast<const float*>(scores.data());
  int64_t correct = 0;
  for (int64_t i = 0; i < std::min(first_positions, axis.outer * axis.inner); ++i) {
    const float* begin = values + i / axis.inner * axis.classes * axis.inner + i % axis.inner;
    int64_t best = 0;
    for (int64_t c = 1; c < axis.classes; ++c)
      if (begin[c * axis.inner] > begin[best * axis.inner])
        best = c;
    correct += best == label_at(labels, label_type, i);
  }
  return correct;
}

}  // namespace gradc
