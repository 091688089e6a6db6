#include "tools/bench/machine_peak.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace gradc {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kSums = 12;  // more than latency times throughput of any multiply-add
constexpr int64_t kSteps = 200'000;
constexpr int kRuns = 8;

// Runs kSteps * kSums multiply-adds of one vector each; returns the operations done.
using Multiply = double (*)();

#if defined(__x86_64__)
__attribute__((target("avx512f"))) double multiply_512() {
  __m512 sums[kSums], x = _mm512_set1_ps(0.999F), y = _mm512_set1_ps(0.001F);
  for (__m512& sum : sums)
    sum = y;
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
    for (int k = 0; k < kSums; ++k)
      sums[k] = _mm512_fmadd_ps(sums[k], x, y);
    asm volatile("" : "+v"(x), "+v"(y));
  }
  for (__m512& sum : sums)
    asm volatile("" ::"v"(sum));
  return 2.0 * 16 * kSums * kSteps;
}

__attribute__((target("avx2,fma"))) double multiply_256() {
  __m256 sums[kSums], x = _mm256_set1_ps(0.999F), y = _mm256_set1_ps(0.001F);
  for (__m256& sum : sums)
    sum = y;
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
    for (int k = 0; k < kSums; ++k)
      sums[k] = _mm256_fmadd_ps(sums[k], x, y);
    asm volatile("" : "+x"(x), "+x"(y));
  }
  for (__m256& sum : sums)
    asm volatile("" ::"x"(sum));
  return 2.0 * 8 * kSums * kSteps;
}
#endif

// Vectors of 16 bytes, which every 64 bit CPU has.
double multiply_128() {
  using Vector = float __attribute__((vector_size(16)));
  Vector sums[kSums], x = Vector{} + 0.999F, y = Vector{} + 0.001F;
  for (Vector& sum : sums)
    sum = y;
  for (int64_t i = 0; i < kSteps; ++i) {
#pragma GCC unroll 12
    for (int k = 0; k < kSums; ++k)
      sums[k] = sums[k] * x + y;
    asm volatile("" : "+m"(x), "+m"(y));
  }
  for (Vector& sum : sums)
    asm volatile("" ::"m"(sum));
  return 2.0 * 4 * kSums * kSteps;
}

Multiply widest(int vector_bytes) {
#if defined(__x86_64__)
  if (vector_bytes >= 64 && __builtin_cpu_supports("avx512f"))
    return multiply_512;
  if (vector_bytes >= 32 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return multiply_256;
#endif
  return multiply_128;
}

// Runs work(thread) on all threads at once; returns seconds from the first start to the last end.
template <typename F>
double run_together(int threads, F work) {
  std::atomic<int> waiting{threads};
  std::vector<std::thread> pool;
  std::vector<Clock::time_point> ends(static_cast<size_t>(threads));
  auto body = [&](int thread) {
    waiting.fetch_sub(1);
    while (waiting.load() > 0) {
    }
    work(thread);
    ends[static_cast<size_t>(thread)] = Clock::now();
  };
  for (int thread = 1; thread < threads; ++thread)
    pool.emplace_back(body, thread);
  while (waiting.load() > 1) {
  }
  Clock::time_point start = Clock::now();
  body(0);
  for (std::thread& thread : pool)
    thread.join();
  return std::chrono::duration<double>(*std::max_element(ends.begin(), ends.end()) - start).count();
}

}  // namespace

double peak_flops(int threads, int vector_bytes) {
  Multiply multiply = widest(vector_bytes);
  double best = 0;
  for (int run = 0; run < kRuns; ++run) {
    std::vector<double> done(static_cast<size_t>(threads));
    double seconds =
        run_together(threads, [&](int thread) { done[static_cast<size_t>(thread)] = multiply(); });
    best = std::max(best, std::accumulate(done.begin(), done.end(), 0.0) / seconds);
  }
  return best;
}

double memory_read_bandwidth(int threads) {
  constexpr size_t kWords = size_t{16} << 20;  // 128 MiB a thread: no cache holds it
  std::vector<std::vector<uint64_t>> memory(static_cast<size_t>(threads),
                                            std::vector<uint64_t>(kWords, 1));
  std::vector<uint64_t> sums(static_cast<size_t>(threads));
  double best = 0;
  for (int run = 0; run < 3; ++run) {
    double seconds = run_together(threads, [&](int thread) {
      const std::vector<uint64_t>& words = memory[static_cast<size_t>(thread)];
      sums[static_cast<size_t>(thread)] += std::accumulate(words.begin(), words.end(), uint64_t{0});
    });
    best = std::max(best, static_cast<double>(threads) * kWords * sizeof(uint64_t) / seconds);
  }
  // What was read is used, so that it is read.
  return sums[0] == 0 ? 0 : best;
}

}  // namespace gradc
