#pragma once
// What lowering needs to know of the machine. Passes before `fuse` never ask. compiler/codegen
// makes one from a CPU name.
#include <cstdint>
#include <string>

namespace gradc {

struct Target {
  std::string cpu;  // as LLVM spells it: x86-64-v3, znver4; with changes, x86-64-v4,+avx512bf16
  std::string features;  // LLVM's feature string, "+avx2,+fma,..."; "-fma" is left out
  int vector_bytes = 32;  // of the widest vector register to use
  int vector_registers = 16;
  bool matrix_bf16 = false;  // multiplies bf16 faster than f32: AMX, or AVX512-BF16 of AMD
  int64_t l1_bytes = 32 << 10;
  int64_t l2_bytes = 512 << 10;
  double l3_line_cycles = 8;  // in which one core reads 64 bytes from the third level cache
  int lanes_f32() const { return vector_bytes / 4; }
};

}  // namespace gradc
