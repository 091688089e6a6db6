// The text form of modules. What is accepted prints as something that reads back to the same.
#include "ir/diagnostic.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "ir/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gradc;
  std::string printed;
  try {
    Module module = parse_module({reinterpret_cast<const char*>(data), size}, "fuzz.ir");
    verify(module);
    printed = print(module);
  } catch (const UserError&) {
    return 0;
  }
  Module again = parse_module(printed, "printed.ir");
  verify(again);
  GRADC_CHECK(print(again) == printed);
  return 0;
}
