#pragma once
// A Target from a CPU's name.
#include <string>

#include "compiler/target.h"

namespace gradc {

// `cpu` is `native` or a name that LLVM knows for this architecture (x86-64-v3, znver4, ...); any
// other is a command line error that names the nearest.
Target target_for(const std::string& cpu);

// Names, separated by spaces, of the features that code for `target` may use and that a CPU must
// therefore have: gradc_module::cpu_features.
std::string required_features(const Target& target);

}  // namespace gradc
