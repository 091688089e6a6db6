#include "compiler/import/onnx/onnx_file.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "ir/diagnostic.h"
#include "tests/support/onnx_messages.h"
#include "tests/support/temporary_directory.h"

using namespace gradc;
using namespace gradc::onnx;
using gradc_test::Fields;
using gradc_test::model_of;
using gradc_test::model_of_tensors;
using gradc_test::raw_tensor;
using gradc_test::TemporaryDirectory;
using gradc_test::tensor_head;
using gradc_test::write_text;

namespace {

Model read_bytes(const std::string& bytes) {
  TemporaryDirectory directory;
  write_text(directory.file("m.onnx"), bytes);
  return read_onnx(directory.file("m.onnx"));
}

// What reading the bytes as `m.onnx` says, without the folder.
std::string error_of(const std::string& bytes) {
  TemporaryDirectory directory;
  std::string path = directory.file("m.onnx");
  write_text(path, bytes);
  try {
    read_onnx(path);
  } catch (const UserError& error) {
    std::string text = error.what();
    REQUIRE(text.starts_with(path));
    return text.substr(path.size() - strlen("m.onnx"));
  }
  return "";
}

template <typename T>
std::vector<T> values(const Tensor& tensor) {
  std::vector<T> to(tensor.data.bytes.size() / sizeof(T));
  REQUIRE(to.size() * sizeof(T) == tensor.data.bytes.size());
  if (!to.empty())
    std::memcpy(to.data(), tensor.data.bytes.data(), tensor.data.bytes.size());
  return to;
}

std::string raw(const std::vector<float>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(float)};
}

}  // namespace

TEST_CASE("a model's parts arrive as they were written", "[onnx]") {
  Fields attribute;
  attribute.bytes(attribute_proto::name, "axes")
      .integer(attribute_proto::type, 7)
      .integer(attribute_proto::ints, -1)
      .integer(attribute_proto::ints, 3);
  Fields node;
  node.bytes(node_proto::input, "x")
      .bytes(node_proto::input, "")
      .bytes(node_proto::output, "y")
      .bytes(node_proto::name, "n")
      .bytes(node_proto::op_type, "ReduceSum")
      .bytes(node_proto::domain, "ai.onnx")
      .bytes(node_proto::attribute, attribute);
  Fields shape;
  shape.bytes(shape_proto::dim, Fields().bytes(dimension_proto::dim_param, "batch"))
      .bytes(shape_proto::dim, Fields().integer(dimension_proto::dim_value, 4))
      .bytes(shape_proto::dim, Fields().integer(dimension_proto::dim_value, -1))
      .bytes(shape_proto::dim, Fields());
  Fields type;
  type.bytes(
      type_proto::tensor_type,
      Fields().integer(tensor_type_proto::elem_type, 1).bytes(tensor_type_proto::shape, shape));
  Fields graph;
  graph.bytes(graph_proto::name, "g")
      .bytes(graph_proto::node, node)
      .bytes(graph_proto::input,
             Fields().bytes(value_info_proto::name, "x").bytes(value_info_proto::type, type))
      .bytes(graph_proto::initializer, raw_tensor("w", 1, {2}, raw({1.5f, -2})));
  Model model = read_bytes(model_of(graph));

  CHECK(model.ir_version == 8);
  CHECK(model.producer == "test");
  CHECK(model.opsets == std::map<std::string, int64_t>{{"", 17}});
  CHECK(model.graph.name == "g");
  REQUIRE(model.graph.nodes.size() == 1);
  const Node& read = model.graph.nodes[0];
  CHECK(read.inputs == std::vector<std::string>{"x", ""});
  CHECK(read.outputs == std::vector<std::string>{"y"});
  CHECK(read.op_type == "ReduceSum");
  CHECK(read.domain.empty());
  REQUIRE(read.attributes.size() == 1);
  CHECK(read.attributes[0].name == "axes");
  CHECK(read.attributes[0].kind == Attribute::Kind::integers);
  CHECK(read.attributes[0].integers == std::vector<int64_t>{-1, 3});
  REQUIRE(model.graph.inputs.size() == 1);
  const ValueInfo& input = model.graph.inputs[0];
  CHECK(input.element_type == 1);
  REQUIRE(input.shape);
  REQUIRE(input.shape->size() == 4);
  CHECK((*input.shape)[0].symbol == "batch");
  CHECK_FALSE((*input.shape)[0].value);
  CHECK((*input.shape)[1].value == 4);
  CHECK_FALSE((*input.shape)[2].value);
  CHECK_FALSE((*input.shape)[3].value);
  REQUIRE(model.graph.initializers.size() == 1);
  CHECK(model.graph.initializers[0].dtype == DType::f32);
  CHECK(values<float>(model.graph.initializers[0]) == std::vector<float>{1.5f, -2});
}

TEST_CASE("sizes of tensors are compared with their shapes", "[onnx]") {
  CHECK(error_of(model_of_tensors({raw_tensor("w", 1, {2, 3}, raw({1, 2}))})) ==
        "m.onnx: tensor \"w\": error: has 8 bytes in raw_data, FLOAT[2,3] needs 24");
  CHECK(error_of(model_of_tensors({tensor_head("w", 1, {2})})) ==
        "m.onnx: tensor \"w\": error: has 0 bytes, FLOAT[2] needs 8");
  CHECK(error_of("") == "m.onnx: error: is not an ONNX model, or cut short: it has no graph");
}

TEST_CASE("parts that nobody could name are refused", "[onnx]") {
  Fields node, attribute;
  node.bytes(node_proto::output, "y");
  CHECK_THAT(error_of(model_of(Fields().bytes(graph_proto::node, node))),
             Catch::EndsWith("NodeProto has no op_type"));
  attribute.integer(attribute_proto::i, 1);
  node.bytes(node_proto::op_type, "Relu").bytes(node_proto::attribute, attribute);
  CHECK_THAT(error_of(model_of(Fields().bytes(graph_proto::node, node))),
             Catch::EndsWith("AttributeProto has no name"));
  CHECK_THAT(error_of(model_of("") + Fields().bytes(model_proto::functions, Fields()).text()),
             Catch::EndsWith("FunctionProto has no name"));
}
