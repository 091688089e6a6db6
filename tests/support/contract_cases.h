#pragma once
// Contract kernels of many shapes, for tests of their lowering and of their machine code.
#include <string>
#include <vector>

#include "compiler/lower/contract_schedule.h"
#include "ir/eval.h"
#include "ir/module.h"

namespace gradc::test {

// What surrounds the contract op in a kernel.
enum class Fused : uint8_t {
  nothing,
  epilogue,  // result * residual + bias along the last axis
  prologue,  // both operands are products of two parameters
  both
};

// A kernel of one contract op, written as in OpDef::examples.
Function contract_kernel(const std::string& example, Fused fused = Fused::nothing);
// The same with its schedule as attributes.
Function scheduled(Function kernel, const Target& target, int threads,
                   const ContractLimits& limits = {});

std::vector<std::string> op_examples();  // of all contract ops in the table
std::vector<std::string> dot_cases();  // odd sizes, all transpositions, batch axes
std::vector<std::string> matrix_cases();  // of bf16, large enough for a matrix unit
// Of bf16 too: convolutions and data gradients, with windows, gaps or far neighbours.
std::vector<std::string> window_cases();
std::vector<std::string> pixel_cases();  // and weight gradients
std::vector<std::string> convolution_cases();  // and both gradients
std::vector<std::string> winograd_cases();  // of those that Winograd's tiles do, with the attribute

std::vector<Tensor> random_arguments(const Function& kernel, unsigned seed);

}  // namespace gradc::test
