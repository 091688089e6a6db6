#include "compiler/plan/core/offset_gaps.h"

#include <algorithm>

namespace gradc {
namespace {

constexpr size_t kCrowdedShare = 16;

// The smallest gap that takes some bytes between what is passed by offset, else the end of that.
class GapFinder {
 public:
  explicit GapFinder(int64_t bytes) : bytes_(bytes) {}
  void pass(int64_t from, int64_t to) {
    int64_t gap = from - end_;
    if (gap >= bytes_ && gap < smallest_) {
      smallest_ = gap;
      offset_ = end_;
    }
    end_ = std::max(end_, to);
  }
  int64_t offset() const { return offset_ >= 0 ? offset_ : end_; }

 private:
  int64_t bytes_, end_ = 0, offset_ = -1, smallest_ = INT64_MAX;
};

}  // namespace

GapFiller::GapFiller(std::span<const Buffer> buffers, const std::vector<int>& placeable,
                     const std::vector<std::vector<int>>& conflicts)
    : buffers_(buffers), placeable_(placeable), conflicts_(conflicts) {
  size_t meetings = 0;
  for (const std::vector<int>& others : conflicts)
    meetings += others.size();
  crowded_ = meetings > placeable.size() * placeable.size() / kCrowdedShare;
}

int64_t GapFiller::offset_among_all(int i) {
  const Buffer& buffer = buffers_[i];
  GapFinder gaps(buffer.bytes);
  for (const Taken& taken : all_taken_)
    if (taken.first <= buffer.last && buffer.first <= taken.last)
      gaps.pass(taken.from, taken.to);
  work_ += static_cast<int64_t>(all_taken_.size());
  return gaps.offset();
}

int64_t GapFiller::offset_among_conflicts(int i, const std::vector<int64_t>& at) {
  taken_.clear();
  for (int other : conflicts_[i])
    if (at[other] >= 0)
      taken_.emplace_back(at[other], at[other] + buffers_[other].bytes);
  std::sort(taken_.begin(), taken_.end());
  GapFinder gaps(buffers_[i].bytes);
  for (auto [from, to] : taken_)
    gaps.pass(from, to);
  work_ += static_cast<int64_t>(conflicts_[i].size() + 20 * taken_.size());
  return gaps.offset();
}

int64_t GapFiller::place(const std::vector<int>& order, int64_t limit, std::vector<int64_t>& at) {
  auto by_offset = [](const Taken& a, const Taken& b) { return a.from < b.from; };
  all_taken_.clear();
  for (int i : placeable_)
    if (crowded_ && at[i] >= 0)
      all_taken_.push_back(taken_by(i, at[i]));
  std::sort(all_taken_.begin(), all_taken_.end(), by_offset);
  int64_t top = 0;
  for (int i : order) {
    at[i] = crowded_ ? offset_among_all(i) : offset_among_conflicts(i, at);
    top = std::max(top, at[i] + buffers_[i].bytes);
    if (top >= limit)
      return limit;
    if (!crowded_)
      continue;
    Taken taken = taken_by(i, at[i]);
    all_taken_.insert(std::upper_bound(all_taken_.begin(), all_taken_.end(), taken, by_offset),
                      taken);
  }
  return top;
}

}  // namespace gradc
