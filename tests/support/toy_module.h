#pragma once
// A module written by hand, for tests of the runtime: y = 2 * x * w, then w += 1, steps += 1.
#include "runtime/gradc_runtime.h"

namespace toy {

constexpr int64_t kElements = 256;

// State tensors: w f32[4] (parameter), velocity f32[4] (optimizer), steps i64[] (buffer).
// Entries: init; step (x f32[256] -> y f32[256]), which uses the whole arena and parallel_for.
extern const gradc_module module;

}  // namespace toy
