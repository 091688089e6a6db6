#include "compiler/import/onnx/weights.h"

#include <fnmatch.h>

#include <algorithm>

#include "compiler/import/onnx/names.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

// Functions that call others twice grow without end; running the nodes will say so.
constexpr size_t kMostNodes = 1'000'000;
constexpr int kDeepest = 64;  // calls of functions, and branches, inside of each other

class Marker {
 public:
  Marker(const Model& model, std::unordered_set<std::string>& marked, size_t& visited)
      : model_(model), marked_(marked), visited_(visited) {}

  void visit(const Node& node, const Opsets& opsets, int depth) {
    bool result_marked = std::any_of(node.outputs.begin(), node.outputs.end(),
                                     [&](const auto& output) { return marked_.contains(output); });
    if (depth > kDeepest || ++visited_ > kMostNodes)
      return;
    if (const FunctionDef* function = find_function(model_, node))
      return visit_call(node, *function, depth);
    for (const Attribute& attribute : node.attributes)
      if (attribute.graph)
        visit_branch(node, *attribute.graph, opsets, depth);
    auto opset = opsets.find("");
    if (!is_standard(node.domain) || opset == opsets.end())
      return;
    const NodeRule* rule = find_node_rule(node.op_type, opset->second);
    for (size_t i = 0; rule && i < node.inputs.size(); ++i)
      if (is_in(rule->weights, i) || (result_marked && is_in(rule->moves, i)))
        marked_.insert(node.inputs[i]);
  }

 private:
  void visit_call(const Node& node, const FunctionDef& function, int depth) {
    std::unordered_set<std::string> inside;
    for (size_t i = 0; i < std::min(node.outputs.size(), function.outputs.size()); ++i)
      if (marked_.contains(node.outputs[i]))
        inside.insert(function.outputs[i]);
    Marker marker(model_, inside, visited_);
    for (auto each = function.nodes.rbegin(); each != function.nodes.rend(); ++each)
      marker.visit(*each, function.opsets, depth + 1);
    for (size_t i = 0; i < std::min(node.inputs.size(), function.inputs.size()); ++i)
      if (inside.contains(function.inputs[i]))
        marked_.insert(node.inputs[i]);
  }

  void visit_branch(const Node& node, const Graph& graph, const Opsets& opsets, int depth) {
    for (size_t i = 0; i < std::min(node.outputs.size(), graph.outputs.size()); ++i)
      if (marked_.contains(node.outputs[i]))
        marked_.insert(graph.outputs[i].name);
    for (auto each = graph.nodes.rbegin(); each != graph.nodes.rend(); ++each)
      visit(*each, opsets, depth + 1);
  }

  const Model& model_;
  std::unordered_set<std::string>& marked_;
  size_t& visited_;
};

// What no training would give: attention masks, whose elements are hugely negative where nothing is
// to be seen, and matrices of both zeros and ones alone.
bool is_mask(const Constant& constant) {
  std::vector<double> values = numbers_of(constant);
  if (std::any_of(values.begin(), values.end(), [](double v) { return v <= -1e4; }))
    return true;
  auto zeros = std::count(values.begin(), values.end(), 0.0);
  auto ones = std::count(values.begin(), values.end(), 1.0);
  return constant.type.rank() >= 2 && zeros > 0 && ones > 0 &&
         static_cast<size_t>(zeros + ones) == values.size();
}

// A single number whose name an exporter made up: `val_24`, `onnx::Mul_123`, `_val_3`,
// `Constant_7_output_0`, `scalar_tensor_default`. A trained one has the name of its module.
bool is_literal(const std::string& name, const Constant& constant) {
  if (constant.type.elements() != 1)
    return false;
  return name.find("::") != std::string::npos || name.find("onstant") != std::string::npos ||
         name.find("scalar") != std::string::npos || name.find("val_") != std::string::npos ||
         name.find('.') == std::string::npos;
}

bool matches(const std::vector<std::string>& patterns, const std::string& name) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return fnmatch(pattern.c_str(), name.c_str(), 0) == 0 ||
           fnmatch(pattern.c_str(), ir_name(name).c_str(), 0) == 0;
  });
}

}  // namespace

bool is_standard(const std::string& domain) {
  return domain.empty() || domain == "ai.onnx";
}

void fail_unknown_domain(const Node& node) {
  fail("op `{}` of domain `{}` is not supported; the standard ops of ONNX are",
       readable(node.op_type), readable(node.domain));
}

const FunctionDef* find_function(const Model& model, const Node& node) {
  for (const FunctionDef& function : model.functions)
    if (function.name == node.op_type && function.domain == node.domain &&
        function.overload == node.overload)
      return &function;
  return nullptr;
}

int64_t standard_opset(const Opsets& opsets) {
  auto opset = opsets.find("");
  if (opset == opsets.end())
    fail("imports no opset of the standard ops");
  return opset->second;
}

std::unordered_set<std::string> weight_names(const Model& model, std::span<const Node* const> nodes,
                                             const Opsets& opsets,
                                             std::unordered_set<std::string> marked) {
  size_t visited = 0;
  Marker marker(model, marked, visited);
  for (auto node = nodes.rbegin(); node != nodes.rend(); ++node)
    marker.visit(**node, opsets, 0);
  marked.erase("");
  return marked;
}

ImportValue::Kind kind_of(const std::string& name, const Constant& constant, bool initializer,
                          bool is_weight, const Options& options) {
  bool candidate = false;
  if (!is_float(constant.type.dtype))
    candidate = false;
  else if (!options.parameters.empty())
    candidate = matches(options.parameters, name);
  else if (is_weight)
    candidate = true;
  else
    candidate = initializer && !is_literal(name, constant) && !is_mask(constant);
  return candidate ? ImportValue::Kind::weight : ImportValue::Kind::constant;
}

}  // namespace gradc::onnx
