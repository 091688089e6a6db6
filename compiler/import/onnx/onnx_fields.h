#pragma once
// Field numbers of onnx.proto, by message; only those that are read or written.
#include <cstdint>

namespace gradc::onnx {

namespace model_proto {
enum : uint32_t { ir_version = 1, producer_name = 2, graph = 7, opset_import = 8, functions = 25 };
}

namespace opset_proto {
enum : uint32_t { domain = 1, version = 2 };
}

namespace graph_proto {
enum : uint32_t {
  node = 1,
  name = 2,
  initializer = 5,
  input = 11,
  output = 12,
  value_info = 13,
  sparse_initializer = 15
};
}

namespace node_proto {
enum : uint32_t {
  input = 1,
  output = 2,
  name = 3,
  op_type = 4,
  attribute = 5,
  domain = 7,
  overload = 8
};
}

namespace attribute_proto {
enum : uint32_t {
  name = 1,
  f = 2,
  i = 3,
  s = 4,
  t = 5,
  g = 6,
  floats = 7,
  ints = 8,
  strings = 9,
  tensors = 10,
  graphs = 11,
  tp = 14,
  type_protos = 15,
  type = 20,
  ref_attr_name = 21,
  sparse_tensor = 22,
  sparse_tensors = 23
};
}

namespace function_proto {
enum : uint32_t {
  name = 1,
  input = 4,
  output = 5,
  attribute = 6,
  node = 7,
  opset_import = 9,
  domain = 10,
  attribute_proto = 11,
  overload = 13
};
}

namespace value_info_proto {
enum : uint32_t { name = 1, type = 2 };
}

namespace type_proto {
enum : uint32_t {
  tensor_type = 1,
  sequence_type = 4,
  map_type = 5,
  opaque_type = 7,
  sparse_tensor_type = 8,
  optional_type = 9
};
}

// TypeProto.Tensor and TypeProto.SparseTensor.
namespace tensor_type_proto {
enum : uint32_t { elem_type = 1, shape = 2 };
}

namespace shape_proto {
enum : uint32_t { dim = 1 };
}

namespace dimension_proto {
enum : uint32_t { dim_value = 1, dim_param = 2 };
}

namespace tensor_proto {
enum : uint32_t {
  dims = 1,
  data_type = 2,
  segment = 3,
  float_data = 4,
  int32_data = 5,
  string_data = 6,
  int64_data = 7,
  name = 8,
  raw_data = 9,
  double_data = 10,
  uint64_data = 11,
  external_data = 13,
  data_location = 14
};
}

namespace sparse_tensor_proto {
enum : uint32_t { values = 1, indices = 2 };
}

// StringStringEntryProto.
namespace entry_proto {
enum : uint32_t { key = 1, value = 2 };
}

}  // namespace gradc::onnx
