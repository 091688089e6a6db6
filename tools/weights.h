#pragma once
// Weights outside of a session: where compile finds those it writes, and how trained ones go back
// into the ONNX file that the model came from.
#include <set>
#include <string>
#include <vector>

#include "ir/module.h"
#include "runtime/safetensors.h"

namespace gradc {

// Parameters and buffers with their bytes, by the names that they have in files.
struct Weights {
  std::vector<TensorView> tensors;
  SafetensorsFile file;  // that the bytes lie in, if they are not the module's
};

// From a .safetensors file that must have them all, or with an empty path what the model file
// brought, which may be nothing.
Weights weights_of(const Module& module, const std::string& path);

// Parameters and buffers in the state region of an instance of the module.
Weights weights_of(const Module& planned, std::span<const std::byte> state);

void write_weights(const Weights& weights, const std::string& model_name, const std::string& path,
                   Durability durability);

// A copy of the .onnx file at `from`, which `imported` was made of, with these weights.
void write_onnx_model(const Module& imported, const Weights& weights, const std::string& from,
                      const std::string& to);

// Fails if what a step of `planned` changes has no place in the .onnx file, before anyone trains.
void check_onnx_holds_trained(const Module& planned, const std::string& path);

}  // namespace gradc
