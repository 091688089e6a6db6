// ModelProto and all below it but tensors. Unknown fields are skipped; of a field that may stand
// once, the last one counts.
#include "compiler/import/onnx/onnx_fields.h"
#include "compiler/import/onnx/onnx_file.h"
#include "compiler/import/onnx/reading.h"

namespace gradc::onnx {
namespace {

Graph read_graph(Message message, Reading& reading, int depth);

std::string domain_name(std::string name) {
  return name == "ai.onnx" ? "" : name;
}

Dim read_dim(Message message) {
  Dim dim;
  while (message.next()) {
    if (message.field() == dimension_proto::dim_value) {
      dim = {};
      if (message.integer() >= 0)
        dim.value = message.integer();
    } else if (message.field() == dimension_proto::dim_param) {
      dim = {};
      dim.symbol = message.string();
    }
  }
  return dim;
}

std::vector<Dim> read_shape(Message message) {
  std::vector<Dim> shape;
  while (message.next()) {
    if (message.field() == shape_proto::dim)
      shape.push_back(read_dim(message.message("TensorShapeProto.Dimension")));
    if (static_cast<int64_t>(shape.size()) > kMaxRank)
      message.damaged(fmt::format("has more than {} axes", kMaxRank));
  }
  return shape;
}

void read_tensor_type(Message message, ValueInfo& to) {
  while (message.next()) {
    if (message.field() == tensor_type_proto::elem_type)
      to.element_type = static_cast<ElementType>(message.integer());
    else if (message.field() == tensor_type_proto::shape)
      to.shape = read_shape(message.message("TensorShapeProto"));
  }
}

void set_kind(ValueInfo& info, const char* kind) {
  info.element_type = 0;
  info.shape.reset();
  info.kind = kind;
}

void read_type(Message message, ValueInfo& to) {
  while (message.next()) {
    switch (message.field()) {
      case type_proto::tensor_type:
        set_kind(to, "tensor");
        read_tensor_type(message.message("TypeProto.Tensor"), to);
        break;
      case type_proto::sequence_type:
        set_kind(to, "sequence");
        break;
      case type_proto::map_type:
        set_kind(to, "map");
        break;
      case type_proto::optional_type:
        set_kind(to, "optional");
        break;
      case type_proto::sparse_tensor_type:
        set_kind(to, "sparse tensor");
        break;
      case type_proto::opaque_type:
        set_kind(to, "unknown");
        break;
    }
  }
}

ValueInfo read_value_info(Message message) {
  ValueInfo info;
  while (message.next()) {
    if (message.field() == value_info_proto::name)
      info.name = message.string();
    else if (message.field() == value_info_proto::type)
      read_type(message.message("TypeProto"), info);
  }
  return info;
}

// What a SparseTensorProto holds is not used, but its external data must be as harmless as others.
std::string check_sparse_tensor(Message message, Reading& reading) {
  std::string name;
  while (message.next())
    if (message.field() == sparse_tensor_proto::values)
      name = read_tensor(message.message("TensorProto"), reading).name;
    else if (message.field() == sparse_tensor_proto::indices)
      read_tensor(message.message("TensorProto"), reading);
  return name;
}

// Files of IR version 1 do not state the kind: then the field that is there tells it.
Attribute::Kind kind_of_field(uint32_t field) {
  switch (field) {
    case attribute_proto::f:
      return Attribute::Kind::real;
    case attribute_proto::i:
      return Attribute::Kind::integer;
    case attribute_proto::s:
      return Attribute::Kind::string;
    case attribute_proto::t:
      return Attribute::Kind::tensor;
    case attribute_proto::g:
      return Attribute::Kind::graph;
    case attribute_proto::floats:
      return Attribute::Kind::reals;
    case attribute_proto::ints:
      return Attribute::Kind::integers;
    case attribute_proto::strings:
      return Attribute::Kind::strings;
    case attribute_proto::tensors:
      return Attribute::Kind::tensors;
    case attribute_proto::graphs:
      return Attribute::Kind::graphs;
    default:
      return Attribute::Kind::undefined;
  }
}

Attribute read_attribute(Message message, Reading& reading, int depth) {
  Attribute attribute;
  Attribute::Kind seen = Attribute::Kind::undefined;
  while (message.next()) {
    switch (message.field()) {
      case attribute_proto::name:
        attribute.name = message.string();
        break;
      case attribute_proto::ref_attr_name:
        attribute.reference = message.string();
        break;
      case attribute_proto::type:
        attribute.kind = static_cast<Attribute::Kind>(message.integer());
        break;
      case attribute_proto::f:
        attribute.real = message.real();
        break;
      case attribute_proto::i:
        attribute.integer = message.integer();
        break;
      case attribute_proto::s:
        attribute.string = message.string();
        break;
      case attribute_proto::t:
        attribute.tensor =
            std::make_shared<const Tensor>(read_tensor(message.message("TensorProto"), reading));
        break;
      case attribute_proto::g:
        attribute.graph = std::make_shared<const Graph>(
            read_graph(message.message("GraphProto"), reading, depth + 1));
        break;
      case attribute_proto::floats:
        message.append_to(attribute.reals);
        break;
      case attribute_proto::ints:
        message.append_to(attribute.integers);
        break;
      case attribute_proto::strings:
        attribute.strings.push_back(message.string());
        break;
      // No op of ONNX has these; what they hold is checked and not kept.
      case attribute_proto::tensors:
        read_tensor(message.message("TensorProto"), reading);
        break;
      case attribute_proto::graphs:
        read_graph(message.message("GraphProto"), reading, depth + 1);
        break;
      case attribute_proto::sparse_tensor:
      case attribute_proto::sparse_tensors:
        check_sparse_tensor(message.message("SparseTensorProto"), reading);
        break;
    }
    if (Attribute::Kind kind = kind_of_field(message.field()); kind != Attribute::Kind::undefined)
      seen = kind;
  }
  // Without this, and the like for nodes and functions, two bytes of a file would take hundreds.
  if (attribute.name.empty())
    message.damaged("has no name");
  if (attribute.kind == Attribute::Kind::undefined)
    attribute.kind = seen;
  return attribute;
}

Node read_node(Message message, Reading& reading, int depth) {
  Node node;
  while (message.next()) {
    switch (message.field()) {
      case node_proto::input:
        node.inputs.push_back(message.string());
        break;
      case node_proto::output:
        node.outputs.push_back(message.string());
        break;
      case node_proto::name:
        node.name = message.string();
        break;
      case node_proto::op_type:
        node.op_type = message.string();
        break;
      case node_proto::domain:
        node.domain = domain_name(message.string());
        break;
      case node_proto::overload:
        node.overload = message.string();
        break;
      case node_proto::attribute:
        node.attributes.push_back(
            read_attribute(message.message("AttributeProto"), reading, depth));
        break;
    }
  }
  if (node.op_type.empty())
    message.damaged("has no op_type");
  return node;
}

void append_node(std::vector<Node>& nodes, Message message, Reading& reading, int depth) {
  nodes.push_back(read_node(message, reading, depth));
  nodes.back().index = nodes.size() - 1;
}

Graph read_graph(Message message, Reading& reading, int depth) {
  check_nesting(message, depth);
  Graph graph;
  while (message.next()) {
    switch (message.field()) {
      case graph_proto::name:
        graph.name = message.string();
        break;
      case graph_proto::node:
        append_node(graph.nodes, message.message("NodeProto"), reading, depth);
        break;
      case graph_proto::initializer:
        graph.initializers.push_back(read_tensor(message.message("TensorProto"), reading));
        break;
      case graph_proto::sparse_initializer:
        throw UserError(
            reading.origin.path,
            fmt::format("has the sparse initializer {}, which is not supported",
                        shown(check_sparse_tensor(message.message("SparseTensorProto"), reading))));
      case graph_proto::input:
        graph.inputs.push_back(read_value_info(message.message("ValueInfoProto")));
        break;
      case graph_proto::output:
        graph.outputs.push_back(read_value_info(message.message("ValueInfoProto")));
        break;
      case graph_proto::value_info:
        graph.value_infos.push_back(read_value_info(message.message("ValueInfoProto")));
        break;
    }
  }
  return graph;
}

void read_opset(Message message, const Reading& reading, std::map<std::string, int64_t>& to) {
  std::string domain;
  int64_t version = 0;
  while (message.next()) {
    if (message.field() == opset_proto::domain)
      domain = domain_name(message.string());
    else if (message.field() == opset_proto::version)
      version = message.integer();
  }
  auto [entry, is_new] = to.emplace(domain, version);
  if (!is_new && entry->second != version)
    throw UserError(
        reading.origin.path,
        fmt::format("imports versions {} and {} of the op set {}; one is needed", entry->second,
                    version, shown(domain.empty() ? "ai.onnx" : domain)));
}

FunctionDef read_function(Message message, Reading& reading) {
  FunctionDef function;
  while (message.next()) {
    switch (message.field()) {
      case function_proto::name:
        function.name = message.string();
        break;
      case function_proto::domain:
        function.domain = domain_name(message.string());
        break;
      case function_proto::overload:
        function.overload = message.string();
        break;
      case function_proto::input:
        function.inputs.push_back(message.string());
        break;
      case function_proto::output:
        function.outputs.push_back(message.string());
        break;
      case function_proto::attribute:
        function.attributes.push_back(message.string());
        break;
      case function_proto::attribute_proto:
        function.default_attributes.push_back(
            read_attribute(message.message("AttributeProto"), reading, 0));
        break;
      case function_proto::node:
        append_node(function.nodes, message.message("NodeProto"), reading, 0);
        break;
      case function_proto::opset_import:
        read_opset(message.message("OperatorSetIdProto"), reading, function.opsets);
        break;
    }
  }
  if (function.name.empty())
    message.damaged("has no name");
  return function;
}

Model read_model(Reading& reading) {
  Message message = reading.whole("ModelProto");
  Model model;
  model.path = reading.origin.path;
  bool has_graph = false;
  while (message.next()) {
    switch (message.field()) {
      case model_proto::ir_version:
        model.ir_version = message.integer();
        break;
      case model_proto::producer_name:
        model.producer = message.string();
        break;
      case model_proto::opset_import:
        read_opset(message.message("OperatorSetIdProto"), reading, model.opsets);
        break;
      case model_proto::graph:
        model.graph = read_graph(message.message("GraphProto"), reading, 0);
        has_graph = true;
        break;
      case model_proto::functions:
        model.functions.push_back(read_function(message.message("FunctionProto"), reading));
        break;
    }
  }
  if (!has_graph)
    throw UserError(reading.origin.path, "is not an ONNX model, or cut short: it has no graph");
  return model;
}

}  // namespace

void check_nesting(const Message& graph, int depth) {
  if (depth > kMostNested)
    graph.damaged(
        fmt::format("lies in {} other graphs, more than the {} that are read", depth, kMostNested));
}

Model read_onnx(const std::string& path) {
  Reading reading(path);
  return read_model(reading);
}

std::vector<std::string> external_data_paths(const std::string& path) {
  Reading reading(path);
  read_model(reading);
  return reading.external.paths();
}

}  // namespace gradc::onnx
