#pragma once
// What this machine can do at most, measured: the yardstick of `gradc bench`.
#include <cstddef>
#include <cstdint>

namespace gradc {

// f32 multiply-adds of the widest vectors the CPU has, in GFLOP/s, on `threads` threads at once:
// the best of a few short runs (together about a fifth of a second).
double fma_peak_gflops(int threads);

// Copies a multiple of 256 bytes between places aligned to 64 as fast as the widest vectors can;
// `streaming` writes past the caches.
void copy_bytes(char* to, const char* from, size_t bytes, bool streaming);

// What copy_bytes reads and writes in GB/s, in its better way, over and over in `bytes` of memory:
// of a size that a cache holds, that cache's rate. On `threads` threads, each with its share of the
// bytes.
double copy_gigabytes(int threads, int64_t bytes);

}  // namespace gradc
