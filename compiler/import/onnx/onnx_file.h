#pragma once
// Reads and writes ONNX files. The file is mapped, tensors with raw or external data point into the
// mapping; nothing is copied that need not be. External data lies below the model's folder: paths
// with `..`, absolute ones, links (symbolic or hard) and files that are not regular are refused, at
// import, also when nobody reads the bytes. Errors are UserErrors: `model.onnx: error: ...`, with
// the offset in the file where bytes are damaged.
#include <map>
#include <span>
#include <string>

#include "compiler/import/onnx/onnx_model.h"

namespace gradc::onnx {

Model read_onnx(const std::string& path);

// One TensorProto in a file of its own (`input_0.pb` of ONNX's test folders).
Tensor read_onnx_tensor(const std::string& path);

// A copy of the model at `from` whose initializers, and tensors of Constant nodes, named in
// `contents` hold these bytes instead (of the same size, in the tensor's own type); everything else
// is kept byte by byte, external data becomes raw data. Written to a temporary file and renamed.
// A model of 2 GiB or more is written with external data `<name>.onnx.data` beside it.
void write_onnx(const std::string& from, const std::string& to,
                const std::map<std::string, std::span<const std::byte>>& contents);

}  // namespace gradc::onnx
