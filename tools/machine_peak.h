#pragma once
// What this machine can do at most, measured: the yardstick of `gradc bench`.

namespace gradc {

// f32 multiply-adds of the widest vectors the CPU has, in GFLOP/s, on `threads` threads at once:
// the best of a few short runs (together about a fifth of a second).
double fma_peak_gflops(int threads);

}  // namespace gradc
