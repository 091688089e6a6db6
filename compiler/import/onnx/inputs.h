#pragma once
// The types of a model's inputs: sizes that the file leaves open are bound by --bind, --shape and
// --batch; integer inputs that shapes depend on become constants.
#include <string>
#include <vector>

#include "compiler/import/onnx/constant.h"
#include "compiler/options.h"

namespace gradc::onnx {

struct Input {
  std::string name;  // as in the file
  Type type;
  ConstantPtr bound;  // its value, if --bind gave one
};

// All inputs that are not initializers, in the order of the file. Fails when sizes stay open,
// naming all of them with the flags that bind them, and when a flag means nothing. `extra` names
// what
// --shape may give a shape to beside the inputs.
std::vector<Input> resolve_inputs(const Model& model, const Options& options,
                                  const std::vector<std::string>& extra);

// Fails when a tensor of these sizes cannot be: negative sizes, or more than 2^40 elements.
void check_sizes(const Dims& dims);

}  // namespace gradc::onnx
