#pragma once
// Searches for offsets that fit a given arena exactly, where greedy placement leaves holes.
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "compiler/plan/core/schedule.h"

namespace gradc {

// Depth first over canonical placements: buffers in the order of their offsets, each as low as the
// ones before it let it (Moffitt, MiniMalloc, ASPLOS 2023). What is left must fit above the lowest
// place that any of it can have; a dead end jumps back to what has a part in it. Restarts with the
// buffers that blocked it first.
class OffsetSearch {
 public:
  // All buffers have bytes. `conflicts`: for each, those that it must not overlap, which are at
  // least the ones needed at a common step. `lessons`: for each, those of a search for some of
  // them, so that tries differ by chance from the first on; empty where there was none.
  OffsetSearch(std::vector<Buffer> buffers, std::vector<std::vector<int>> conflicts,
               int64_t capacity, std::vector<double> lessons = {});
  OffsetSearch(OffsetSearch&&) noexcept;
  ~OffsetSearch();

  // Gives up after about `work` nanoseconds, which are counted and not timed; nullopt proves
  // nothing. The next run goes on with the next restart, and finds other offsets.
  std::optional<std::vector<int64_t>> run(int64_t work);
  int64_t work() const;  // of all runs
  const std::vector<double>& lessons() const;  // by buffer: more where it should have come earlier

 private:
  class Search;
  std::unique_ptr<Search> search_;
};

}  // namespace gradc
