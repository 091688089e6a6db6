#include "compiler/import/onnx/onnx_nodes.h"

namespace gradc::onnx {

std::span<const NodeRule> conv_nodes() {
  return {};
}

}  // namespace gradc::onnx
