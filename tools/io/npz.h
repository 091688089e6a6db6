#pragma once
// .npz files: zip archives of .npy arrays, as numpy.savez writes them.
#include <span>
#include <string>
#include <vector>

#include "tools/io/array.h"

namespace gradc {

// The arrays of an .npz file in its order, or the one of an .npy file, named as the file. Members
// that are not arrays are passed over.
std::vector<NamedArray> read_npz(const std::string& path);

// Writes arrays uncompressed; the file appears complete or not at all. bf16, which NumPy lacks,
// becomes f32.
void write_npz(const std::string& path, std::span<const NamedArray> arrays);

}  // namespace gradc
