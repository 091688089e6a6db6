#pragma once
// A Target from a CPU's name (docs/targets.md).
#include <string>
#include <string_view>

#include "compiler/target.h"

namespace gradc {

// `cpu` is `native` or a name that LLVM knows of a 64-bit x86 processor with SSE4.1 or of an Arm
// processor (x86-64-v3, znver4, neoverse-n1, ...); any other is a command line error that names the
// nearest and lists some. Features that it has beside, or not, may follow:
// `x86-64-v4,+avx512bf16`.
Target target_for(const std::string& cpu);

// The processor's name alone.
std::string_view cpu_model(const Target& target);

// Whether code for the target may use a feature, by LLVM's name: avx2, fma, neon.
bool has_feature(const Target& target, std::string_view name);
// `x86_64` or `aarch64`.
std::string architecture(const Target& target);
// Whether this process runs on a processor of the target's architecture.
bool is_of_this_machine(const Target& target);

// Names, separated by spaces, of the features that code for `target` may use and that a CPU must
// therefore have: gradc_module::cpu_features.
std::string required_features(const Target& target);

}  // namespace gradc
