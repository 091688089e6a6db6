#include "compiler/plan/core/offsets.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "compiler/plan/core/offset_gaps.h"
#include "compiler/plan/core/offset_growth.h"
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

std::vector<int> placeable_of(std::span<const Buffer> buffers) {
  std::vector<int> placeable;
  for (size_t i = 0; i < buffers.size(); ++i)
    if (buffers[i].bytes > 0)
      placeable.push_back(static_cast<int>(i));
  return placeable;
}

class Placer {
 public:
  Placer(std::span<const Buffer> buffers, int64_t work)
      : buffers_(buffers),
        work_(work),
        conflicts_(conflicts_of(buffers)),
        live_(live_bytes(buffers)),
        placeable_(placeable_of(buffers)),
        filler_(buffers, placeable_, conflicts_) {
    for (int i : placeable_)
      unit_ = std::gcd(unit_, buffers[i].bytes);
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
  static constexpr size_t kFew = 450;  // buffers

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

  // Keeps what the order gives if it ends below `limit`.
  void try_order(const std::vector<int>& order, int64_t limit) {
    std::vector<int64_t> at(buffers_.size(), -1);
    if (filler_.place(order, limit, at) >= limit)
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

  bool search_within(int64_t capacity, int64_t work) {
    capacity -= capacity % unit_;
    std::vector<int64_t> at(buffers_.size(), -1);
    if (placeable_.size() < kFew) {
      if (!search_all(capacity, work, at))
        return false;
      keep(at);
    } else if (grow_offsets(buffers_, placeable_, conflicts_, live_, capacity, work, at) <
               best_.bytes) {
      keep(at);
    }
    return best_.bytes <= capacity;
  }

  bool search_all(int64_t capacity, int64_t work, std::vector<int64_t>& at) const {
    std::vector<Buffer> buffers;
    std::vector<int> number(buffers_.size(), -1);
    for (int i : placeable_) {
      number[i] = static_cast<int>(buffers.size());
      buffers.push_back(buffers_[i]);
    }
    std::vector<std::vector<int>> conflicts(buffers.size());
    for (int i : placeable_)
      for (int other : conflicts_[i])
        if (number[other] >= 0)
          conflicts[number[i]].push_back(number[other]);
    auto found = OffsetSearch(std::move(buffers), std::move(conflicts), capacity, {}).run(work);
    for (size_t i = 0; found && i < placeable_.size(); ++i)
      at[placeable_[i]] = (*found)[i];
    return found.has_value();
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
  GapFiller filler_;
  int64_t peak_ = 0;
  int64_t unit_ = 0;  // all sizes are multiples of it, and so are all offsets
  Offsets best_;
  std::vector<int> best_order_;
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
