#pragma once
// What has to be kept over a moment of a schedule, or made again after it: a minimum cut.
#include <cstdint>
#include <optional>
#include <vector>

#include "compiler/plan/core/max_flow.h"
#include "compiler/plan/core/problem.h"

namespace gradc {

// A moment at which one kernel runs, in any schedule.
struct Moment {
  std::vector<char> ran;  // by kernel: has run by then, for certain, or runs then
  std::vector<char> to_come;  // by kernel: runs afterwards only
  std::vector<int> held;  // values that are in memory for certain
  int64_t own = 0;  // bytes of these, and workspace
};

// The network of a moment. A node on the sink's side is a value that is there afterwards, or a
// kernel that runs again.
class KeepCut {
 public:
  // `leading`, by value: the only kernel that can be the first to make it, or -1.
  KeepCut(const Problem& problem, const Moment& moment, const std::vector<int>& leading);

  struct Solution {
    double worth = 0;  // cost + price * bytes: no solution has less
    int64_t cost = 0, bytes = 0;  // of the solution at which it is reached
    std::vector<int> kept;  // values
  };

  int64_t own() const { return own_; }
  bool empty() const { return kernels_.empty(); }
  // The fewest bytes that have to be kept beside what is held, whatever is paid.
  int64_t least_bytes();
  // With a price on bytes.
  Solution solve(double price);

  struct Least {
    int64_t cost = 0;  // of what runs again, at least, where `room` bytes are left beside own()
    double price = 0;  // at which that was found
  };
  // Need not be more than `known`, and begins with a price that is worth trying.
  Least least_cost(int64_t room, int64_t known, double price);

 private:
  struct Node {
    int number = 0;  // of the kernel or value
    int node = 0, edge = 0;
    int maker = 0;  // of a value: its kernel's node
    int64_t weight = 0;  // cost of the kernel, bytes of the value
    int64_t otherwise = INT64_MAX;  // of a value: what an optional kernel that makes it costs
    bool fixed = false;  // the kernel cannot run again; the value is held anyway
  };

  static double worth(const Node& node, double price);
  void mark_needed(const Moment& moment, const std::vector<int>& leading);
  void build(const Moment& moment, const std::vector<int>& leading);
  int64_t alone(int producer) const;

  const Problem& problem_;
  int64_t own_;
  std::vector<Node> kernels_, values_;
  size_t needed_ = 0;  // so many of values_ are read by what is to come
  std::vector<int> node_of_value_, node_of_kernel_;
  int nodes_ = 0;
  bool any_fixed_ = false;
  double total_cost_ = 0, total_bytes_ = 0;
  std::optional<MaxFlow> flow_;
};

}  // namespace gradc
