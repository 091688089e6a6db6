#include "runtime/cpu.h"

#include <catch2/catch.hpp>

using gradc::cpu_has;
using gradc::missing_cpu_feature;

TEST_CASE("the first missing feature of a list is named", "[cpu]") {
#if defined(__x86_64__)
  CHECK(missing_cpu_feature("sse sse2 64bit cmov").empty());
  CHECK(missing_cpu_feature("sse2 warp-drive sse") == "warp-drive");
#else
  CHECK(missing_cpu_feature("neon fp-armv8").empty());
  CHECK(missing_cpu_feature("neon warp-drive") == "warp-drive");
#endif
  CHECK(missing_cpu_feature("").empty());
  CHECK(missing_cpu_feature("  ").empty());
  CHECK_FALSE(cpu_has("+sse2"));  // names only: LLVM's signs are for the compiler
  CHECK_FALSE(cpu_has(""));
}

#if defined(__x86_64__)
TEST_CASE("features agree with the C compiler's own detection", "[cpu]") {
  __builtin_cpu_init();
#define AGREES(name) CHECK(cpu_has(name) == static_cast<bool>(__builtin_cpu_supports(name)))
  AGREES("sse3");
  AGREES("ssse3");
  AGREES("sse4.1");
  AGREES("sse4.2");
  AGREES("popcnt");
  AGREES("aes");
  AGREES("avx");
  AGREES("avx2");
  AGREES("fma");
  AGREES("bmi");
  AGREES("bmi2");
  AGREES("avx512f");
  AGREES("avx512bw");
  AGREES("avx512dq");
  AGREES("avx512vl");
  AGREES("avx512cd");
  AGREES("avx512vbmi");
  AGREES("avx512vbmi2");
  AGREES("avx512vnni");
  AGREES("avx512bf16");
  AGREES("avx512bitalg");
  AGREES("avx512vpopcntdq");
  AGREES("avx512ifma");
  AGREES("gfni");
  AGREES("vpclmulqdq");
#undef AGREES
}
#endif
