#include "compiler/import/onnx/onnx_nodes.h"

namespace gradc::onnx {

std::span<const NodeRule> loss_nodes() {
  return {};
}

}  // namespace gradc::onnx
