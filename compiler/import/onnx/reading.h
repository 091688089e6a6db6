#pragma once
// What the parts of the reader share while they read one file.
#include "compiler/import/onnx/external_data.h"
#include "compiler/import/onnx/message.h"
#include "compiler/import/onnx/onnx_model.h"

namespace gradc::onnx {

struct Reading {
  Origin origin;
  SharedBytes file;  // that `origin` begins
  ExternalData external;

  explicit Reading(const std::string& path)
      : origin{path}, file(read_regular_file(path)), external(path) {
    origin.begin = reinterpret_cast<const char*>(file.bytes.data());
  }
  Message whole(const char* kind) const {
    return Message(origin, kind, {origin.begin, file.bytes.size()});
  }
};

// Of a TensorProto.
Tensor read_tensor(const Message& message, Reading& reading);
// Its external data as they lie in their file, also for element types that are not ours; nullopt if
// its elements are in the model's file.
std::optional<SharedBytes> read_external_bytes(const Message& message, Reading& reading);

inline constexpr int kMostNested = 100;  // graphs in graphs
void check_nesting(const Message& graph, int depth);

}  // namespace gradc::onnx
