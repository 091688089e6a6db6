#pragma once
// The JSON header of a safetensors file, for safetensors.cpp.
#include "runtime/safetensors.h"

namespace gradc {

// Adds what the header says to `out`, tensors as views into `data`. Returns what is wrong, or "".
// Types, shapes and byte ranges are checked against each other here, the tensors against one
// another are not.
std::string parse_safetensors_header(std::string_view text, std::span<const std::byte> data,
                                     SafetensorsFile& out);

}  // namespace gradc
