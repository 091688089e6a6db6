// NumPy's arrays as they lie in a file, without an archive around them.
#include "ir/diagnostic.h"
#include "tools/io/npy.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  try {
    gradc::NpyView array = gradc::view_npy(gradc::SharedBytes({bytes, bytes + size}), "fuzz.npy");
    GRADC_CHECK(array.type.bytes() == static_cast<int64_t>(array.data.bytes.size()));
  } catch (const gradc::UserError&) {
  }
  return 0;
}
