#pragma once
// What this machine can do at most, measured: the yardstick of `gradc bench`.
#include <cstddef>

namespace gradc {

// f32 multiply-adds of the widest vectors the CPU has, in GFLOP/s, on `threads` threads at once:
// the best of a few short runs (together about a fifth of a second).
double fma_peak_gflops(int threads);

// Copies a multiple of 256 bytes between places aligned to 64 as fast as the widest vectors can;
// `streaming` writes past the caches.
void copy_bytes(char* to, const char* from, size_t bytes, bool streaming);

}  // namespace gradc
