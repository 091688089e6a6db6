#pragma once
// Lifetimes of buffers as CSV, and the offsets that they get.
#include <cstdint>
#include <string>
#include <vector>

#include "compiler/plan/core/offsets.h"

namespace gradc {

struct Lifetimes {
  std::vector<int64_t> ids;
  // Steps are the ranks of the file's times: a buffer is needed from `lower` on, before `upper`.
  std::vector<Buffer> buffers;
};

// Columns id, lower, upper and size, in any order.
Lifetimes read_lifetimes(const std::string& path);
// Columns id and offset.
std::string offsets_csv(const Lifetimes& lifetimes, const Offsets& offsets);

}  // namespace gradc
