#pragma once
// gradc plan --graph: plans a graph of kernels from a file.
#include <optional>
#include <string>

namespace gradc {

struct PlanGraphFlags {
  std::string graph;  // the instance, JSON
  std::string budget;  // bytes, or "0.5x" of the peak without recomputation; "" for none
  std::string plan_out;  // kernel ids, JSON
  double effort = 1;
  std::optional<double> seconds;  // --plan-time
  bool json = false;
};

void plan_graph(const PlanGraphFlags& flags);

}  // namespace gradc
