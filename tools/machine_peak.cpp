#include "tools/machine_peak.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <numeric>
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

// What `work(thread)` gets done per second, of all threads together: the best of some attempts.
template <typename Work>
double best_rate(int threads, int attempts, Work work) {
  double best = 0;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    std::vector<double> rates(static_cast<size_t>(threads));
    auto timed = [&](size_t i) {
      auto begin = std::chrono::steady_clock::now();
      auto done = static_cast<double>(work(i));
      rates[i] =
          done / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    };
    std::vector<std::thread> others;
    for (size_t i = 1; i < rates.size(); ++i)
      others.emplace_back(timed, i);
    timed(0);
    for (std::thread& other : others)
      other.join();
    best = std::max(best, std::accumulate(rates.begin(), rates.end(), 0.0));
  }
  return best;
}

// Memory aligned for copy_bytes, and touched.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t size) : data_(static_cast<char*>(std::aligned_alloc(64, size))) {
    if (!data_)
      throw std::bad_alloc();
    std::memset(data_.get(), 1, size);
  }
  char* get() const { return data_.get(); }

 private:
  struct Free {
    void operator()(char* data) const { std::free(data); }
  };
  std::unique_ptr<char, Free> data_;
};

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
  return 1e-9 * best_rate(threads, 5, [](size_t) { return run_once(); });
}

double copy_gigabytes(int threads, int64_t bytes) {
  constexpr int64_t kMoved = 48 << 20;  // per attempt: a few milliseconds from main memory
  constexpr int64_t kUnit = 256;  // of copy_bytes
  int64_t half = std::max<int64_t>(bytes / 2 / threads / kUnit, 1) * kUnit;
  auto size = static_cast<size_t>(half);
  std::vector<AlignedBytes> memory;
  for (int i = 0; i < 2 * threads; ++i)
    memory.emplace_back(size);
  int64_t rounds = std::max<int64_t>(kMoved / (2 * half), 1);
  double best = 0;
  for (bool streaming : {false, true})
    best = std::max(best, best_rate(threads, 8, [&](size_t i) {
                      for (int64_t round = 0; round < rounds; ++round)
                        copy_bytes(memory[2 * i].get(), memory[2 * i + 1].get(), size, streaming);
                      return rounds * 2 * half;
                    }));
  return 1e-9 * best;
}

}  // namespace gradc
