#pragma once
// Kernels written as text: native code against the evaluator, and against itself with other
// threads.
#include <string>
#include <vector>

#include "ir/eval_types.h"
#include "ir/module.h"

namespace gradc::test {

// The first function of what is written.
Function parse_function(const std::string& text);

// Multiples of 1/1024 in [-2, 2); indices of gathers are in range.
std::vector<Tensor> arguments_for(const Function& function);

// Native code gives what eval gives, and the same bits with one and two threads.
void check_native(const std::string& text);

}  // namespace gradc::test
