#pragma once
// Gradients by central differences in double precision: the judge of autodiff.
#include <catch2/catch.hpp>
#include <cmath>
#include <string>

#include "compiler/check.h"
#include "ir/eval.h"

namespace gradc::test {

// The state and the arguments that an entry is evaluated on.
struct Inputs {
  State state;
  std::vector<Tensor> arguments;
};

inline Inputs random_inputs(const Module& module, const Function& entry, uint64_t seed = 1) {
  return {random_state(module, seed), random_arguments(entry, seed)};
}

// The tensor that parameter `name` of the entry stands for.
inline Tensor& input_named(const Function& entry, Inputs& inputs, const std::string& name) {
  size_t argument = 0;
  for (const Parameter& parameter : entry.parameters) {
    if (parameter.state == name && !name.empty())
      return inputs.state[name];
    if (parameter.state.empty() && entry[parameter.value].name == name)
      return inputs.arguments[argument];
    argument += parameter.state.empty();
  }
  throw std::logic_error("no input " + name);
}

inline Tensor result_named(const Module& module, const Function& entry, Inputs inputs,
                           const std::string& name) {
  std::vector<Tensor> results = eval(module, entry, inputs.arguments, inputs.state);
  for (size_t i = 0; i < results.size(); ++i)
    if (entry.results[i].name == name)
      return results[i];
  throw std::logic_error("no result " + name);
}

inline double sum(const Tensor& tensor) {
  double total = 0;
  for (double value : tensor.data)
    total += value;
  return total;
}

// Compares result `gradient` of the entry with the change of the sum of result `of` when each
// element of input `wrt` is moved.
inline void check_gradient(const Module& module, const std::string& entry_name,
                           const std::string& of, const std::string& wrt,
                           const std::string& gradient, uint64_t seed = 1) {
  constexpr double kStepSize = 1e-5;
  const Function& entry = module.function(entry_name);
  Inputs inputs = random_inputs(module, entry, seed);
  Tensor analytic = result_named(module, entry, inputs, gradient);
  double scale = 1;
  for (double value : analytic.data)
    scale = std::max(scale, std::abs(value));
  for (size_t i = 0; i < analytic.data.size(); ++i) {
    Inputs moved = inputs;
    double& element = input_named(entry, moved, wrt).data[i];
    double at = element;
    element = at + kStepSize;
    double above = sum(result_named(module, entry, moved, of));
    element = at - kStepSize;
    double below = sum(result_named(module, entry, moved, of));
    INFO(gradient << " of @" << entry_name << ", element " << i << ", seed " << seed);
    CHECK(analytic.data[i] == Approx((above - below) / (2 * kStepSize)).margin(1e-7 * scale));
  }
}

}  // namespace gradc::test
