// NumPy's archives: zip, deflate and .npy.
#include "ir/diagnostic.h"
#include "tests/fuzz/memory_file.h"
#include "tools/io/npz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gradc_test::MemoryFile file(data, size);
  try {
    for (const gradc::NamedArray& array : gradc::read_npz(file.path()))
      GRADC_CHECK(array.type.bytes() == static_cast<int64_t>(array.data.size()));
  } catch (const gradc::UserError&) {
  }
  return 0;
}
