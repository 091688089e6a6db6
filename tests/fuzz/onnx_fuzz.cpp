// ONNX files. External data are out of reach: their folder would be /proc/self/fd, which holds
// links.
#include "compiler/import/onnx/onnx_file.h"
#include "ir/diagnostic.h"
#include "tests/fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gradc_test::MemoryFile file(data, size);
  for (auto read : {+[](const std::string& path) { gradc::onnx::read_onnx(path); },
                    +[](const std::string& path) { gradc::onnx::read_onnx_tensor(path); }}) {
    try {
      read(file.path());
    } catch (const gradc::UserError&) {
    }
  }
  return 0;
}
