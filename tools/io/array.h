#pragma once
// A tensor with a name, as data files hold them.
#include <cstddef>
#include <string>
#include <vector>

#include "ir/type.h"

namespace gradc {

struct NamedArray {
  std::string name;
  Type type;
  std::vector<std::byte> data;  // type.bytes(), row-major, little-endian
};

}  // namespace gradc
