// Control flow that is known at compile time.
#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

const Graph& branch(NodeContext& c, std::string_view name) {
  const Attribute* attribute = c.find_attribute(name, Attribute::Kind::graph);
  if (!attribute)
    fail("attribute `{}` is missing", name);
  if (attribute->graph->outputs.size() != c.result_count())
    fail("`{}` gives {} outputs, the node {}", name, attribute->graph->outputs.size(),
         c.result_count());
  return *attribute->graph;
}

void if_node(NodeContext& c) {
  const Graph &then_branch = branch(c, "then_branch"), &else_branch = branch(c, "else_branch");
  if (c.type(0).elements() != 1)
    fail("the condition must be one boolean, it is {}", to_string(c.type(0)));
  bool condition = c.integer(0) != 0;
  ImportValues results = c.run_graph(condition ? then_branch : else_branch);
  for (size_t i = 0; i < results.size(); ++i)
    c.result(i, results[i]);
}

constexpr NodeRule kRules[] = {
    {.op = "If", .build = if_node, .folds = false},
};

}  // namespace

std::span<const NodeRule> control_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
