#include "compiler/plan/core/offsets.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "compiler/plan/core/offset_repair.h"
#include "compiler/plan/core/offset_search.h"
#include "compiler/plan/core/random.h"

namespace gradc {
namespace {

// For each buffer, those needed at a common step.
std::vector<std::vector<int>> conflicts_of(std::span<const Buffer> buffers) {
  std::vector<int> by_start(buffers.size());
  std::iota(by_start.begin(), by_start.end(), 0);
  std::stable_sort(by_start.begin(), by_start.end(),
                   [&](int a, int b) { return buffers[a].first < buffers[b].first; });
  std::vector<std::vector<int>> conflicts(buffers.size());
  std::vector<int> active;
  for (int next : by_start) {
    std::erase_if(active, [&](int other) { return buffers[other].last < buffers[next].first; });
    for (int other : active) {
      conflicts[other].push_back(next);
      conflicts[next].push_back(other);
    }
    active.push_back(next);
  }
  return conflicts;
}

std::vector<int64_t> live_bytes(std::span<const Buffer> buffers) {
  int steps = 0;
  for (const Buffer& buffer : buffers)
    steps = std::max(steps, buffer.last + 1);
  std::vector<int64_t> live(steps + 1);
  for (const Buffer& buffer : buffers) {
    live[buffer.first] += buffer.bytes;
    live[buffer.last + 1] -= buffer.bytes;
  }
  std::partial_sum(live.begin(), live.end(), live.begin());
  return live;
}

class Placer {
 public:
  Placer(std::span<const Buffer> buffers, int64_t work)
      : buffers_(buffers),
        work_(work),
        conflicts_(conflicts_of(buffers)),
        live_(live_bytes(buffers)) {
    for (size_t i = 0; i < buffers.size(); ++i)
      if (buffers[i].bytes > 0) {
        placeable_.push_back(static_cast<int>(i));
        unit_ = std::gcd(unit_, buffers[i].bytes);
      }
    size_t meetings = 0;
    for (const std::vector<int>& others : conflicts_)
      meetings += others.size();
    crowded_ = meetings > placeable_.size() * placeable_.size() / kCrowdedShare;
    best_.at.assign(buffers.size(), 0);
    best_.bytes = INT64_MAX;
    peak_ = *std::max_element(live_.begin(), live_.end());
  }

  Offsets run() {
    place_greedily();
    search();
    return std::move(best_);
  }

  Offsets within(int64_t capacity) {
    place_greedily();
    if (best_.bytes > capacity && capacity >= peak_)
      search_within(capacity, work_);
    return std::move(best_);
  }

 private:
  using Key = std::function<double(int)>;  // larger first

  static constexpr int64_t kImproveWork = 5'000'000;  // about a fortieth of a second
  static constexpr int64_t kMostTries = 500;
  static constexpr size_t kFew = 400;  // buffers
  static constexpr size_t kCrowdedShare = 16;

  void place_greedily() {
    for (const auto& key : keys())
      if (best_.bytes > peak_)
        try_order(sorted_by(key), best_.bytes);
    if (best_.bytes > peak_)
      improve();
  }

  std::vector<Key> keys() const {
    auto bytes = [this](int i) { return static_cast<double>(buffers_[i].bytes); };
    auto steps = [this](int i) {
      return static_cast<double>(buffers_[i].last - buffers_[i].first + 1);
    };
    // The most bytes that are live while the buffer is.
    std::vector<double> contention(buffers_.size());
    for (int i : placeable_)
      contention[i] = static_cast<double>(*std::max_element(live_.begin() + buffers_[i].first,
                                                            live_.begin() + buffers_[i].last + 1));
    return {
        bytes,
        [=](int i) { return bytes(i) * steps(i); },
        steps,
        [this](int i) { return static_cast<double>(-buffers_[i].first); },
        [this](int i) { return static_cast<double>(buffers_[i].last); },
        [=](int i) { return contention[i] + bytes(i) * 1e-9; },
        [=](int i) { return contention[i] + steps(i) * 1e-9; },
    };
  }

  std::vector<int> sorted_by(const Key& key) const {
    std::vector<std::pair<double, int>> keyed;
    for (int i : placeable_)
      keyed.emplace_back(-key(i), i);
    std::sort(keyed.begin(), keyed.end());
    std::vector<int> order;
    for (auto [unused, i] : keyed)
      order.push_back(i);
    return order;
  }

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

  // What is there by offset. Where most meet most, going over it beats sorting what meets each.
  struct Taken {
    int64_t from = 0, to = 0;
    int first = 0, last = 0;  // steps
  };

  Taken taken_by(int i, int64_t at) const {
    return {at, at + buffers_[i].bytes, buffers_[i].first, buffers_[i].last};
  }

  int64_t offset_among_all(int i) const {
    const Buffer& buffer = buffers_[i];
    GapFinder gaps(buffer.bytes);
    for (const Taken& taken : all_taken_)
      if (taken.first <= buffer.last && buffer.first <= taken.last)
        gaps.pass(taken.from, taken.to);
    return gaps.offset();
  }

  int64_t offset_among_conflicts(int i, const std::vector<int64_t>& at) {
    taken_.clear();
    for (int other : conflicts_[i])
      if (at[other] >= 0)
        taken_.emplace_back(at[other], at[other] + buffers_[other].bytes);
    std::sort(taken_.begin(), taken_.end());
    GapFinder gaps(buffers_[i].bytes);
    for (auto [from, to] : taken_)
      gaps.pass(from, to);
    return gaps.offset();
  }

  // Each buffer into the smallest gap that takes it between the conflicting ones that have a place
  // in `at`; gives up at `limit` bytes.
  int64_t place(const std::vector<int>& order, int64_t limit, std::vector<int64_t>& at) {
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

  // Keeps what the order gives if it ends below `limit`.
  void try_order(const std::vector<int>& order, int64_t limit) {
    std::vector<int64_t> at(buffers_.size(), -1);
    if (place(order, limit, at) >= limit)
      return;
    keep(at);
    best_order_ = order;
  }

  void keep(const std::vector<int64_t>& at) {
    best_.bytes = 0;
    for (int i : placeable_) {
      best_.at[i] = at[i];
      best_.bytes = std::max(best_.bytes, at[i] + buffers_[i].bytes);
    }
  }

  // At the peak, and if that is not found, a little above.
  void search() {
    for (double above : {0.0, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05}) {
      auto capacity = peak_ + static_cast<int64_t>(static_cast<double>(peak_) * above);
      if (capacity >= best_.bytes || search_within(capacity, above > 0 ? work_ / 6 : work_))
        return;
    }
  }

  // What is needed where nearly as many bytes are live as may be, in those steps only.
  struct Tight {
    std::vector<int> ones, rest;  // buffers
    OffsetSearch search;
    bool hard = false;  // nothing was found in its turn
  };

  // First what is tight; there is more than one place for the rest, which is put into gaps and
  // repaired. Where that fails, with other offsets of what is tight.
  bool search_within(int64_t capacity, int64_t work) {
    capacity -= capacity % unit_;
    std::vector<double> shares = {0.98, 0.95, 0.92, 0.88, 0.0};
    if (placeable_.size() < kFew)
      shares = {0.0};
    std::vector<Tight> all;
    for (double share : shares)
      all.push_back(
          tight_at(static_cast<int64_t>(static_cast<double>(capacity) * share), capacity));
    while (work > 0) {
      int64_t before = work;
      for (Tight& tight : all) {
        if (tight.hard && &tight != &all.back())
          continue;
        int64_t done = tight.search.work();
        int64_t turn = all.size() == 1 ? work : std::min(turn_work(), work);
        auto found = tight.search.run(turn);
        work -= tight.search.work() - done;
        tight.hard = !found;
        if (found && place_rest(tight, *found, capacity, work))
          return true;
      }
      if (work == before)
        return false;
    }
    return false;
  }

  Tight tight_at(int64_t least, int64_t capacity) const {
    std::vector<int> steps_before(live_.size() + 1);  // with more bytes
    for (size_t step = 0; step < live_.size(); ++step)
      steps_before[step + 1] = steps_before[step] + (live_[step] > least ? 1 : 0);
    std::vector<Buffer> buffers;
    std::vector<int> ones, rest;
    for (int i : placeable_) {
      int first = steps_before[buffers_[i].first], end = steps_before[buffers_[i].last + 1];
      (first < end ? ones : rest).push_back(i);
      if (first < end)
        buffers.push_back({buffers_[i].bytes, first, end - 1});
    }
    std::stable_sort(rest.begin(), rest.end(), [&](int a, int b) { return size(a) > size(b); });
    // Those that meet in another step only must be apart too.
    std::vector<int> number(buffers_.size(), -1);
    for (size_t i = 0; i < ones.size(); ++i)
      number[ones[i]] = static_cast<int>(i);
    std::vector<std::vector<int>> conflicts(ones.size());
    for (size_t i = 0; i < ones.size(); ++i)
      for (int other : conflicts_[ones[i]])
        if (number[other] >= 0)
          conflicts[i].push_back(number[other]);
    return {std::move(ones), std::move(rest),
            OffsetSearch(std::move(buffers), std::move(conflicts), capacity)};
  }

  // Takes its work off `work`.
  bool place_rest(const Tight& tight, const std::vector<int64_t>& found, int64_t capacity,
                  int64_t& work) {
    std::vector<int64_t> at(buffers_.size(), -1);
    for (size_t i = 0; i < found.size(); ++i)
      at[tight.ones[i]] = found[i];
    if (!tight.rest.empty()) {
      place(tight.rest, INT64_MAX, at);
      int64_t repair = std::min(turn_work() / 2, work_ / 4);
      work -= repair;
      if (!repair_offsets(buffers_, placeable_, conflicts_, capacity, repair, at))
        return false;
    }
    keep(at);
    return true;
  }

  // Of one search of what is tight, and twice that of a repair of the rest.
  int64_t turn_work() const {
    constexpr int64_t kOfBuffer = 25'000;
    return kOfBuffer * static_cast<int64_t>(placeable_.size());
  }

  // Bytes times steps.
  double size(int i) const {
    return static_cast<double>(buffers_[i].bytes) * (buffers_[i].last - buffers_[i].first + 1);
  }

  // Moves buffers that stick out above the peak to an earlier place in the order of placement.
  void improve() {
    Random random;
    int64_t per_try = 0;
    for (int i : placeable_)
      per_try += static_cast<int64_t>(conflicts_[i].size());
    int64_t tries = std::min<int64_t>(kMostTries, kImproveWork / (per_try + 1));
    while (tries-- > 0 && best_.bytes > peak_) {
      std::vector<int> sticking_out;
      for (int i : placeable_)
        if (best_.at[i] + buffers_[i].bytes > peak_)
          sticking_out.push_back(i);
      std::vector<int> order = best_order_;
      move_forward(order, sticking_out[random.below(sticking_out.size())], random);
      for (size_t extra = random.below(3); extra > 0; --extra)
        move_forward(order, order[random.below(order.size())], random);
      try_order(order, best_.bytes + 1);  // crosses plateaus
    }
  }

  static void move_forward(std::vector<int>& order, int buffer, Random& random) {
    auto from = std::find(order.begin(), order.end(), buffer);
    auto to = order.begin() + static_cast<std::ptrdiff_t>(
                                  random.below(static_cast<size_t>(from - order.begin()) + 1));
    std::rotate(to, from, from + 1);
  }

  std::span<const Buffer> buffers_;
  int64_t work_;  // of the search
  std::vector<std::vector<int>> conflicts_;
  std::vector<int64_t> live_;  // by step
  std::vector<int> placeable_;  // buffers that have bytes
  int64_t peak_ = 0;
  int64_t unit_ = 0;  // all sizes are multiples of it, and so are all offsets
  Offsets best_;
  std::vector<int> best_order_;
  bool crowded_ = false;
  std::vector<std::pair<int64_t, int64_t>> taken_;
  std::vector<Taken> all_taken_;
};

}  // namespace

int64_t most_live(std::span<const Buffer> buffers) {
  std::vector<int64_t> live = live_bytes(buffers);
  return *std::max_element(live.begin(), live.end());
}

namespace {

bool any_bytes(std::span<const Buffer> buffers) {
  return std::ranges::any_of(buffers, [](const Buffer& buffer) { return buffer.bytes > 0; });
}

Offsets nowhere(std::span<const Buffer> buffers) {
  return {std::vector<int64_t>(buffers.size()), 0};
}

}  // namespace

Offsets place_within(std::span<const Buffer> buffers, int64_t capacity, int64_t work) {
  return any_bytes(buffers) ? Placer(buffers, work).within(capacity) : nowhere(buffers);
}

Offsets place_buffers(std::span<const Buffer> buffers, int64_t work) {
  return any_bytes(buffers) ? Placer(buffers, work).run() : nowhere(buffers);
}

}  // namespace gradc
