#pragma once
// What no schedule can do better, whatever its order and whatever it recomputes.
#include <cstdint>
#include <vector>

#include "compiler/plan/core/keep_cut.h"
#include "compiler/plan/core/schedule.h"

namespace gradc {

// When a kernel c runs for the first time, everything that it depends on has run, and nothing that
// depends on it. Each value made by then and read by the latter is in memory while c runs, or is
// made again afterwards and paid for a second time. The least of what is paid, given the bytes that
// the budget leaves beside what c itself holds: a minimum cut, with the bytes at a price
// (Lagrange); the best over a number of kernels c. What must come before c makes it sharper (see
// last_runs.h).
struct Bound {
  int64_t overhead = 0;  // nanoseconds: a schedule within the budget costs at least this much more
  int64_t alone = 0;  // the same, of c alone
  bool impossible = false;  // no schedule is within the budget
  int kernel = -1;  // the c it comes from
  double price = 0;  // of a byte, nanoseconds
};

class BoundSearch {
 public:
  // `order` runs every required kernel once.
  BoundSearch(const Problem& problem, const Schedule& order);

  Bound bound(int64_t budget);

  // No schedule has a lower peak.
  struct Floor {
    int64_t bytes = 0;
    int kernel = -1;
    // Else with values that cannot be made again after it, or what is there while these are made
    // that it reads.
    bool alone = true;
  };
  Floor floor(bool thorough = true);

  // The values that are cheapest to keep over `kernel` at prices around `price`.
  std::vector<std::vector<int>> keep_sets(int kernel, double price);

 private:
  void find_leading();
  std::vector<char> before(int kernel) const;
  std::vector<char> behind(int kernel) const;
  KeepCut make_cut(int kernel) const;
  bool must_have_run(int kernel, int value) const;
  Bound bound_at(int step, int64_t budget, const Bound& best) const;
  Floor raised(Floor floor, bool thorough) const;
  Bound sharpened(const Bound& best, const std::vector<Bound>& alone, int64_t budget) const;

  const Problem& problem_;
  Schedule order_;
  Usage usage_;
  std::vector<int> leading_;  // by value: the only kernel that can be the first to make it, or -1
  std::vector<std::vector<int>> waits_for_;  // by kernel: required ones that have run before it
};

}  // namespace gradc
