#include "runtime/cpu.h"

#include <cstdint>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace gradc {
namespace {

#if defined(__x86_64__)

enum Register { eax, ebx, ecx, edx };

// Register state beyond SSE: usable only if the operating system saves it (Intel SDM 1, chapter
// 13).
enum State { none, ymm, zmm, tile, apx };

struct Feature {
  std::string_view name;
  uint32_t leaf, subleaf;
  Register reg;
  int bit;
  State state = none;
};

constexpr uint32_t kExtended1 = 0x80000001, kExtended8 = 0x80000008;

// Names as in LLVM 19's X86TargetParser; bits from Intel's SDM 2 (CPUID) and AMD's APM 3, appendix
// E.
constexpr Feature kFeatures[] = {
    {"x87", 1, 0, edx, 0},
    {"cx8", 1, 0, edx, 8},
    {"cmov", 1, 0, edx, 15},
    {"mmx", 1, 0, edx, 23},
    {"fxsr", 1, 0, edx, 24},
    {"sse", 1, 0, edx, 25},
    {"sse2", 1, 0, edx, 26},
    {"sse3", 1, 0, ecx, 0},
    {"pclmul", 1, 0, ecx, 1},
    {"ssse3", 1, 0, ecx, 9},
    {"fma", 1, 0, ecx, 12, ymm},
    {"cx16", 1, 0, ecx, 13},
    {"sse4.1", 1, 0, ecx, 19},
    {"sse4.2", 1, 0, ecx, 20},
    {"crc32", 1, 0, ecx, 20},
    {"movbe", 1, 0, ecx, 22},
    {"popcnt", 1, 0, ecx, 23},
    {"aes", 1, 0, ecx, 25},
    {"xsave", 1, 0, ecx, 27},
    {"avx", 1, 0, ecx, 28, ymm},
    {"f16c", 1, 0, ecx, 29, ymm},
    {"rdrnd", 1, 0, ecx, 30},
    {"fsgsbase", 7, 0, ebx, 0},
    {"sgx", 7, 0, ebx, 2},
    {"bmi", 7, 0, ebx, 3},
    {"avx2", 7, 0, ebx, 5, ymm},
    {"bmi2", 7, 0, ebx, 8},
    {"invpcid", 7, 0, ebx, 10},
    {"rtm", 7, 0, ebx, 11},
    {"avx512f", 7, 0, ebx, 16, zmm},
    {"evex512", 7, 0, ebx, 16, zmm},
    {"avx512dq", 7, 0, ebx, 17, zmm},
    {"rdseed", 7, 0, ebx, 18},
    {"adx", 7, 0, ebx, 19},
    {"avx512ifma", 7, 0, ebx, 21, zmm},
    {"clflushopt", 7, 0, ebx, 23},
    {"clwb", 7, 0, ebx, 24},
    {"avx512cd", 7, 0, ebx, 28, zmm},
    {"sha", 7, 0, ebx, 29},
    {"avx512bw", 7, 0, ebx, 30, zmm},
    {"avx512vl", 7, 0, ebx, 31, zmm},
    {"avx512vbmi", 7, 0, ecx, 1, zmm},
    {"pku", 7, 0, ecx, 4},
    {"waitpkg", 7, 0, ecx, 5},
    {"avx512vbmi2", 7, 0, ecx, 6, zmm},
    {"shstk", 7, 0, ecx, 7},
    {"gfni", 7, 0, ecx, 8},
    {"vaes", 7, 0, ecx, 9, ymm},
    {"vpclmulqdq", 7, 0, ecx, 10, ymm},
    {"avx512vnni", 7, 0, ecx, 11, zmm},
    {"avx512bitalg", 7, 0, ecx, 12, zmm},
    {"avx512vpopcntdq", 7, 0, ecx, 14, zmm},
    {"rdpid", 7, 0, ecx, 22},
    {"kl", 7, 0, ecx, 23},
    {"cldemote", 7, 0, ecx, 25},
    {"movdiri", 7, 0, ecx, 27},
    {"movdir64b", 7, 0, ecx, 28},
    {"enqcmd", 7, 0, ecx, 29},
    {"uintr", 7, 0, edx, 5},
    {"avx512vp2intersect", 7, 0, edx, 8, zmm},
    {"serialize", 7, 0, edx, 14},
    {"tsxldtrk", 7, 0, edx, 16},
    {"pconfig", 7, 0, edx, 18},
    {"amx-bf16", 7, 0, edx, 22, tile},
    {"avx512fp16", 7, 0, edx, 23, zmm},
    {"amx-tile", 7, 0, edx, 24, tile},
    {"amx-int8", 7, 0, edx, 25, tile},
    {"sha512", 7, 1, eax, 0, ymm},
    {"sm3", 7, 1, eax, 1, ymm},
    {"sm4", 7, 1, eax, 2, ymm},
    {"raoint", 7, 1, eax, 3},
    {"avxvnni", 7, 1, eax, 4, ymm},
    {"avx512bf16", 7, 1, eax, 5, zmm},
    {"cmpccxadd", 7, 1, eax, 7},
    {"amx-fp16", 7, 1, eax, 21, tile},
    {"hreset", 7, 1, eax, 22},
    {"avxifma", 7, 1, eax, 23, ymm},
    {"avxvnniint8", 7, 1, edx, 4, ymm},
    {"avxneconvert", 7, 1, edx, 5, ymm},
    {"amx-complex", 7, 1, edx, 8, tile},
    {"avxvnniint16", 7, 1, edx, 10, ymm},
    {"prefetchi", 7, 1, edx, 14},
    {"usermsr", 7, 1, edx, 15},
    {"avx10.1-256", 7, 1, edx, 19, zmm},
    {"egpr", 7, 1, edx, 21, apx},
    {"push2pop2", 7, 1, edx, 21, apx},
    {"ppx", 7, 1, edx, 21, apx},
    {"ndd", 7, 1, edx, 21, apx},
    {"ccmp", 7, 1, edx, 21, apx},
    {"cf", 7, 1, edx, 21, apx},
    {"xsaveopt", 0xd, 1, eax, 0},
    {"xsavec", 0xd, 1, eax, 1},
    {"xsaves", 0xd, 1, eax, 3},
    {"ptwrite", 0x14, 0, ebx, 4},
    {"widekl", 0x19, 0, ebx, 2},
    {"avx10.1-512", 0x24, 0, ebx, 18, zmm},
    {"sahf", kExtended1, 0, ecx, 0},
    {"lzcnt", kExtended1, 0, ecx, 5},
    {"sse4a", kExtended1, 0, ecx, 6},
    {"prfchw", kExtended1, 0, ecx, 8},
    {"xop", kExtended1, 0, ecx, 11, ymm},
    {"lwp", kExtended1, 0, ecx, 15},
    {"fma4", kExtended1, 0, ecx, 16, ymm},
    {"tbm", kExtended1, 0, ecx, 21},
    {"mwaitx", kExtended1, 0, ecx, 29},
    {"64bit", kExtended1, 0, edx, 29},
    {"clzero", kExtended8, 0, ebx, 0},
    {"rdpru", kExtended8, 0, ebx, 4},
    {"wbnoinvd", kExtended8, 0, ebx, 9},
};

bool cpuid_bit(const Feature& feature) {
  uint32_t registers[4] = {};
  if (!__get_cpuid_count(feature.leaf, feature.subleaf, &registers[eax], &registers[ebx],
                         &registers[ecx], &registers[edx]))
    return false;
  return registers[feature.reg] >> feature.bit & 1;
}

// XCR0: the parts of the register state that the operating system saves.
uint64_t saved_state() {
  if (!cpuid_bit({"osxsave", 1, 0, ecx, 27}))
    return 0;
  uint32_t low, high;
  asm("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

// Linux gives a process the large tile registers only when it asks (arch_prctl, Linux 5.16).
bool request_tiles() {
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool usable(State state) {
  constexpr uint64_t kYmm = 0x6, kZmm = 0xe6, kTile = 0x60000, kApx = 0x80000;
  switch (state) {
    case none:
      return true;
    case ymm:
      return (saved_state() & kYmm) == kYmm;
    case zmm:
      return (saved_state() & kZmm) == kZmm;
    case tile:
      return (saved_state() & kTile) == kTile && request_tiles();
    case apx:
      return (saved_state() & kApx) == kApx;
  }
  return false;
}

#elif defined(__aarch64__)

struct Feature {
  std::string_view name;
  unsigned long auxiliary, mask;
};

// Names as in LLVM 19's AArch64TargetParser; bits from Linux' documentation of ELF hwcaps.
constexpr Feature kFeatures[] = {
    {"fp-armv8", AT_HWCAP, HWCAP_FP},     {"neon", AT_HWCAP, HWCAP_ASIMD},
    {"aes", AT_HWCAP, HWCAP_AES},         {"sha2", AT_HWCAP, HWCAP_SHA2},
    {"sha3", AT_HWCAP, HWCAP_SHA3},       {"crc", AT_HWCAP, HWCAP_CRC32},
    {"lse", AT_HWCAP, HWCAP_ATOMICS},     {"fullfp16", AT_HWCAP, HWCAP_ASIMDHP},
    {"rdm", AT_HWCAP, HWCAP_ASIMDRDM},    {"jsconv", AT_HWCAP, HWCAP_JSCVT},
    {"complxnum", AT_HWCAP, HWCAP_FCMA},  {"rcpc", AT_HWCAP, HWCAP_LRCPC},
    {"dotprod", AT_HWCAP, HWCAP_ASIMDDP}, {"fp16fml", AT_HWCAP, HWCAP_ASIMDFHM},
    {"sve", AT_HWCAP, HWCAP_SVE},         {"sve2", AT_HWCAP2, HWCAP2_SVE2},
    {"i8mm", AT_HWCAP2, HWCAP2_I8MM},     {"bf16", AT_HWCAP2, HWCAP2_BF16},
};

#else
#error "gradc's runtime knows x86-64 and aarch64"
#endif

}  // namespace

bool cpu_has(std::string_view name) {
  for (const Feature& feature : kFeatures) {
    if (feature.name != name)
      continue;
#if defined(__x86_64__)
    return cpuid_bit(feature) && usable(feature.state);
#else
    return (getauxval(feature.auxiliary) & feature.mask) == feature.mask;
#endif
  }
  return false;
}

std::string_view missing_cpu_feature(std::string_view features) {
  while (!features.empty()) {
    size_t length = features.find(' ');
    std::string_view name = features.substr(0, length);
    if (!name.empty() && !cpu_has(name))
      return name;
    features.remove_prefix(length == features.npos ? features.size() : length + 1);
  }
  return {};
}

}  // namespace gradc
