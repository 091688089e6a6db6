#include "compiler/plan/core/max_flow.h"

#include <algorithm>

namespace gradc {

int MaxFlow::add_edge(int from, int to, int64_t capacity) {
  auto number = static_cast<int>(edges_.size());
  edges_.push_back({to, capacity, 0});
  edges_.push_back({from, 0, 0});
  edges_of_[from].push_back(number);
  edges_of_[to].push_back(number + 1);
  return number / 2;
}

void MaxFlow::set_capacity(int edge, int64_t capacity) {
  edges_[2 * static_cast<size_t>(edge)].capacity = capacity;
}

// By distance from the source. Nodes behind the sink's level are of no use, but the last search,
// which does not reach the sink, must see all.
bool MaxFlow::find_levels(int source, int sink) {
  level_.assign(edges_of_.size(), -1);
  level_[source] = 0;
  queue_.assign(1, source);
  for (size_t at = 0; at < queue_.size(); ++at) {
    int node = queue_[at];
    if (level_[sink] >= 0 && level_[node] >= level_[sink])
      break;
    for (int e : edges_of_[node]) {
      const Edge& edge = edges_[e];
      if (edge.left > 0 && level_[edge.to] < 0) {
        level_[edge.to] = level_[node] + 1;
        queue_.push_back(edge.to);
      }
    }
  }
  return level_[sink] >= 0;
}

// Along one shortest path; 0 when there is none any more. Without recursion: paths are as long as
// the network.
int64_t MaxFlow::push(int source, int sink) {
  path_.clear();
  int node = source;
  while (node != sink) {
    int& next = next_[node];
    const std::vector<int>& edges = edges_of_[node];
    while (next < static_cast<int>(edges.size())) {
      const Edge& edge = edges_[edges[next]];
      if (edge.left > 0 && level_[edge.to] == level_[node] + 1)
        break;
      ++next;
    }
    if (next < static_cast<int>(edges.size())) {
      path_.push_back(edges[next]);
      node = edges_[edges[next]].to;
      continue;
    }
    if (path_.empty())
      return 0;
    level_[node] = -1;  // leads nowhere
    node = edges_[path_.back() ^ 1].to;
    path_.pop_back();
    ++next_[node];
  }
  int64_t flow = kInfinite;
  for (int e : path_)
    flow = std::min(flow, edges_[e].left);
  for (int e : path_) {
    edges_[e].left -= flow;
    edges_[e ^ 1].left += flow;
  }
  return flow;
}

int64_t MaxFlow::run(int source, int sink) {
  for (Edge& edge : edges_)
    edge.left = edge.capacity;
  int64_t total = 0;
  while (find_levels(source, sink)) {
    next_.assign(edges_of_.size(), 0);
    while (int64_t flow = push(source, sink)) {
      total += flow;
      if (total >= kInfinite)
        return total;
    }
  }
  return total;
}

}  // namespace gradc
