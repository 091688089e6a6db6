#pragma once
// A contract op as a nest of loops in which every address is a sum of steps, which is what the
// schedule chooses from and lowering emits:
//   result[sum of result_step * i] += operand 0[sum of step * i] * operand 1[...]
#include <array>
#include <optional>
#include <span>
#include <vector>

#include "ir/loop.h"
#include "ir/module.h"
#include "ir/op_def.h"

namespace gradc {

inline constexpr int64_t kFewestSharedRows = 4;  // of a tile that skips padding

struct ContractionLoop {
  int64_t extent = 1;
  bool summed = false;
  int64_t result_step = 0;  // in elements; 0 where summed
  std::array<bool, 2> moves{};  // whether an index of operand 0, 1 depends on it
};

// A half-open range of whole numbers.
struct Range {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};

// Where an index goes, before the division, when loop l runs over ranges[l].
Range numerators_of(const AffineIndex& index, std::span<const Range> ranges);

struct ContractionNest {
  Op op;
  ValueId result;
  std::array<ValueId, 2> operands;
  std::array<Type, 2> types;  // with axes that a joined loop runs over as one
  Type result_type;
  Contraction contraction;
  bool has_joined_results = false;  // loops that run over several axes of the result
  bool has_channel_parts = false;  // by with_channel_parts
  std::vector<ContractionLoop> loops;  // the result's, then the summed ones
  size_t result_loops = 0;

  // Where index `axis` of an operand goes, before the division, when loop l runs over extents[l].
  Range numerators(size_t operand, size_t axis, const std::vector<int64_t>& extents) const;
  std::vector<int64_t> extents() const;
  // Whether an index of the operand can leave the tensor or fail to divide.
  bool has_padding(size_t operand) const;
  // Whether the operand has an element at some positions of a window only, those of a stride.
  bool is_spread(size_t operand) const;
  // Whether two loops that are longer than 1, not both summed, move one index of the operand.
  bool has_windows(size_t operand) const;
  // Iterations of the result's loops that move the other operand and not this one: how many rows
  // share each of its elements.
  int64_t rows_sharing(size_t operand) const;
  // What loop l adds to an address in the operand's own bytes; no padding.
  int64_t step(size_t operand, size_t l) const;
  int64_t offset(size_t operand) const;
  // Type of the products and sums: f32 for the half types.
  DType sum_dtype() const;
};

// The nest of a contract kernel's one contract op; `kernel` must have one.
ContractionNest contraction_nest(const Function& kernel);

// The same nest with as few loops as there can be: neighbours that run over neighbouring axes of
// the result and the operands, or of none, become one, and so do these axes. The pixels of a
// convolution of one tap are rows of a plain product.
ContractionNest with_joined_loops(ContractionNest nest);

// Where taps lie inside of a weight's channels, and few images share its way into a tile's order: a
// nest that sums some channels after the others, so that the loop over channels becomes two, the
// outermost summed one and the innermost. What is read of the weight for a part of the channels is
// one piece of each output, and when in order fits the first level cache. Shapes alone decide, as
// this is an order of sums.
ContractionNest with_channel_parts(ContractionNest nest);

// Drops loops of one iteration, and makes one of two that walk on evenly.
void join_loops(std::vector<loop::TileLoop>& loops);

}  // namespace gradc
