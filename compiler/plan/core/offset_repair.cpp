#include "compiler/plan/core/offset_repair.h"

#include <algorithm>

#include "compiler/plan/core/random.h"

namespace gradc {
namespace {

class Repair {
 public:
  Repair(std::span<const Buffer> buffers, const std::vector<int>& placed,
         const std::vector<std::vector<int>>& conflicts, int64_t capacity, int64_t work,
         std::vector<int64_t> at)
      : buffers_(buffers),
        conflicts_(conflicts),
        capacity_(capacity),
        work_left_(work),
        at_(std::move(at)),
        stuck_at_(buffers.size(), kNone),
        factor_(buffers.size(), 1.0) {
    for (int i : placed)
      note(i);
  }

  bool run() {
    while (!stuck_.empty() && work_left_ > 0)
      try_once();
    return stuck_.empty();
  }

  const std::vector<int64_t>& at() const { return at_; }

 private:
  struct Taken {
    int64_t from = 0, to = 0;
    double weight = 0;
  };
  static constexpr int kNone = -1;
  static constexpr double kLesson = 0.01;
  static constexpr int64_t kOut = -1;  // offset of what is taken out

  bool sticks_out(int i) const { return at_[i] != kOut && at_[i] + buffers_[i].bytes > capacity_; }

  // Whether the buffer is in stuck_ as it should.
  void note(int i) {
    bool is = stuck_at_[i] != kNone;
    if (sticks_out(i) == is)
      return;
    if (!is) {
      stuck_at_[i] = static_cast<int>(stuck_.size());
      stuck_.push_back(i);
      stuck_weight_ += weight(i);
      return;
    }
    stuck_[stuck_at_[i]] = stuck_.back();
    stuck_at_[stuck_.back()] = stuck_at_[i];
    stuck_.pop_back();
    stuck_at_[i] = kNone;
    stuck_weight_ -= weight(i);
  }

  void set(int i, int64_t offset) {
    history_.emplace_back(i, at_[i]);
    at_[i] = offset;
    note(i);
  }

  void try_once() {
    history_.clear();
    double before = stuck_weight_;
    int buffer = stuck_[random_.below(stuck_.size())];
    set(buffer, kOut);
    int64_t offset = best_place(buffer);
    out_.clear();
    for (int other : conflicts_[buffer])
      if (at_[other] != kOut && at_[other] < offset + buffers_[buffer].bytes &&
          offset < at_[other] + buffers_[other].bytes)
        take_out(other);
    set(buffer, offset);
    // Some that are next to what is out, so that there is more than one way to put it back.
    for (size_t more = out_.empty() ? 0 : random_.below(4); more > 0; --more) {
      const std::vector<int>& near = conflicts_[out_[random_.below(out_.size())].second];
      if (near.empty())
        continue;
      int other = near[random_.below(near.size())];
      if (at_[other] != kOut && other != buffer)
        take_out(other);
    }
    std::sort(out_.begin(), out_.end());
    for (auto [unused, other] : out_)
      set(other, smallest_gap(other));
    if (stuck_weight_ <= before)
      return;
    for (; !history_.empty(); history_.pop_back()) {
      at_[history_.back().first] = history_.back().second;
      note(history_.back().first);
    }
    for (int i : stuck_) {
      double more = kLesson * weight(i);
      factor_[i] *= 1 + kLesson;
      stuck_weight_ += more;
    }
  }

  double weight(int i) const { return static_cast<double>(buffers_[i].bytes) * factor_[i]; }

  void take_out(int i) {
    set(i, kOut);
    double weight = static_cast<double>(buffers_[i].bytes) *
                    static_cast<double>(buffers_[i].last - buffers_[i].first + 1);
    out_.emplace_back(-weight * random_.between(0.3, 1), i);
  }

  // Ranges that conflicting buffers take, by where they begin.
  void find_taken(int i) {
    taken_.clear();
    for (int other : conflicts_[i])
      if (at_[other] != kOut)
        taken_.push_back({at_[other], at_[other] + buffers_[other].bytes, weight(other)});
    std::sort(taken_.begin(), taken_.end(),
              [](const Taken& a, const Taken& b) { return a.from < b.from; });
    work_left_ -= static_cast<int64_t>(10 * conflicts_[i].size()) + 100;
  }

  int64_t smallest_gap(int i) {
    find_taken(i);
    int64_t end = 0, best = kOut, least = INT64_MAX;
    auto consider = [&](int64_t to) {
      int64_t gap = to - end;
      if (gap >= buffers_[i].bytes && gap < least) {
        least = gap;
        best = end;
      }
    };
    for (const Taken& taken : taken_) {
      consider(taken.from);
      end = std::max(end, taken.to);
    }
    consider(capacity_);
    return best != kOut ? best : end;
  }

  // Where the fewest bytes are in the way, by and large.
  int64_t best_place(int i) {
    find_taken(i);
    ends_.clear();
    for (const Taken& taken : taken_)
      ends_.emplace_back(taken.to, taken.weight);
    std::sort(ends_.begin(), ends_.end());
    int64_t bytes = buffers_[i].bytes, best = 0;
    double least = 1e300;
    // Offsets grow: what begins before the buffer's end, less what ends at its begin or before.
    size_t begun = 0, ended = 0;
    double in_the_way = 0;
    auto consider = [&](int64_t offset) {
      while (begun < taken_.size() && taken_[begun].from < offset + bytes) {
        in_the_way += taken_[begun++].weight;
      }
      while (ended < ends_.size() && ends_[ended].first <= offset)
        in_the_way -= ends_[ended++].second;
      double weight = in_the_way * random_.between(0.2, 1);
      if (weight < least) {
        least = weight;
        best = offset;
      }
    };
    consider(0);
    int64_t last = 0;
    for (auto [end, unused] : ends_)
      if (end > last && end + bytes <= capacity_)
        consider(last = end);
    if (capacity_ - bytes > last)
      consider(capacity_ - bytes);
    return best;
  }

  std::span<const Buffer> buffers_;
  const std::vector<std::vector<int>>& conflicts_;
  int64_t capacity_, work_left_;
  std::vector<int64_t> at_;
  std::vector<int> stuck_;  // buffers that stick out
  std::vector<int> stuck_at_;  // by buffer: its place in stuck_
  double stuck_weight_ = 0;
  std::vector<double> factor_;  // by buffer: grows while it sticks out
  std::vector<std::pair<int, int64_t>> history_;  // of a try: buffers and their offsets before
  std::vector<std::pair<double, int>> out_;
  std::vector<Taken> taken_;
  std::vector<std::pair<int64_t, double>> ends_;
  Random random_;
};

}  // namespace

bool repair_offsets(std::span<const Buffer> buffers, const std::vector<int>& placed,
                    const std::vector<std::vector<int>>& conflicts, int64_t capacity, int64_t work,
                    std::vector<int64_t>& at) {
  Repair repair(buffers, placed, conflicts, capacity, work, at);
  if (!repair.run())
    return false;
  at = repair.at();
  return true;
}

}  // namespace gradc
