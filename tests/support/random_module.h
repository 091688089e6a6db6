#pragma once
// Random programs for tests of passes: "the pass keeps what eval gives".
#include <cstdint>
#include <vector>

#include "ir/eval.h"
#include "ir/module.h"

namespace gradc::test {

struct RandomModuleOptions {
  int min_ops = 10, max_ops = 40;  // how many are drawn; more appear that make operands fit
  std::vector<Opcode> without = {};  // ops that are not drawn
};

// A valid module with one entry, @main, and arguments for it. Result 0, `loss`, is a scalar of f32
// that depends on every value of float type; the other results, `out0` and so on, are the integers
// and bools that nothing reads, and some floats. The arguments keep every op off its kinks, ties
// and poles: moved by 1e-4, no value jumps or bends.
struct RandomModule {
  Module module;
  std::vector<Tensor> arguments;
  std::vector<Opcode> drawn;  // from all ops that have examples, evenly
};

// The same for the same seed, on every machine.
RandomModule random_module(uint64_t seed, const RandomModuleOptions& options = {});

// The same program as a model: entries infer and train_step (compiler/entries.h), with about half
// of the float arguments as parameters of the model.
struct RandomModel {
  Module module;
  State state;
  std::vector<Tensor> infer_arguments, train_arguments;
};
RandomModel random_model(uint64_t seed, const RandomModuleOptions& options = {});

}  // namespace gradc::test
