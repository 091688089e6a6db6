#include "compiler/import/onnx/coverage.h"

#include <set>

#include "compiler/import/onnx/names.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "compiler/import/onnx/weights.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

constexpr ElementType kString = 8;  // TensorProto.STRING

class Finder {
 public:
  explicit Finder(const Model& model) : model_(model) {}

  std::vector<Gap> of_model() {
    for (const ValueInfo& input : model_.graph.inputs)
      look_at_info("input", input);
    look_at_graph(model_.graph, model_.opsets, "");
    for (const ValueInfo& output : model_.graph.outputs)
      look_at_info("output", output);
    return std::move(gaps_);
  }

  std::vector<Gap> of_node(const Node& node, const Opsets& opsets, const std::string& where) {
    look_at_node(node, opsets, where);
    return std::move(gaps_);
  }

 private:
  void look_at_type(ElementType type, const std::string& place, const Node* node) {
    if (type == 0 || dtype_of(type))
      return;
    gaps_.push_back({type == kString ? Gap::Kind::strings : Gap::Kind::type, place,
                     node ? node->name : "", node ? node->op_type : "", node ? node->domain : "",
                     fmt::format("holds {}; supported are f32 f64 f16 bf16 i8 u8 i16 i32 i64 bool",
                                 name_of(type))});
  }

  void look_at_info(std::string_view what, const ValueInfo& info) {
    std::string place = fmt::format("{}: {} `{}`", model_.path, what, readable(info.name));
    if (info.kind != "tensor")
      gaps_.push_back({Gap::Kind::sequence, place, "", "", "",
                       fmt::format("is a {}; only tensors are supported", info.kind)});
    look_at_type(info.element_type, place, nullptr);
  }

  void look_at_graph(const Graph& graph, const Opsets& opsets, const std::string& where) {
    for (const Tensor& tensor : graph.initializers)
      look_at_type(tensor.element_type,
                   fmt::format("{}: initializer `{}`", model_.path, readable(tensor.name)),
                   nullptr);
    for (const Node& node : graph.nodes)
      look_at_node(node, opsets, where);
  }

  void look_at_node(const Node& node, const Opsets& opsets, const std::string& where) {
    std::string place = node_place(model_.path, node, where);
    if (const FunctionDef* function = find_function(model_, node))
      look_at_function(*function, where);
    else
      look_at_op(node, opsets, place);
    for (const Attribute& attribute : node.attributes) {
      if (attribute.tensor)
        look_at_type(attribute.tensor->element_type, place, &node);
      bool is_type = attribute.name == "to" || attribute.name == "dtype";
      if (is_type && attribute.kind == Attribute::Kind::integer)
        look_at_type(static_cast<ElementType>(attribute.integer), place, &node);
      if (attribute.graph)
        look_at_graph(*attribute.graph, opsets, branch_where(node) + where);
    }
  }

  void look_at_op(const Node& node, const Opsets& opsets, const std::string& place) {
    try {
      if (!is_standard(node.domain))
        fail_unknown_domain(node);
      node_rule(node.op_type, standard_opset(opsets));
    } catch (const UserError& error) {
      gaps_.push_back(
          {Gap::Kind::op, place, node.name, node.op_type, node.domain, error.message()});
    }
  }

  // Once, wherever it is called from.
  void look_at_function(const FunctionDef& function, const std::string& where) {
    if (!seen_.insert(&function).second)
      return;
    for (const Node& node : function.nodes)
      look_at_node(node, function.opsets,
                   fmt::format(" in function \"{}\"{}", readable(function.name), where));
  }

  const Model& model_;
  std::vector<Gap> gaps_;
  std::set<const FunctionDef*> seen_;
};

}  // namespace

std::vector<Gap> find_gaps(const Model& model) {
  return Finder(model).of_model();
}

std::vector<Gap> find_gaps(const Model& model, const Node& node,
                           const std::map<std::string, int64_t>& opsets, const std::string& where) {
  return Finder(model).of_node(node, opsets, where);
}

}  // namespace gradc::onnx
