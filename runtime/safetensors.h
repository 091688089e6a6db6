#pragma once
// Safetensors files (github.com/huggingface/safetensors): an 8-byte little-endian header length, a
// JSON header with names, types, shapes and byte ranges, and the data. Used for weights and
// checkpoints, by the runtime, the compiler and the tools alike. Nothing here throws.
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/file.h"
#include "runtime/gradc_runtime.h"

namespace gradc {

// A tensor in memory that someone else owns; dense, row-major, little-endian.
struct TensorView {
  std::string name;
  gradc_dtype dtype = GRADC_F32;
  std::vector<int64_t> dims;
  std::span<const std::byte> bytes;
};

// A file's tensors, in the order of their data. Their bytes live as long as this object.
struct SafetensorsFile {
  FileStatus status;  // if it failed, nothing else is here
  std::map<std::string, std::string> metadata;
  std::vector<TensorView> tensors;
  FileBytes file;

  const TensorView* find(std::string_view name) const;  // or null
};

// Reads a file and refuses a damaged one: a header that does not parse or repeats a name, data that
// do not match types and shapes, overlap, leave holes or end early.
SafetensorsFile read_safetensors(const std::string& path);
// The same of bytes already in memory, which must outlive the result; `path` is for messages only.
SafetensorsFile parse_safetensors(std::span<const std::byte> bytes, const std::string& path);

// Writes a file that appears complete or not at all. Data are in the order of the tensors, but
// larger element types first, so that every tensor is aligned to its element.
FileStatus write_safetensors(const std::string& path, std::span<const TensorView> tensors,
                             const std::map<std::string, std::string>& metadata,
                             Durability durability = Durability::beyond_power_loss);

size_t dtype_bytes(gradc_dtype dtype);
std::optional<gradc_dtype> safetensors_dtype(std::string_view name);  // by its name in files: "F32"
// Elements of a shape times bytes of an element, or -1 if a dim is negative or the product
// overflows.
int64_t tensor_bytes(gradc_dtype dtype, std::span<const int64_t> dims);
std::string shape_text(gradc_dtype dtype, std::span<const int64_t> dims);  // "F32[3,4]"

}  // namespace gradc
