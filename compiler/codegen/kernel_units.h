#pragma once
// The kernels of a module, each once: layers of one shape share their code.
#include <string>
#include <unordered_map>
#include <vector>

#include "ir/module.h"

namespace gradc::codegen {

// What a kernel computes, as text, whatever it and its values are called and wherever in the model
// they come from: equal for kernels of equal code.
std::string structure_of(const Function& kernel);

struct KernelUnits {
  std::vector<const Function*> kernels;  // in the order of their first calls
  std::vector<std::string> structures;  // of each
  std::unordered_map<std::string, size_t> by_name;  // of every kernel that an entry calls
};

KernelUnits kernel_units(const Module& module);

}  // namespace gradc::codegen
