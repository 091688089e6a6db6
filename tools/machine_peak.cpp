#include "tools/machine_peak.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace gradc {
namespace {

constexpr int64_t kRounds = 400000;
constexpr int kChains =
    12;  // independent accumulators: enough to hide the latency of an FMA twice over

#if defined(__x86_64__)

// Keeps the compiler from knowing what is in `x`.
#define GRADC_OPAQUE(x) asm volatile("" : "+v"(x))

__attribute__((target("avx512f"))) int64_t flops_avx512() {
  __m512 sums[kChains];
  for (__m512& sum : sums)
    sum = _mm512_set1_ps(1.0f);
  __m512 factor = _mm512_set1_ps(0.999f), term = _mm512_set1_ps(0.001f);
  for (int64_t round = 0; round < kRounds; ++round) {
    GRADC_OPAQUE(factor);
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i)
      sums[i] = _mm512_fmadd_ps(sums[i], factor, term);
  }
  for (__m512& sum : sums)
    GRADC_OPAQUE(sum);
  return kRounds * kChains * 32;
}

__attribute__((target("avx2,fma"))) int64_t flops_avx2() {
  __m256 sums[kChains];
  for (__m256& sum : sums)
    sum = _mm256_set1_ps(1.0f);
  __m256 factor = _mm256_set1_ps(0.999f), term = _mm256_set1_ps(0.001f);
  for (int64_t round = 0; round < kRounds; ++round) {
    GRADC_OPAQUE(factor);
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i)
      sums[i] = _mm256_fmadd_ps(sums[i], factor, term);
  }
  for (__m256& sum : sums)
    GRADC_OPAQUE(sum);
  return kRounds * kChains * 16;
}

__attribute__((target("avx512f"))) void copy_avx512(char* to, const char* from, size_t bytes,
                                                    bool streaming) {
  for (size_t at = 0; at < bytes; at += 256) {
    __m512i part[4];
    for (size_t i = 0; i < 4; ++i)
      part[i] = _mm512_load_si512(from + at + 64 * i);
    for (size_t i = 0; i < 4; ++i)
      if (streaming)
        _mm512_stream_si512(reinterpret_cast<__m512i*>(to + at + 64 * i), part[i]);
      else
        _mm512_store_si512(to + at + 64 * i, part[i]);
  }
  _mm_sfence();
}

__attribute__((target("avx2"))) void copy_avx2(char* to, const char* from, size_t bytes,
                                               bool streaming) {
  for (size_t at = 0; at < bytes; at += 32) {
    __m256i part = _mm256_load_si256(reinterpret_cast<const __m256i*>(from + at));
    if (streaming)
      _mm256_stream_si256(reinterpret_cast<__m256i*>(to + at), part);
    else
      _mm256_store_si256(reinterpret_cast<__m256i*>(to + at), part);
  }
  _mm_sfence();
}

#endif

// The portable form, and that of CPUs without wide vectors: scalar chains.
int64_t flops_scalar() {
  float sums[kChains];
  std::fill(std::begin(sums), std::end(sums), 1.0f);
  volatile float opaque = 0.999f;
  float factor = opaque;
  for (int64_t round = 0; round < kRounds; ++round)
    for (float& sum : sums)
      sum = std::fma(sum, factor, 0.001f);
  volatile float sink = 0;
  for (float sum : sums)
    sink = sink + sum;
  return kRounds * kChains * 2;
}

int64_t run_once() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    return flops_avx512();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return flops_avx2();
#endif
  return flops_scalar();
}

}  // namespace

void copy_bytes(char* to, const char* from, size_t bytes, bool streaming) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    return copy_avx512(to, from, bytes, streaming);
  if (__builtin_cpu_supports("avx2"))
    return copy_avx2(to, from, bytes, streaming);
#endif
  std::memcpy(to, from, bytes);
  static_cast<void>(streaming);
}

double fma_peak_gflops(int threads) {
  double best = 0;
  for (int attempt = 0; attempt < 5; ++attempt) {
    std::vector<double> rates(static_cast<size_t>(threads));
    auto work = [&rates](size_t i) {
      auto begin = std::chrono::steady_clock::now();
      int64_t flops = run_once();
      double seconds =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      rates[i] = static_cast<double>(flops) / seconds * 1e-9;
    };
    std::vector<std::thread> others;
    for (size_t i = 1; i < rates.size(); ++i)
      others.emplace_back(work, i);
    work(0);
    for (std::thread& other : others)
      other.join();
    double sum = 0;
    for (double rate : rates)
      sum += rate;
    best = std::max(best, sum);
  }
  return best;
}

}  // namespace gradc
