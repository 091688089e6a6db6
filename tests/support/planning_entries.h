#pragma once
// Entries in the form that `plan` takes, made of small kernels that the evaluator can run.
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "ir/builder.h"
#include "ir/eval.h"
#include "ir/module.h"

namespace gradc_test {

// Adds kernels to a module as they are asked for. A kernel computes, for each result, the tanh of a
// sum over its operands: of their elements where sizes agree, else of their sums, repeated.
class KernelMaker {
 public:
  struct Spec {
    std::vector<int64_t> operands, results;  // elements, all f32[n]
    bool inplace = false;  // lists every pair of equal sizes
    int64_t workspace = 0, scratch = 0;
    auto operator<=>(const Spec&) const = default;
  };

  explicit KernelMaker(gradc::Module& module) : module_(module) {}
  std::vector<gradc::ValueId> call(gradc::Builder& b, const Spec& spec,
                                   const std::vector<gradc::ValueId>& operands,
                                   const std::string& name);

 private:
  std::string kernel(const Spec& spec);
  gradc::Module& module_;
  std::vector<std::pair<Spec, std::string>> made_;
};

// A training step: layers with skip connections, views, running statistics, gradients, and updates
// of parameters and their moments, from few to some thirty kernels. Also some plain graphs.
gradc::Module random_entry(uint32_t seed);

// `layers` layers of `elements` activations and as many parameters each. With `train`, also
// gradients and updates; else only the forward pass.
gradc::Module chain_entry(int layers, int64_t elements, bool train);

struct Outcome {
  std::vector<gradc::Tensor> results;
  gradc::State state;
};
// Runs the module's one entry on inputs and state that depend on nothing but their types.
Outcome run_entry(const gradc::Module& module);

const gradc::Function& entry_of(const gradc::Module& module);

}  // namespace gradc_test
