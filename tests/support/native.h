#pragma once
// Runs programs as machine code, for comparison with the evaluator.
#include <span>
#include <string>
#include <vector>

#include "compiler/codegen/codegen.h"
#include "ir/eval_types.h"
#include "ir/module.h"

namespace gradc::test {

// `function` as the only entry of a module that has been through fuse, schedule and plan.
Module planned_module(const Function& function, const CodegenOptions& options);

// Runs the first entry of `module`, whose state is empty, with every buffer between guard pages.
// Checks that nothing was written beside them.
std::vector<Tensor> run_entry(const gradc_module& module, std::span<const Tensor> arguments,
                              int threads = 1);

// Both, compiled in memory for `cpu`.
std::vector<Tensor> run_native(const Function& function, std::span<const Tensor> arguments,
                               const std::string& cpu = "native", int threads = 1);

// `tensor` with its elements rounded to what its type can hold.
Tensor as_stored(const Tensor& tensor);

CodegenOptions codegen_options(const std::string& cpu = "native", int threads = 1);

}  // namespace gradc::test
