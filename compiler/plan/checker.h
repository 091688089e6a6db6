#pragma once
// Checks a plan without trusting the planner: it shares only the rules of storage.h with it.
#include <cstdint>
#include <optional>

#include "ir/module.h"

namespace gradc {

// Replays a planned entry over a map of the bytes of the arena, the state and the outputs. Fails
// unless
//   - every read finds the value that it names, whole: not overwritten by another value, by a
//     recomputation or by a kernel's scratch, and for state not by the result tied to it;
//   - results share bytes with operands only where the kernel's `inplace` allows, and with other
//     results or the scratch of their call never;
//   - every value of the arena, and the scratch of every kernel that needs some, has a place that
//     is aligned and inside of the arena, and the arena is within `budget`;
//   - every output and every tied state tensor holds its result at the end.
void check_memory(const Module& module, const Function& planned, int threads,
                  std::optional<int64_t> budget);

// Fails unless `planned` computes what `original` does: every kernel of the original runs, ops that
// the original does not have are exact repetitions of ones it has, or give one of its values by a
// recipe of the module from others (one that rounds only with `rounding`), and parameters and
// results are the same, each result made once.
void check_computation(const Module& module, const Function& original, const Function& planned,
                       bool rounding);

}  // namespace gradc
