#include "compiler/plan/core/offset_search.h"

#include <algorithm>
#include <limits>

namespace gradc {
namespace {

// What is live changes only where a buffer starts: the steps between two starts are one section.
struct Span {
  int first = 0, last = 0;  // sections
};

std::vector<Span> spans_of(std::span<const Buffer> buffers, int& sections) {
  std::vector<int> starts;
  for (const Buffer& buffer : buffers)
    starts.push_back(buffer.first);
  std::sort(starts.begin(), starts.end());
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  auto section = [&](int step) {
    return static_cast<int>(std::upper_bound(starts.begin(), starts.end(), step) - starts.begin()) -
           1;
  };
  std::vector<Span> spans;
  for (const Buffer& buffer : buffers)
    spans.push_back({section(buffer.first), section(buffer.last)});
  sections = static_cast<int>(starts.size());
  return spans;
}

class Search {
 public:
  Search(std::span<const Buffer> buffers, int64_t capacity)
      : buffers_(buffers),
        capacity_(capacity),
        spans_(spans_of(buffers, sections_)),
        priority_(buffers.size()) {}

  std::optional<std::vector<int64_t>> run(int64_t node_limit) {
    while (nodes_ < node_limit) {
      int64_t before = nodes_;
      reset();
      restart_at_ = std::min<int64_t>(node_limit, nodes_ + 4 * count() + 2000);
      if (descend(0, 0))
        return at_;
      if (nodes_ < restart_at_ || nodes_ == before)
        break;  // all placements are seen
    }
    return std::nullopt;
  }

 private:
  int64_t count() const { return static_cast<int64_t>(buffers_.size()); }

  void reset() {
    at_.assign(buffers_.size(), kFree);
    height_.assign(sections_, 0);
    unplaced_.assign(sections_, 0);
    for (size_t i = 0; i < buffers_.size(); ++i)
      for (int s = spans_[i].first; s <= spans_[i].last; ++s)
        unplaced_[s] += buffers_[i].bytes;
  }

  int64_t lowest(int buffer) const {
    auto begin = height_.begin();
    return *std::max_element(begin + spans_[buffer].first, begin + spans_[buffer].last + 1);
  }

  // Buffers that can come next: no other unplaced one would fit below them.
  std::vector<int> candidates(int64_t floor) const {
    std::vector<std::pair<int64_t, int>> lowest_of;
    int64_t lowest_top = std::numeric_limits<int64_t>::max();
    for (int i = 0; i < count(); ++i)
      if (at_[i] == kFree) {
        lowest_of.emplace_back(lowest(i), i);
        lowest_top = std::min(lowest_top, lowest_of.back().first + buffers_[i].bytes);
      }
    std::erase_if(lowest_of,
                  [&](const auto& item) { return item.first >= lowest_top || item.first < floor; });
    auto weight = [&](int i) {
      double area = static_cast<double>(buffers_[i].bytes) *
                    static_cast<double>(spans_[i].last - spans_[i].first + 1);
      return priority_[i] + area / (static_cast<double>(capacity_) * sections_);
    };
    std::sort(lowest_of.begin(), lowest_of.end(), [&](const auto& a, const auto& b) {
      if (a.first != b.first)
        return a.first < b.first;
      double x = weight(a.second), y = weight(b.second);
      return x != y ? x > y : a.second < b.second;
    });
    std::vector<int> result;
    for (auto [unused, i] : lowest_of)
      result.push_back(i);
    return result;
  }

  bool descend(int placed, int64_t floor) {
    if (placed == count())
      return true;
    for (int i : candidates(floor)) {
      if (nodes_ >= restart_at_)
        return false;
      ++nodes_;
      int64_t offset = lowest(i);
      std::vector<int64_t> covered(height_.begin() + spans_[i].first,
                                   height_.begin() + spans_[i].last + 1);
      at_[i] = offset;
      for (int s = spans_[i].first; s <= spans_[i].last; ++s) {
        height_[s] = offset + buffers_[i].bytes;
        unplaced_[s] -= buffers_[i].bytes;
      }
      if (still_fits(offset) && descend(placed + 1, offset))
        return true;
      at_[i] = kFree;
      std::copy(covered.begin(), covered.end(), height_.begin() + spans_[i].first);
      for (int s = spans_[i].first; s <= spans_[i].last; ++s)
        unplaced_[s] += buffers_[i].bytes;
    }
    return false;
  }

  // What is left goes above `floor` and above what is placed. A buffer of the first section where
  // it does not fit should have come earlier.
  bool still_fits(int64_t floor) {
    for (int s = 0; s < sections_; ++s) {
      if (unplaced_[s] == 0 ? height_[s] <= capacity_
                            : std::max(height_[s], floor) + unplaced_[s] <= capacity_)
        continue;
      for (int i = 0; i < count(); ++i)
        if (at_[i] == kFree && spans_[i].first <= s && s <= spans_[i].last)
          priority_[i] += 0.02;
      return false;
    }
    return true;
  }

  static constexpr int64_t kFree = -1;

  std::span<const Buffer> buffers_;
  int64_t capacity_;
  int sections_ = 0;
  std::vector<Span> spans_;
  std::vector<double> priority_;  // learned from dead ends, kept over restarts
  std::vector<int64_t> at_;
  std::vector<int64_t> height_;  // by section: the top of what is placed
  std::vector<int64_t> unplaced_;  // by section: bytes still to be placed
  int64_t nodes_ = 0, restart_at_ = 0;
};

}  // namespace

std::optional<std::vector<int64_t>> search_offsets(std::span<const Buffer> buffers,
                                                   int64_t capacity, int64_t node_limit) {
  return Search(buffers, capacity).run(node_limit);
}

}  // namespace gradc
