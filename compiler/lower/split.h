#pragma once
// A tensor seen along one of its axes, for the lowerings of custom kernels.
#include "compiler/lower/kernel_values.h"
#include "ir/loop_builder.h"

namespace gradc {

// A tensor as [outer, axis, inner].
struct Split {
  int64_t outer = 1, axis = 1, inner = 1;
};

// With the axes from `begin` up to `end` as one.
inline Split split_at(const Dims& dims, size_t begin, size_t end) {
  auto product = [&](size_t from, size_t to) {
    int64_t count = 1;
    for (size_t i = from; i < to; ++i)
      count *= dims[i];
    return count;
  };
  return {product(0, begin), product(begin, end), product(end, dims.size())};
}

// A loop over independent parts, parallel if the work is worth it; or none for one part.
inline loop::Scalar begin_parts(loop::Builder& b, int64_t parts, bool parallel) {
  if (parts == 1)
    return b.index(0);
  return b.begin_for(parallel ? loop::LoopKind::parallel : loop::LoopKind::serial, parts)[0];
}

// The same over positions in `dims`.
inline std::vector<loop::Scalar> begin_parts(loop::Builder& b, const Dims& dims, bool parallel) {
  return unravel(b, begin_parts(b, element_count(dims), parallel), dims);
}

}  // namespace gradc
