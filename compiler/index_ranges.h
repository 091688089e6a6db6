#pragma once
// Which whole numbers an entry's inputs may hold. Kernels take the nearest slice where an index is
// out of range, so that nothing is read beyond a tensor; in data such an index is a mistake, and
// who feeds data can say so.
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "ir/module.h"

namespace gradc {

// What the input's elements choose among: numbers from `least` to `end` - 1.
struct IndexRange {
  int64_t least, end;
  std::string loc;  // of the op that takes them
  std::optional<int64_t> ignored;  // a number that says that there is none

  bool takes(int64_t number) const {
    return (number >= least && number < end) || number == ignored;
  }
};

// By input, for inputs that an op takes as indices or classes, maybe after they were arranged
// otherwise; negative indices may count from the end. Where several ops do, what all of them take.
std::map<std::string, IndexRange> index_ranges(const Function& entry);

}  // namespace gradc
