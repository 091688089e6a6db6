// ONNX files, read and imported for training. External data are out of reach: their folder would be
// /proc/self/fd, which holds links.
#include "compiler/import/onnx/onnx_file.h"
#include "compiler/import/onnx/onnx_import.h"
#include "ir/diagnostic.h"
#include "tests/fuzz/memory_file.h"

using namespace gradc;

namespace {

// Every size that the file leaves open is 2.
void import_for_training(const std::string& path) {
  onnx::Model model = onnx::read_onnx(path);
  Options options;
  options.train = true;
  options.loss = "mse";
  for (const onnx::ValueInfo& input : model.graph.inputs)
    for (const onnx::Dim& dim : input.shape.value_or(std::vector<onnx::Dim>()))
      if (!dim.value && !dim.symbol.empty())
        options.binds[dim.symbol] = 2;
  onnx::import_model(model, options);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gradc_test::MemoryFile file(data, size);
  for (auto read : {+[](const std::string& path) { import_for_training(path); },
                    +[](const std::string& path) { onnx::read_onnx_tensor(path); }}) {
    try {
      read(file.path());
    } catch (const UserError&) {
    }
  }
  return 0;
}
