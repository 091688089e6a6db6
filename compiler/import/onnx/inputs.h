#pragma once
// The types of a model's inputs: sizes that the file leaves open are bound by --bind, --shape and
// --batch; integer inputs that shapes depend on become constants.
#include <map>
#include <string>
#include <vector>

#include "compiler/import/onnx/constant.h"
#include "compiler/import/onnx/problem.h"
#include "compiler/options.h"

namespace gradc::onnx {

struct Input {
  std::string name;  // as in the file
  Type type;
  ConstantPtr bound;  // its value, if --bind gave one
  ConstantPtr known;  // its value for nodes that must know it; it is an input all the same
  bool is_unknown = false;  // it is among the problems
};

// Values of inputs by name, for nodes that must know them at compile time.
using KnownInputs = std::map<std::string, BoundTensor>;

// All inputs that are not initializers, in the order of the file. Fails when sizes stay open,
// naming all of them with the flags that bind them, and when a flag means nothing. `extra` names
// what --shape may give a shape to beside the inputs. With `problems`, what is wrong with an input
// is put there instead of thrown.
std::vector<Input> resolve_inputs(const Model& model, const Options& options,
                                  const std::vector<std::string>& extra,
                                  const KnownInputs& known = {},
                                  std::vector<Problem>* problems = nullptr);

// Sizes to check a model with where the file and the flags leave them open, as the flags that give
// them: `--bind NAME=N` (and the sizes in `options`), `--shape INPUT=...`.
std::vector<std::string> assume_open_sizes(const Model& model, Options& options);

// Fails when a tensor of these sizes cannot be: negative sizes, or more than 2^40 elements.
void check_sizes(const Dims& dims);

}  // namespace gradc::onnx
