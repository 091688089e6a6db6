#pragma once
// How to make a value again at the least cost, where values have several producers.
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "compiler/plan/core/problem.h"

namespace gradc {

// A kernel adds its cost to what the values cost that it lacks: the shortest way in a graph of such
// kernels (Knuth's generalisation of Dijkstra's algorithm), among the values that are near.
class CheapestWay {
 public:
  explicit CheapestWay(const Problem& problem);

  // Whether there is a way to the value, from those that are there by kernels that may run.
  bool find(int value, const std::vector<char>& there, const std::function<bool(int)>& may_run);
  // Of a value that the way found last makes: its kernel.
  int producer(int value) const { return near_[rank_[value]].producer; }

 private:
  struct Near {
    int value = 0;
    int64_t distance = 0;  // cost of the kernels between it and what is sought
    int64_t cost = -1;  // of the cheapest way; -1: none yet
    int producer = -1;
  };
  struct Maker {
    int kernel = 0;
    int lacks = 0;  // values
    int64_t cost = 0;  // its own, and of the values that it lacked and that have a way
  };
  using Entry = std::pair<int64_t, int>;  // cost, and the rank of a value or the number of a maker

  bool is_near(int value) const { return stamp_of_[value] == stamp_; }
  void add_near(int value, int64_t distance);
  void extend(const std::vector<char>& there, const std::function<bool(int)>& may_run);
  void solve(const std::vector<char>& there);

  const Problem& problem_;
  int stamp_ = 0;
  std::vector<int> stamp_of_, rank_;  // by value
  std::vector<int> kernel_stamp_;  // by kernel
  std::vector<Near> near_;
  std::vector<Maker> makers_;
  std::vector<std::vector<int>> readers_;  // by rank: makers that lack the value
  std::vector<Entry> open_, ready_;  // heaps, the least first
};

}  // namespace gradc
