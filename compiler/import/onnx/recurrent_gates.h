#pragma once
// The functions that recurrent layers apply to their gates.
#include <string>
#include <vector>

#include "compiler/import/onnx/node_context.h"

namespace gradc::onnx {

struct Gate {
  ValueId (*apply)(Builder& b, ValueId x, double alpha, double beta) = nullptr;
  double alpha = 0, beta = 0;

  ValueId operator()(Builder& b, ValueId x) const { return apply(b, x, alpha, beta); }
};

// One for each name, with its numbers from attributes activation_alpha and activation_beta.
std::vector<Gate> read_gates(NodeContext& c, const std::vector<std::string>& names);

}  // namespace gradc::onnx
