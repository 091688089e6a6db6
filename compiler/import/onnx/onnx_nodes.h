#pragma once
// The table of ONNX ops: one row per op and version that changed its meaning. Rows live in
// nodes_<family>.cpp; a new op is a row and a handler there. A handler reads its node through
// NodeContext and appends ops, preferably one composite per node.
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace gradc::onnx {

class NodeContext;

// Operands by position: bit i is input i.
using Inputs = uint32_t;
inline constexpr Inputs kAllInputs = ~Inputs{0};
constexpr Inputs input_set(std::initializer_list<int> indices) {
  Inputs set = 0;
  for (int i : indices)
    set |= Inputs{1} << i;
  return set;
}
constexpr bool is_in(Inputs set, size_t i) {
  return i < 32 ? (set >> i & 1) != 0 : set == kAllInputs;
}

struct NodeRule {
  std::string_view op;
  int since = 1;  // the row holds from this opset to the next row of the op
  void (*build)(NodeContext& context) = nullptr;
  // Inputs that are weights: a float constant there is a parameter, wherever in the file it is.
  Inputs weights = 0;
  // Inputs whose elements become those of the results, unchanged: what is a weight after the node
  // was one before it, and folding is exact even for whole numbers beyond 2^53.
  Inputs moves = 0;
  // Whether the node may be evaluated at compile time when all of its inputs are constants.
  bool folds = true;
  // Whether the result is a tensor that the file holds or fills: a parameter, where it is a weight.
  bool holds = false;
  int until = 0;  // the op ended before this opset; 0: it has not
  std::string_view instead = {};  // what replaced it
};

// The newest row of the op with since <= opset; fails, saying why, when there is none.
const NodeRule& node_rule(std::string_view op, int64_t opset);
// The same, or null.
const NodeRule* find_node_rule(std::string_view op, int64_t opset);
// All rows, by op and version.
std::vector<NodeRule> all_node_rules();

// The most inputs that the op has; of ops that take any number, SIZE_MAX.
size_t most_inputs(std::string_view op);

// The newest opset whose changes the rows know.
inline constexpr int64_t kNewestOpset = 28;

// One list per family.
std::span<const NodeRule> elementwise_nodes();
std::span<const NodeRule> activation_nodes();
std::span<const NodeRule> matmul_nodes();
std::span<const NodeRule> einsum_nodes();
std::span<const NodeRule> conv_nodes();
std::span<const NodeRule> pool_nodes();
std::span<const NodeRule> norm_nodes();
std::span<const NodeRule> reduce_nodes();
std::span<const NodeRule> shape_nodes();
std::span<const NodeRule> arrange_nodes();
std::span<const NodeRule> resize_nodes();
std::span<const NodeRule> sample_nodes();
std::span<const NodeRule> index_nodes();
std::span<const NodeRule> recurrent_nodes();
std::span<const NodeRule> attention_nodes();
std::span<const NodeRule> rotary_nodes();
std::span<const NodeRule> loss_nodes();
std::span<const NodeRule> constant_nodes();
std::span<const NodeRule> sequence_nodes();
std::span<const NodeRule> control_nodes();

}  // namespace gradc::onnx
