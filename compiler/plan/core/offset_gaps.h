#pragma once
// Buffers into gaps between those that have a place.
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "compiler/plan/core/schedule.h"

namespace gradc {

class GapFiller {
 public:
  // `placeable` are the buffers that have bytes; `conflicts`: for each buffer, those needed at a
  // common step.
  GapFiller(std::span<const Buffer> buffers, const std::vector<int>& placeable,
            const std::vector<std::vector<int>>& conflicts);

  // Each of `order` in turn into the smallest gap that takes it between the conflicting ones that
  // have a place in `at`, else above them; -1 is no place. Gives up at `limit` bytes, else gives
  // the highest end of what it placed.
  int64_t place(const std::vector<int>& order, int64_t limit, std::vector<int64_t>& at);
  int64_t work() const { return work_; }  // of all calls, about nanoseconds, which are counted

 private:
  // What is there by offset. Where most meet most, going over it beats sorting what meets each.
  struct Taken {
    int64_t from = 0, to = 0;
    int first = 0, last = 0;  // steps
  };

  Taken taken_by(int i, int64_t at) const {
    return {at, at + buffers_[i].bytes, buffers_[i].first, buffers_[i].last};
  }
  int64_t offset_among_all(int i);
  int64_t offset_among_conflicts(int i, const std::vector<int64_t>& at);

  std::span<const Buffer> buffers_;
  const std::vector<int>& placeable_;
  const std::vector<std::vector<int>>& conflicts_;
  bool crowded_ = false;
  std::vector<std::pair<int64_t, int64_t>> taken_;
  std::vector<Taken> all_taken_;
  int64_t work_ = 0;
};

}  // namespace gradc
