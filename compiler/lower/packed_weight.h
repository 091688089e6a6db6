#pragma once
// A weight in the order in which the tiles of a product read it, made before the call (pass
// `prepack`): [panels of columns][summed loops][columns of a panel]. The kernel takes it as a
// parameter and brings it back into the weight's order by ops that nothing computes: method `tile`
// reads what they read.
#include <optional>
#include <vector>

#include "compiler/lower/contraction.h"
#include "ir/builder.h"

namespace gradc {

struct PackedOrder {
  int64_t columns = 0;  // of a panel
  // Where a tile finds an element: what the loops add, and what panel after panel.
  std::vector<int64_t> step;
  int64_t panel_step = 0;

  Dims weight, joined;  // the operand's dims, and those that the nest has
  size_t vector_axis = 0;  // of `joined`
  Dims split;  // one axis per loop, two for the columns
  std::vector<int64_t> permutation;  // of `split`: the packed axes

  Dims packed() const;
};

// None if a loop other than `vector_loop` and the summed ones moves the operand, or an index is
// more than the number of an iteration.
std::optional<PackedOrder> packed_order(const Function& kernel, const ContractionNest& nest,
                                        size_t operand, size_t vector_loop, int64_t columns);

// From the weight's order into the packed one, with zeros behind the last column, and back.
ValueId pack_weight(Builder& builder, ValueId weight, const PackedOrder& order);
ValueId unpack_weight(Builder& builder, ValueId packed, const PackedOrder& order);

// The parameter that `value` is unpacked from, if it is.
std::optional<ValueId> packed_source(const Function& kernel, ValueId value,
                                     const PackedOrder& order);

}  // namespace gradc
