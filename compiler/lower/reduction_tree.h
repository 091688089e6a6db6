#pragma once
// The order in which a reduction combines elements: a function of the operand's dims, the axes and
// the target's lanes alone, so that the bits of a result never depend on fusion or threads.
//
// Neighbouring axes of one kind, kept or reduced, form a group. Let L be the lanes of f32.
//
// - The first reduced group is cut into `chunks` of `chunk` indices, the last one shorter. More
//   than one chunk is used only where the kept axes alone give threads too little to share, and for
//   many rows whose columns are kept, which a kernel with work in each row shares by rows.
// - Within a chunk, reduced groups are loops in order; each adds what the groups inside of it give.
// - If the last group is reduced, it runs across the lanes: index i goes to lane i % L of vector
//   (i / L) % 4, and lanes and vectors are folded by halves
//   (compiler/codegen/emit_vector_loop.cpp).
// - If the last group is kept, its elements are the lanes. The innermost reduced group then adds to
//   `kStrands` sums, index i to sum i % kStrands, that are folded in order.
// - The chunks' values are added in order.
#include <vector>

#include "compiler/target.h"
#include "ir/type.h"

namespace gradc {

struct ReductionGroup {
  Dims dims;  // of the axes in it
  bool reduced = false;
  int64_t extent() const { return element_count(dims); }
};

struct ReductionTree {
  static constexpr int64_t kStrands = 2;

  std::vector<ReductionGroup> groups;
  int64_t chunk = 0, chunks = 1;  // of the first reduced group
  bool lanes_reduce = true;  // the last group is a reduced one

  std::vector<size_t> reduced() const;  // indices of the reduced groups, outermost first
  std::vector<size_t> kept() const;
};

ReductionTree reduction_tree(const Dims& dims, const std::vector<int64_t>& axes,
                             const Target& target);

}  // namespace gradc
