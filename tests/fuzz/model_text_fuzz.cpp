// Model descriptions. What is accepted gives a module that holds together.
#include "compiler/import/model_text.h"
#include "ir/diagnostic.h"
#include "ir/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gradc;
  Options options;
  options.train = true;
  Module module;
  try {
    module = import_model_text({reinterpret_cast<const char*>(data), size}, "fuzz.model", options);
  } catch (const UserError&) {
    return 0;
  }
  verify(module);
  return 0;
}
