#pragma once
// What the process holds on its heap, in a binary that links heap_peak.cpp.
#include <cstdint>

namespace gradc_test {

// Bytes from operator new that are not deleted yet.
int64_t heap_bytes();
// The most that were held since the last call of reset_heap_peak().
int64_t heap_peak();
void reset_heap_peak();

}  // namespace gradc_test
