#pragma once
// An ONNX file as plain structs, names as in onnx.proto. Reading checks sizes and bounds, not
// meaning: unknown ops, types and attributes are still here for the importer to name.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/shared_bytes.h"
#include "ir/type.h"

namespace gradc::onnx {

// TensorProto.DataType; `dtype_of` names the element type of ours, if there is one.
using ElementType = int32_t;
std::optional<DType> dtype_of(ElementType type);
// For unsigned numbers without a type of ours, one that holds those below `end`.
struct WiderType {
  DType dtype;
  double end;
};
std::optional<WiderType> wider_type_of(ElementType type);
std::string name_of(ElementType type);  // "FLOAT", "STRING", "17" when unknown

// Raw, typed and external data all end up as `data`: row-major, little-endian, element_count(dims)
// elements, at any alignment (copy them out by memcpy). Empty for an element type that is not ours
// (then `element_type` says which).
struct Tensor {
  std::string name;
  ElementType element_type = 0;
  std::optional<DType> dtype;
  Dims dims;
  SharedBytes data;
};

// A size of a shape: a number, a name, or neither when unknown (-1 counts as unknown).
struct Dim {
  std::optional<int64_t> value;
  std::string symbol;
};

struct ValueInfo {
  std::string name;
  ElementType element_type = 0;  // 0: not stated, or not a tensor
  std::optional<std::vector<Dim>> shape;  // nullopt: not even the rank is known
  std::string kind = "tensor";  // or "sequence", "optional", "map", "sparse tensor", "unknown"
};

struct Graph;

struct Attribute {
  enum class Kind : int32_t {  // AttributeProto.AttributeType
    undefined = 0,
    real = 1,
    integer = 2,
    string = 3,
    tensor = 4,
    graph = 5,
    reals = 6,
    integers = 7,
    strings = 8,
    tensors = 9,
    graphs = 10
  };
  std::string name;
  Kind kind = Kind::undefined;
  std::string reference;  // ref_attr_name: inside of a function, the caller's attribute
  float real = 0;
  int64_t integer = 0;
  std::string string;
  std::shared_ptr<const Tensor> tensor;
  std::shared_ptr<const Graph> graph;
  std::vector<float> reals;
  std::vector<int64_t> integers;
  std::vector<std::string> strings;
};

struct Node {
  std::string name, op_type, domain;  // domain "" is ai.onnx, also where it is spelt out
  std::string overload;  // with domain and op_type names a function of the model
  std::vector<std::string> inputs, outputs;  // "" is an absent optional one
  std::vector<Attribute> attributes;
  size_t index = 0;  // in its graph, for messages
};

struct Graph {
  std::string name;
  std::vector<Node> nodes;  // as in the file; the importer sorts them
  std::vector<Tensor> initializers;
  std::vector<ValueInfo> inputs, outputs, value_infos;
};

// A FunctionProto: an op made of others.
struct FunctionDef {
  std::string name, domain, overload;
  std::vector<std::string> inputs, outputs, attributes;
  std::vector<Attribute> default_attributes;
  std::vector<Node> nodes;
  std::map<std::string, int64_t> opsets;
};

struct Model {
  std::string path;
  int64_t ir_version = 0;
  std::string producer;
  std::map<std::string, int64_t> opsets;  // by domain, "" for ai.onnx
  Graph graph;
  std::vector<FunctionDef> functions;
};

}  // namespace gradc::onnx
