#include "compiler/plan/core/offset_growth.h"

#include <algorithm>
#include <array>

#include "compiler/plan/core/offset_gaps.h"
#include "compiler/plan/core/offset_search.h"
#include "compiler/plan/core/random.h"

namespace gradc {
namespace {

constexpr std::array kFullShares = {0.98, 0.95, 0.92, 0.88};  // of the peak
constexpr int kFewOrders = 5, kMostOrders = 30;
constexpr double kLesson = 0.001, kStuckFactor = 1.3;

class Growth {
 public:
  Growth(std::span<const Buffer> buffers, const std::vector<int>& placeable,
         const std::vector<std::vector<int>>& conflicts, const std::vector<int64_t>& live,
         int64_t capacity, int64_t work)
      : buffers_(buffers),
        placeable_(placeable),
        conflicts_(conflicts),
        live_(live),
        capacity_(capacity),
        turn_(work / 3),
        work_left_(work),
        filler_(buffers, placeable, conflicts),
        chosen_(buffers.size()),
        lessons_(buffers.size()) {}

  // The lowest end that was found.
  int64_t run() {
    auto peak = static_cast<double>(*std::max_element(live_.begin(), live_.end()));
    for (double share : kFullShares) {
      choose_full(static_cast<int64_t>(peak * share));
      for (bool learned = false; work_left_ > 0 && place_chosen(learned); learned = true) {
        place_rest();
        if (bytes_ <= capacity_)
          return bytes_;
      }
    }
    return bytes_;
  }

  const std::vector<int64_t>& at() const { return at_; }

 private:
  // What is needed at a step at which more bytes are live.
  void choose_full(int64_t bytes) {
    full_.assign(live_.size(), 0);
    for (size_t step = 0; step < live_.size(); ++step)
      full_[step] = live_[step] > bytes;
    std::vector<int> before = full_before();
    for (int i : placeable_)
      chosen_[i] = before[buffers_[i].first] < before[buffers_[i].last + 1];
    std::fill(lessons_.begin(), lessons_.end(), 0.0);
  }

  // By step: how many of the full ones come before it.
  std::vector<int> full_before() const {
    std::vector<int> before(full_.size() + 1);
    for (size_t step = 0; step < full_.size(); ++step)
      before[step + 1] = before[step] + full_[step];
    return before;
  }

  // Of what is chosen only the full steps count for the search, but all that conflicts must be
  // apart.
  bool place_chosen(bool learned) {
    std::vector<int> before = full_before();
    ones_.clear();
    rest_.clear();
    std::vector<Buffer> buffers;
    std::vector<int> number(buffers_.size(), -1);
    for (int i : placeable_) {
      (chosen_[i] ? ones_ : rest_).push_back(i);
      if (!chosen_[i])
        continue;
      number[i] = static_cast<int>(buffers.size());
      buffers.push_back(
          {buffers_[i].bytes, before[buffers_[i].first], before[buffers_[i].last + 1] - 1});
    }
    std::vector<std::vector<int>> conflicts(ones_.size());
    for (size_t i = 0; i < ones_.size(); ++i)
      for (int other : conflicts_[ones_[i]])
        if (number[other] >= 0)
          conflicts[i].push_back(number[other]);
    std::vector<double> lessons;
    for (int i : ones_)
      if (learned)
        lessons.push_back(lessons_[i]);
    OffsetSearch search(std::move(buffers), std::move(conflicts), capacity_, std::move(lessons));
    auto found = search.run(std::min(turn_, work_left_));
    searched_ = search.work();
    work_left_ -= searched_;
    for (size_t i = 0; i < ones_.size(); ++i)
      lessons_[ones_[i]] = search.lessons()[i];
    if (found)
      found_ = *std::move(found);
    return found.has_value();
  }

  // In some orders by size and chance, in which what stuck out comes earlier, for about as long as
  // the search took. Chooses what sticks out of the best of them.
  void place_rest() {
    std::vector<double> factor(buffers_.size(), 1.0);
    std::vector<int> stuck;
    int64_t least = INT64_MAX, before = filler_.work();
    auto go_on = [&](int tries) {
      return least > 0 && tries < kMostOrders &&
             (tries < kFewOrders || filler_.work() - before < searched_);
    };
    for (int tries = 0; go_on(tries); ++tries) {
      std::vector<int64_t> at(buffers_.size(), -1);
      int64_t top = 0;
      for (size_t i = 0; i < ones_.size(); ++i) {
        at[ones_[i]] = found_[i];
        top = std::max(top, found_[i] + buffers_[ones_[i]].bytes);
      }
      top = std::max(top, filler_.place(order_of_rest(factor, tries > 0), INT64_MAX, at));
      std::vector<int> out;
      int64_t bytes = 0;
      for (int i : rest_)
        if (at[i] + buffers_[i].bytes > capacity_) {
          out.push_back(i);
          bytes += buffers_[i].bytes;
          factor[i] *= kStuckFactor;
        }
      if (bytes < least) {
        least = bytes;
        stuck = std::move(out);
      }
      if (top < bytes_) {
        bytes_ = top;
        at_ = std::move(at);
      }
    }
    work_left_ -= filler_.work() - before;
    for (int i : stuck) {
      chosen_[i] = true;
      lessons_[i] += kLesson;
      std::fill(full_.begin() + buffers_[i].first, full_.begin() + buffers_[i].last + 1, 1);
    }
  }

  std::vector<int> order_of_rest(const std::vector<double>& factor, bool by_chance) {
    std::vector<std::pair<double, int>> keyed;
    for (int i : rest_) {
      int steps = buffers_[i].last - buffers_[i].first + 1;
      double size = static_cast<double>(buffers_[i].bytes) * steps * factor[i];
      keyed.emplace_back(-size * (by_chance ? random_.between(0.5, 1) : 1), i);
    }
    std::sort(keyed.begin(), keyed.end());
    std::vector<int> order;
    for (auto [unused, i] : keyed)
      order.push_back(i);
    return order;
  }

  std::span<const Buffer> buffers_;
  const std::vector<int>& placeable_;
  const std::vector<std::vector<int>>& conflicts_;
  const std::vector<int64_t>& live_;
  int64_t capacity_, turn_, work_left_;
  int64_t searched_ = 0;  // work of the last search
  GapFiller filler_;
  std::vector<char> full_;  // steps, by number
  std::vector<char> chosen_;  // buffers, by number
  std::vector<double> lessons_;  // by buffer, of the searches before
  std::vector<int> ones_, rest_;  // what is chosen, and what is not
  std::vector<int64_t> found_;  // offsets of ones_
  std::vector<int64_t> at_;  // offsets of all, the best so far
  int64_t bytes_ = INT64_MAX;  // the end of the highest
  Random random_;
};

}  // namespace

int64_t grow_offsets(std::span<const Buffer> buffers, const std::vector<int>& placeable,
                     const std::vector<std::vector<int>>& conflicts,
                     const std::vector<int64_t>& live, int64_t capacity, int64_t work,
                     std::vector<int64_t>& at) {
  Growth growth(buffers, placeable, conflicts, live, capacity, work);
  int64_t bytes = growth.run();
  at = growth.at();
  return bytes;
}

}  // namespace gradc
