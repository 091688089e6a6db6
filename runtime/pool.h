#pragma once
// What the runtime's own files know of the pool beyond gradc_runtime.h.
#include "runtime/gradc_runtime.h"

namespace gradc {

// The first index of part `part` of [0, count) cut into `parts` even ranges.
constexpr int64_t part_begin(int64_t count, int64_t parts, int64_t part) {
  int64_t larger = count % parts;  // the first parts have one index more
  return count / parts * part + (part < larger ? part : larger);
}

// gradc_pool_parallel_for over at most `threads` ranges; `pool` may be null.
void parallel_for(gradc_pool* pool, int32_t threads, int64_t count, gradc_body body, void* data);

}  // namespace gradc
