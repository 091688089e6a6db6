#pragma once
// Values of a kernel that are elements of a parameter in another order.
#include <optional>
#include <vector>

#include "ir/module.h"

namespace gradc {

// Where an element of a value lies in a parameter: offset + sum of steps[axis] * index.
struct MovedSource {
  ValueId parameter;
  int64_t offset = 0;
  std::vector<int64_t> steps;
};

// Through transposes, slices, reshapes and copies; none if the value is made of more, or lies at
// no even steps. `definitions` are those of the kernel.
std::optional<MovedSource> moved_source(const Function& kernel,
                                        const std::vector<std::optional<OpId>>& definitions,
                                        ValueId value);

}  // namespace gradc
