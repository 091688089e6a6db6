#pragma once
// The floating-point mode that compiled code assumes, so that its bits are the same in every
// program: round to nearest, denormals kept, no exception traps.
#include <cstdint>

namespace gradc {

#if defined(__x86_64__)
using FloatMode = uint32_t;  // MXCSR
inline constexpr FloatMode kStrictMode = 0x1f80;  // all exceptions masked; RC, FTZ and DAZ zero
inline FloatMode float_mode() {
  return __builtin_ia32_stmxcsr();
}
inline void set_float_mode(FloatMode mode) {
  __builtin_ia32_ldmxcsr(mode);
}
#elif defined(__aarch64__)
using FloatMode = uint64_t;  // FPCR
inline constexpr FloatMode kStrictMode = 0;  // RMode, FZ, FZ16, DN and the trap enables zero
inline FloatMode float_mode() {
  FloatMode mode;
  asm volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
}
inline void set_float_mode(FloatMode mode) {
  asm volatile("msr fpcr, %0" : : "r"(mode));
}
#endif

// Strict mode for a scope; the caller's mode comes back at its end.
class StrictFloats {
 public:
  StrictFloats() : saved_(float_mode()) { set_float_mode(kStrictMode); }
  ~StrictFloats() { set_float_mode(saved_); }
  StrictFloats(const StrictFloats&) = delete;
  StrictFloats& operator=(const StrictFloats&) = delete;

 private:
  FloatMode saved_;
};

}  // namespace gradc
