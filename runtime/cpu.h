#pragma once
// Which instructions this CPU runs, by LLVM's feature names.
#include <string_view>

namespace gradc {

// True if the CPU has the feature and the operating system saves the registers that it needs.
// An unknown name counts as absent: a module must be refused rather than meet an illegal
// instruction.
bool cpu_has(std::string_view feature);

// The first of the space-separated `features` that the CPU lacks; empty if it has all of them.
std::string_view missing_cpu_feature(std::string_view features);

}  // namespace gradc
