#pragma once
// Where the values of an entry live, derived from the entry itself. The planner, its checker, the
// reports and code emission agree on this and on nothing else.
#include <cstdint>
#include <string_view>
#include <vector>

#include "ir/module.h"

namespace gradc {

enum class Region : uint8_t { arena, state, input, output };
std::string_view name_of(Region region);

struct Storage {
  static constexpr int64_t kUnplaced = -1;

  Region region = Region::arena;
  int64_t index = 0;  // input, output: position in the entry's table; state: in Module::states
  int64_t offset = 0;  // arena, state: bytes from the region's start; kUnplaced before `plan`
  bool operator==(const Storage&) const = default;
};

// Indexed by ValueId, for an entry in the form of compiler/kernel.h (else fails):
//   parameter, bound to state     the state tensor
//   parameter, unbound            input: its position among the unbound parameters
//   call's result, tied to state  the state tensor, overwritten in place
//   call's result, returned       output: its position among the untied results
//   call's other results          the arena, at the value's offset
//   view                          where its operand lives, or a slice's part of that
std::vector<Storage> storage_of(const Module& module, const Function& entry);

// The state region holds the module's state tensors in order, each at a multiple of kAlignment. One
// offset per tensor, then the size of the region.
std::vector<int64_t> state_offsets(const Module& module);
int64_t state_bytes(const Module& module);

// What an entry needs beside its arena.
struct RegionBytes {
  int64_t state = 0, inputs = 0, outputs = 0;
  int64_t total() const { return state + inputs + outputs; }
};
RegionBytes region_bytes(const Module& module, const Function& entry);

}  // namespace gradc
