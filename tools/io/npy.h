#pragma once
// The .npy format: one array behind a header in Python's syntax (numpy.lib.format, versions 1 to
// 3).
#include <cstddef>
#include <string>
#include <vector>

#include "ir/shared_bytes.h"
#include "tools/io/array.h"

namespace gradc {

// The array in a .npy file's bytes. Column-major ones become row-major; big-endian ones and types
// other than gradc's are refused. Errors are reported at `place`.
NamedArray parse_npy(std::string name, std::vector<std::byte> bytes, const std::string& place);

// The same without a copy of the data where they are row-major: these stay in `file`.
struct NpyView {
  Type type;
  SharedBytes data;
};
NpyView view_npy(const SharedBytes& file, const std::string& place);

// The header of a row-major array; the data follow it. NumPy has no bf16: widen before.
std::string npy_header(const Type& type);

}  // namespace gradc
