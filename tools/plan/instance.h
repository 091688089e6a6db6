#pragma once
// Planning problems as files: a graph of kernels in JSON (docs/memory.md, "Graphs from files").
#include <string>
#include <string_view>
#include <vector>

#include "compiler/plan/core/problem.h"

namespace gradc {

struct PlanInstance {
  std::string name;
  Problem problem;  // kernels as in the file; of the values those that are not persistent
  std::vector<std::string> kernel_names, value_names;
};

// What is not a possible problem is an error at path:line:column or `path: kernels[3].inputs[0]`.
PlanInstance parse_instance(std::string_view text, const std::string& path);
PlanInstance read_instance(const std::string& path);

}  // namespace gradc
