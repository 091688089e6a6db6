#pragma once
// Reads and writes ONNX files. The file is mapped, tensors with raw or external data point into the
// mapping; nothing is copied that need not be. External data lies below the model's folder: paths
// with `..`, absolute ones, links (symbolic or hard) and files that are not regular are refused, at
// import, also when nobody reads the bytes. Errors are UserErrors: `model.onnx: error: ...`, with
// the offset in the file where bytes are damaged.
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "compiler/import/onnx/onnx_model.h"

namespace gradc::onnx {

Model read_onnx(const std::string& path);

// The files beside it that hold external data.
std::vector<std::string> external_data_paths(const std::string& path);

// One TensorProto in a file of its own (`input_0.pb` of ONNX's test folders).
Tensor read_onnx_tensor(const std::string& path);

// A copy of the model at `from` that holds the bytes of `contents` in place of the initializers of
// these names and of the `value`s of the Constant nodes whose result has the name. The bytes are as
// many as before, in the tensor's own type. Everything else is kept byte by byte, but external data
// lie in a file `<to>.data` beside the copy, or in it if they are small. Each file appears complete
// or not at all; `to` may be `from`.
//
// protobuf reads no message of 2 GiB or more (`most_bytes`). A copy that would be as large has all
// its large initializers in `<to>.data`. This file is written first: whoever is stopped between the
// two leaves an older `to` with the new data.
inline constexpr uint64_t kMostModelBytes = INT32_MAX;
void write_onnx(const std::string& from, const std::string& to,
                const std::map<std::string, std::span<const std::byte>>& contents,
                uint64_t most_bytes = kMostModelBytes);
// Fails as write_onnx does where a tensor to replace is not there, or of another size.
void check_replaceable(const std::string& path,
                       const std::map<std::string, std::span<const std::byte>>& contents);

}  // namespace gradc::onnx
