#pragma once
// Counts what the whole process allocates, in a binary that links allocation_count.cpp.
#include <cstdint>

namespace gradc_test {

// Calls of malloc, calloc, realloc, aligned_alloc and relatives so far, operator new included.
int64_t allocations();

}  // namespace gradc_test
