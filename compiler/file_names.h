#pragma once
// What state tensors are called in files of weights.
#include <string>
#include <string_view>

#include "ir/module.h"

namespace gradc {

// The name in the model's file, where that is not one in the IR's text: an attribute of the tensor.
inline constexpr std::string_view kFileName = "file_name";

inline const std::string& file_name(const StateTensor& state) {
  return state.attrs.has(kFileName) ? state.attrs.string(kFileName) : state.name;
}

}  // namespace gradc
