#pragma once
// The text form of the tensor IR (docs/ir.md). print(parse(s)) == s for every printed s.
#include <string>

#include "ir/module.h"

namespace gradc {

std::string print(const Module& module);
std::string print(const Function& function);

// The names print() gives to a function's values, made unique; indexed by ValueId.
std::vector<std::string> unique_names(const Function& function);

}  // namespace gradc
