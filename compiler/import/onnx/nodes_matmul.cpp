// Products of matrices.
#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

void matmul_node(NodeContext& c) {
  if (c.dtype(0) != c.dtype(1))
    fail("inputs must have one element type, they are {} and {}", to_string(c.type(0)),
         to_string(c.type(1)));
  ValueId x = c.tensor(0);
  c.result(c.b.matmul(x, c.tensor(1)));
}

// alpha * A' * B' + beta * C, where ' transposes on request and C broadcasts.
void gemm_node(NodeContext& c) {
  c.ignore({"broadcast"});
  if (c.rank(0) != 2 || c.rank(1) != 2)
    fail("A and B must be matrices, they are {} and {}", to_string(c.type(0)),
         to_string(c.type(1)));
  double alpha = c.real("alpha", 1), beta = c.real("beta", 1);
  ValueId x = c.tensor(0);
  ValueId y = c.b.matmul(x, c.tensor(1), c.flag("transA"), c.flag("transB"));
  if (alpha != 1)
    y = c.b.scale(y, alpha);
  if (c.has(2)) {
    ValueId bias = c.tensor(2);
    if (beta != 1)
      bias = c.b.scale(bias, beta);
    y = c.b.add(y, c.b.broadcast_to(bias, c.b.dims(y)));
  }
  c.result(y);
}

constexpr NodeRule kRules[] = {
    {"Gemm", 1, gemm_node, input_set({1, 2})},
    {"MatMul", 1, matmul_node, input_set({0, 1})},
};

}  // namespace

std::span<const NodeRule> matmul_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
