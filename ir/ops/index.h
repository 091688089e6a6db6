#pragma once
// What reading and adding at positions share. Indices out of range mean the nearest element
// everywhere: nothing is ever read or written outside of a tensor.
#include "ir/ops/rules.h"

namespace gradc::ops {

// Fails unless `indices` are integers.
void check_indices(const Type& indices);
// The element in [0, size) that an index means.
int64_t clamped(double index, int64_t size);
loop::Scalar clamped(loop::Builder& b, loop::Scalar index, int64_t size);  // i64

// A position in dims[:axis] + indices.dims + dims[axis+1:], taken apart: the middle is a position
// in the indices; the ends, with an index between them, a position in dims.
Dims indices_part(const Dims& at, int64_t axis, int64_t indices_rank);
Dims with_index(const Dims& at, int64_t axis, int64_t indices_rank, int64_t index);

// Fails unless x and the indices of gather_elements and scatter_elements fit: one rank, and no
// size of the indices above that of x, but along `axis`.
void check_element_indices(const Type& x, const Type& indices, const Attrs& attrs);

// The axes of x and of the indices of gather_nd and scatter_nd. The indices' last axis holds
// `depth` numbers, one for each axis of x from `batch` on; the axes of x behind those are `inner`.
struct NdAxes {
  int64_t batch = 0, depth = 0;
  Dims places;  // the indices' sizes but the last: batch axes and the others
  Dims inner;  // x's sizes behind the indexed ones
};
NdAxes nd_axes(const Type& x, const Type& indices, const Attrs& attrs);

}  // namespace gradc::ops
