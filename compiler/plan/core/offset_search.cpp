#include "compiler/plan/core/offset_search.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "compiler/plan/core/random.h"

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

// By which buffers at the same offset are tried first: the larger product of these.
struct Preference {
  bool bytes = false, sections = false, contention = false;
};
constexpr std::array kPreferences = {
    Preference{.bytes = true, .sections = true}, Preference{.sections = true, .contention = true},
    Preference{.bytes = true, .sections = true, .contention = true}, Preference{.sections = true},
    Preference{.bytes = true}};

class Search {
 public:
  Search(std::span<const Buffer> buffers, int64_t capacity)
      : buffers_(buffers),
        capacity_(capacity),
        spans_(spans_of(buffers, sections_)),
        learned_(buffers.size()),
        rank_(buffers.size()),
        overlaps_(buffers.size()) {
    for (int a = 0; a < count(); ++a)
      for (int b = 0; b < count(); ++b)
        if (a != b && spans_[a].first <= spans_[b].last && spans_[b].first <= spans_[a].last)
          overlaps_[a].push_back(b);
  }

  std::optional<std::vector<int64_t>> run(int64_t work_limit) {
    work_limit_ = work_limit;
    // A longer try by each preference, then short ones that differ by what was learned and by
    // chance.
    if (try_preferences(4 * count() + 500, false))
      return at_;
    std::fill(learned_.begin(), learned_.end(), 0.0);
    int64_t nodes = count() + 500;
    for (bool learned = false; work_ < work_limit && !all_seen_; learned = true) {
      if (try_preferences(nodes, learned))
        return at_;
      nodes += nodes / 10;
    }
    return std::nullopt;
  }

 private:
  bool try_preferences(int64_t nodes, bool learned) {
    for (const Preference& preference : kPreferences) {
      if (work_ >= work_limit_ || all_seen_)
        break;
      rank_by(preference, learned);
      reset();
      nodes_left_ = nodes;
      Span conflict;
      if (descend(0, 0, -1, conflict))
        return true;
      all_seen_ = nodes_left_ > 0 && work_ < work_limit_;
    }
    return false;
  }

  int count() const { return static_cast<int>(buffers_.size()); }

  void rank_by(const Preference& preference, bool learned) {
    std::vector<int64_t> live(sections_);
    for (int i = 0; i < count(); ++i)
      for (int s = spans_[i].first; s <= spans_[i].last; ++s)
        live[s] += buffers_[i].bytes;
    std::vector<std::pair<double, int>> order;
    for (int i = 0; i < count(); ++i) {
      double weight = 1;
      if (preference.bytes)
        weight *= static_cast<double>(buffers_[i].bytes) / static_cast<double>(capacity_);
      if (preference.sections)
        weight *= static_cast<double>(spans_[i].last - spans_[i].first + 1) / sections_;
      if (preference.contention)
        weight *= static_cast<double>(*std::max_element(live.begin() + spans_[i].first,
                                                        live.begin() + spans_[i].last + 1)) /
                  static_cast<double>(capacity_);
      if (learned)
        weight = weight * random_.between(0.3, 1) + learned_[i];
      order.emplace_back(-weight, i);
    }
    std::sort(order.begin(), order.end());
    for (int i = 0; i < count(); ++i)
      rank_[order[i].second] = i;
  }

  void reset() {
    at_.assign(buffers_.size(), kFree);
    lowest_.assign(buffers_.size(), 0);
    unplaced_.assign(sections_, 0);
    floor_.assign(sections_, 0);
    for (int i = 0; i < count(); ++i)
      for (int s = spans_[i].first; s <= spans_[i].last; ++s)
        unplaced_[s] += buffers_[i].bytes;
  }

  // Whether what is left fits above the lowest place that any of it can have. In a section where it
  // does not, what is left should have come earlier.
  // `conflict` is set to the sections of all that stands in the way.
  bool still_fits(int64_t floor, Span& conflict) {
    std::fill(floor_.begin(), floor_.end(), std::numeric_limits<int64_t>::max());
    for (int i = 0; i < count(); ++i) {
      if (at_[i] != kFree)
        continue;
      int64_t lowest = std::max(lowest_[i], floor);
      if (lowest + buffers_[i].bytes > capacity_) {
        learned_[i] += kLesson;
        conflict = spans_[i];
        return false;
      }
      for (int s = spans_[i].first; s <= spans_[i].last; ++s)
        floor_[s] = std::min(floor_[s], lowest);
      work_ += 2 + (spans_[i].last - spans_[i].first) / 4;
    }
    for (int s = 0; s < sections_; ++s) {
      if (unplaced_[s] == 0 || floor_[s] + unplaced_[s] <= capacity_)
        continue;
      conflict = {s, s};
      for (int i = 0; i < count(); ++i)
        if (at_[i] == kFree && spans_[i].first <= s && s <= spans_[i].last) {
          learned_[i] += kLesson;
          conflict = hull(conflict, spans_[i]);
        }
      return false;
    }
    return true;
  }

  // Buffers that can come next, in the order of offsets and then of ranks: not those above which
  // another would still fit whole, and not those that should have come before the last.
  std::vector<int> candidates(int64_t floor, int last_rank) const {
    int64_t lowest_top = std::numeric_limits<int64_t>::max();
    for (int i = 0; i < count(); ++i)
      if (at_[i] == kFree)
        lowest_top = std::min(lowest_top, std::max(lowest_[i], floor) + buffers_[i].bytes);
    std::vector<int> result;
    for (int i = 0; i < count(); ++i)
      if (at_[i] == kFree && lowest_[i] < lowest_top &&
          (lowest_[i] > floor || (lowest_[i] == floor && rank_[i] > last_rank)))
        result.push_back(i);
    std::sort(result.begin(), result.end(), [&](int a, int b) {
      return lowest_[a] != lowest_[b] ? lowest_[a] < lowest_[b] : rank_[a] < rank_[b];
    });
    return result;
  }

  static Span hull(Span a, Span b) {
    return {std::min(a.first, b.first), std::max(a.last, b.last)};
  }
  static bool meet(Span a, Span b) { return a.first <= b.last && b.first <= a.last; }

  // On failure, `conflict` is the sections where the reasons lie. A buffer that has no part in them
  // need not be tried elsewhere: the next ones go above it and leave even less room.
  bool descend(int placed, int64_t floor, int last_rank, Span& conflict) {
    if (placed == count())
      return true;
    work_ += count() / 2;
    conflict = {sections_, -1};
    std::vector<int> next = candidates(floor, last_rank);
    if (next.empty())
      conflict = {0, sections_ - 1};
    for (int i : next) {
      if (nodes_left_ <= 0 || work_ >= work_limit_)
        return false;
      --nodes_left_;
      int64_t offset = lowest_[i];
      size_t undo = raised_.size();
      Span reason;
      place(i, offset);
      if (still_fits(offset, reason) && descend(placed + 1, offset, rank_[i], reason))
        return true;
      take_back(i, undo);
      conflict = hull(conflict, reason);
      if (!meet(reason, spans_[i]))
        break;
    }
    return false;
  }

  void place(int i, int64_t offset) {
    at_[i] = offset;
    int64_t top = offset + buffers_[i].bytes;
    for (int s = spans_[i].first; s <= spans_[i].last; ++s)
      unplaced_[s] -= buffers_[i].bytes;
    for (int other : overlaps_[i])
      if (at_[other] == kFree && lowest_[other] < top) {
        raised_.emplace_back(other, lowest_[other]);
        lowest_[other] = top;
      }
    work_ += static_cast<int64_t>(overlaps_[i].size()) / 2;
  }

  void take_back(int i, size_t undo) {
    at_[i] = kFree;
    for (int s = spans_[i].first; s <= spans_[i].last; ++s)
      unplaced_[s] += buffers_[i].bytes;
    for (; raised_.size() > undo; raised_.pop_back())
      lowest_[raised_.back().first] = raised_.back().second;
  }

  static constexpr int64_t kFree = -1;
  static constexpr double kLesson = 0.0003;

  std::span<const Buffer> buffers_;
  int64_t capacity_;
  int sections_ = 0;
  std::vector<Span> spans_;
  std::vector<double> learned_;  // from dead ends, kept over restarts
  std::vector<int> rank_;
  std::vector<std::vector<int>> overlaps_;
  std::vector<int64_t> at_;
  std::vector<int64_t> lowest_;  // by buffer: the top of what is placed below it
  std::vector<int64_t> unplaced_, floor_;  // by section
  std::vector<std::pair<int, int64_t>> raised_;
  int64_t nodes_left_ = 0, work_ = 0, work_limit_ = 0;
  bool all_seen_ = false;  // and none of them fits
  Random random_;
};

}  // namespace

std::optional<std::vector<int64_t>> search_offsets(std::span<const Buffer> buffers,
                                                   int64_t capacity, int64_t work_limit) {
  return Search(buffers, capacity).run(work_limit);
}

}  // namespace gradc
