#pragma once
// Parts of ONNX files, written field by field: a message is the string of its bytes.
#include <cstdint>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <vector>

#include "compiler/import/onnx/onnx_fields.h"

namespace gradc_test {

// Fields of one message, in the order of the calls.
class Fields {
 public:
  Fields& bytes(uint32_t field, const std::string& value) {
    protozero::pbf_writer(text_).add_bytes(field, value);
    return *this;
  }
  Fields& integer(uint32_t field, int64_t value) {
    protozero::pbf_writer(text_).add_int64(field, value);
    return *this;
  }
  Fields& real(uint32_t field, float value) {
    protozero::pbf_writer(text_).add_float(field, value);
    return *this;
  }
  operator const std::string&() const { return text_; }
  const std::string& text() const { return text_; }
  std::string& text() { return text_; }

 private:
  std::string text_;
};

// A TensorProto but for its elements; `type` is a TensorProto.DataType.
inline Fields tensor_head(const std::string& name, int type, const std::vector<int64_t>& dims) {
  using namespace gradc::onnx;
  Fields tensor;
  for (int64_t dim : dims)
    tensor.integer(tensor_proto::dims, dim);
  return tensor.integer(tensor_proto::data_type, type).bytes(tensor_proto::name, name);
}

inline std::string raw_tensor(const std::string& name, int type, const std::vector<int64_t>& dims,
                              const std::string& raw) {
  return tensor_head(name, type, dims).bytes(gradc::onnx::tensor_proto::raw_data, raw);
}

// A ModelProto around a GraphProto.
inline std::string model_of(const std::string& graph) {
  using namespace gradc::onnx;
  return Fields()
      .integer(model_proto::ir_version, 8)
      .bytes(model_proto::producer_name, "test")
      .bytes(model_proto::graph, graph)
      .bytes(model_proto::opset_import, Fields().integer(opset_proto::version, 17));
}

// A model of these TensorProtos.
inline std::string model_of_tensors(const std::vector<std::string>& tensors) {
  Fields graph;
  for (const std::string& tensor : tensors)
    graph.bytes(gradc::onnx::graph_proto::initializer, tensor);
  return model_of(graph);
}

}  // namespace gradc_test
