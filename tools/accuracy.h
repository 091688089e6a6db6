#pragma once
// Classification accuracy of an entry's outputs: which output holds class scores, and how often
// they are right.
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "ir/type.h"

namespace gradc {

// Class scores and the labels that they are for: the scores' dims are the labels' with the class
// axis added.
struct ClassAxis {
  int64_t outer = 0, classes = 0,
          inner = 0;  // scores are [outer, classes, inner], labels [outer, inner]
};

// The class axis is axis 1 if the scores without it have the labels' dims, else the last; nullopt
// if neither.
std::optional<ClassAxis> class_axis(const Type& scores, const Type& labels);

// How many of the first positions (labels in row-major order) have their largest score at the
// label.
int64_t count_correct(const ClassAxis& axis, std::span<const std::byte> scores,
                      std::span<const std::byte> labels, DType label_type, int64_t first_positions);

}  // namespace gradc
