// Weights files. The runtime throws nothing; what it accepts must hold what it says.
#include <cstdlib>

#include "runtime/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gradc::SafetensorsFile file =
      gradc::parse_safetensors(std::as_bytes(std::span(data, size)), "fuzz.safetensors");
  if (!file.status.ok() && (file.status.message.empty() || !file.tensors.empty()))
    std::abort();
  for (const gradc::TensorView& tensor : file.tensors)
    if (gradc::tensor_bytes(tensor.dtype, tensor.dims) !=
            static_cast<int64_t>(tensor.bytes.size()) ||
        file.find(tensor.name) != &tensor)
      std::abort();
  return 0;
}
