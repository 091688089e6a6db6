#pragma once
// IDX files, the format of MNIST and its relatives: a magic number, big-endian dims, elements.
#include <string>

#include "tools/io/array.h"

namespace gradc {

// The array in an IDX file, plain or compressed by gzip, named as the file.
NamedArray read_idx(const std::string& path);

}  // namespace gradc
