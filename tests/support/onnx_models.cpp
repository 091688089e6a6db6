#include "tests/support/onnx_models.h"

#include <algorithm>

#include "compiler/import/onnx/constant.h"
#include "ir/diagnostic.h"
#include "ir/verify.h"

namespace gradc::test {
namespace {

onnx::Attribute named(const std::string& name, onnx::Attribute::Kind kind) {
  onnx::Attribute attribute;
  attribute.name = name;
  attribute.kind = kind;
  return attribute;
}

onnx::ElementType element_type_of(DType dtype) {
  for (onnx::ElementType type = 1; type < 32; ++type)
    if (onnx::dtype_of(type) == dtype)
      return type;
  return 0;
}

}  // namespace

onnx::Attribute attribute(const std::string& name, int64_t value) {
  onnx::Attribute result = named(name, onnx::Attribute::Kind::integer);
  result.integer = value;
  return result;
}

onnx::Attribute attribute(const std::string& name, double value) {
  onnx::Attribute result = named(name, onnx::Attribute::Kind::real);
  result.real = static_cast<float>(value);
  return result;
}

onnx::Attribute attribute(const std::string& name, const char* value) {
  onnx::Attribute result = named(name, onnx::Attribute::Kind::string);
  result.string = value;
  return result;
}

onnx::Attribute attribute(const std::string& name, std::vector<int64_t> value) {
  onnx::Attribute result = named(name, onnx::Attribute::Kind::integers);
  result.integers = std::move(value);
  return result;
}

onnx::Attribute attribute(const std::string& name, std::vector<double> value) {
  onnx::Attribute result = named(name, onnx::Attribute::Kind::reals);
  result.reals.assign(value.begin(), value.end());
  return result;
}

onnx::Attribute attribute(const std::string& name, const onnx::Tensor& value) {
  onnx::Attribute result = named(name, onnx::Attribute::Kind::tensor);
  result.tensor = std::make_shared<const onnx::Tensor>(value);
  return result;
}

onnx::Attribute attribute(const std::string& name, const onnx::Graph& value) {
  onnx::Attribute result = named(name, onnx::Attribute::Kind::graph);
  result.graph = std::make_shared<const onnx::Graph>(value);
  return result;
}

Tensor floats(const Dims& dims, const Values& values) {
  return {{DType::f32, dims}, values};
}

Tensor integers(const Values& values) {
  return {{DType::i64, {static_cast<int64_t>(values.size())}}, values};
}

onnx::Tensor tensor(const std::string& name, DType dtype, const Dims& dims,
                    const std::vector<double>& values) {
  GRADC_CHECK(static_cast<size_t>(element_count(dims)) == values.size());
  onnx::ConstantPtr constant = onnx::from_tensor({{dtype, dims}, values});
  return {name, element_type_of(dtype), dtype, dims, constant->content};
}

onnx::Tensor f32(const std::string& name, const Dims& dims, const std::vector<double>& values) {
  return tensor(name, DType::f32, dims, values);
}

onnx::Tensor i64(const std::string& name, const std::vector<int64_t>& values) {
  onnx::ConstantPtr constant = onnx::integers_constant(values);
  return {name, element_type_of(DType::i64), DType::i64, constant->type.dims, constant->content};
}

Size::Size(int64_t number) {
  if (number >= 0)
    value = number;
}

Size::Size(const char* name) {
  symbol = name;
}

onnx::ValueInfo value_info(const std::string& name, DType dtype, const std::vector<Size>& sizes) {
  onnx::ValueInfo info;
  info.name = name;
  info.element_type = element_type_of(dtype);
  info.shape = std::vector<onnx::Dim>(sizes.begin(), sizes.end());
  return info;
}

onnx::Node node(const std::string& op, const std::vector<std::string>& inputs,
                const std::vector<std::string>& outputs,
                const std::vector<onnx::Attribute>& attributes) {
  onnx::Node result;
  result.op_type = op;
  result.inputs = inputs;
  result.outputs = outputs;
  result.attributes = attributes;
  return result;
}

onnx::Model model(const ModelParts& parts) {
  onnx::Model result;
  result.path = "t.onnx";
  result.ir_version = 8;
  result.opsets[""] = parts.opset;
  result.graph.nodes = parts.nodes;
  result.graph.inputs = parts.inputs;
  result.graph.initializers = parts.initializers;
  for (const std::string& output : parts.outputs) {
    result.graph.outputs.emplace_back();
    result.graph.outputs.back().name = output;
  }
  for (size_t i = 0; i < result.graph.nodes.size(); ++i) {
    result.graph.nodes[i].index = i;
    result.graph.nodes[i].name = "n" + std::to_string(i);
  }
  return result;
}

std::map<std::string, Tensor> infer(const Module& module, const std::vector<Tensor>& inputs) {
  verify(module);
  State state;
  for (const StateTensor& each : module.states)
    state[each.name] = onnx::to_tensor({each.type, each.content});
  const Function& function = module.function("infer");
  std::vector<Tensor> values = eval(module, function, inputs, state);
  std::map<std::string, Tensor> outputs;
  for (size_t i = 0; i < values.size(); ++i)
    outputs[function.results[i].name] = values[i];
  return outputs;
}

std::vector<Tensor> run_node(onnx::Node node, int64_t opset, const std::vector<Tensor>& inputs,
                             const std::vector<size_t>& constants) {
  ModelParts parts;
  parts.opset = opset;
  std::vector<Tensor> given;
  node.inputs.clear();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& input = inputs[i];
    bool absent = input.type.rank() == 1 && input.data.empty();
    node.inputs.push_back(absent ? "" : "x" + std::to_string(i));
    if (absent)
      continue;
    if (std::find(constants.begin(), constants.end(), i) != constants.end()) {
      parts.initializers.push_back(
          tensor(node.inputs.back(), input.type.dtype, input.type.dims, input.data));
    } else {
      parts.inputs.push_back(value_info(node.inputs.back(), input.type.dtype,
                                        {input.type.dims.begin(), input.type.dims.end()}));
      given.push_back(input);
    }
  }
  parts.outputs = node.outputs;
  std::erase(parts.outputs, "");
  parts.nodes = {node};
  std::map<std::string, Tensor> outputs = infer(onnx::import_model(model(parts), {}), given);
  std::vector<Tensor> ordered;
  for (const std::string& output : parts.outputs)
    ordered.push_back(outputs.at(output));
  return ordered;
}

std::string import_error(const onnx::Model& model, const Options& options) {
  try {
    onnx::import_model(model, options);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace gradc::test
