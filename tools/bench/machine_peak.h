#pragma once
// What this machine can do, measured in the same run as what is compared with it.
namespace gradc {

// Floating point operations a second (a multiply-add is two) of f32 multiply-adds in registers, on
// `threads` threads at once; the best of a few short runs. `vector_bytes` is at most the widest
// that the CPU has.
double peak_flops(int threads, int vector_bytes = 64);

// Bytes a second read from memory, on `threads` threads at once.
double memory_read_bandwidth(int threads);

}  // namespace gradc
