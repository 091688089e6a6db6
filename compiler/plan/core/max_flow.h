#pragma once
// The largest flow through a network, and the smallest cut that stops it.
#include <cstdint>
#include <vector>

namespace gradc {

// Dinic's algorithm over whole numbers.
class MaxFlow {
 public:
  static constexpr int64_t kInfinite = INT64_MAX / 4;

  explicit MaxFlow(int nodes) : edges_of_(nodes) {}
  // The number of an edge is the count of edges before it.
  int add_edge(int from, int to, int64_t capacity);
  void set_capacity(int edge, int64_t capacity);
  // From an empty network each time; kInfinite or more if nothing limits it.
  int64_t run(int source, int sink);
  // After run(): whether the node is on the source's side of the smallest cut that is nearest to
  // the source.
  bool on_source_side(int node) const { return level_[node] >= 0; }

 private:
  struct Edge {
    int to = 0;
    int64_t capacity = 0, left = 0;
  };
  bool find_levels(int source, int sink);
  int64_t push(int source, int sink);

  std::vector<Edge> edges_;  // in pairs: the edge and its reverse
  std::vector<std::vector<int>> edges_of_;
  std::vector<int> level_, next_, queue_, path_;
};

}  // namespace gradc
