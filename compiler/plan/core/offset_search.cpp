#include "compiler/plan/core/offset_search.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "compiler/plan/core/random.h"

namespace gradc {
namespace {

// Steps between which no buffer ends, at all but the last of which less than kFull of the capacity
// is needed, are one section: all that is needed at one of them is needed at the last.
struct Span {
  int first = 0, last = 0;  // sections
};
constexpr double kFull = 0.9;

std::vector<Span> spans_of(const std::vector<Buffer>& buffers, int64_t capacity, int& sections) {
  struct Event {
    int step = 0;
    bool starts = false;  // a buffer; else one has ended
    int64_t bytes = 0;
  };
  std::vector<Event> events;
  for (const Buffer& buffer : buffers) {
    events.push_back({buffer.first, true, buffer.bytes});
    events.push_back({buffer.last + 1, false, -buffer.bytes});
  }
  std::sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
    return a.step != b.step ? a.step < b.step : a.starts < b.starts;
  });
  std::vector<int> firsts;  // steps, of sections
  bool apart = true;
  int64_t live = 0;
  auto full = static_cast<int64_t>(static_cast<double>(capacity) * kFull);
  for (const Event& event : events) {
    if (event.starts && (firsts.empty() || (firsts.back() < event.step && (apart || live > full))))
      firsts.push_back(event.step);
    apart = !event.starts;
    live += event.bytes;
  }
  auto section = [&](int step) {
    return static_cast<int>(std::upper_bound(firsts.begin(), firsts.end(), step) - firsts.begin()) -
           1;
  };
  std::vector<Span> spans;
  for (const Buffer& buffer : buffers)
    spans.push_back({section(buffer.first), section(buffer.last)});
  sections = static_cast<int>(firsts.size());
  return spans;
}

// For each buffer, at how many steps others start while it is needed, itself included; as a share
// of all.
std::vector<double> lengths_of(const std::vector<Buffer>& buffers) {
  std::vector<int> starts;
  for (const Buffer& buffer : buffers)
    starts.push_back(buffer.first);
  std::sort(starts.begin(), starts.end());
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  std::vector<double> lengths;
  for (const Buffer& buffer : buffers) {
    auto first = std::lower_bound(starts.begin(), starts.end(), buffer.first);
    auto end = std::upper_bound(starts.begin(), starts.end(), buffer.last);
    lengths.push_back(static_cast<double>(end - first) / static_cast<double>(starts.size()));
  }
  return lengths;
}

// By which buffers at the same offset are tried first: the larger product of these.
struct Preference {
  bool bytes = false, length = false, contention = false;
};
constexpr std::array kPreferences = {Preference{.bytes = true, .length = true},
                                     Preference{.length = true, .contention = true},
                                     Preference{.bytes = true, .length = true, .contention = true},
                                     Preference{.length = true}, Preference{.bytes = true}};

}  // namespace

class OffsetSearch::Search {
 public:
  Search(std::vector<Buffer> buffers, std::vector<std::vector<int>> conflicts, int64_t capacity,
         std::vector<double> lessons)
      : buffers_(std::move(buffers)),
        capacity_(capacity),
        spans_(spans_of(buffers_, capacity, sections_)),
        lengths_(lengths_of(buffers_)),
        learned_(std::move(lessons)),
        rank_(buffers_.size()),
        overlaps_(std::move(conflicts)),
        tries_(learned_.empty() ? 0 : kFirstByChance),
        nodes_(count() + 500) {
    learned_.resize(buffers_.size());
    covering_.resize(sections_);
    for (int i = 0; i < count(); ++i)
      for (int s = spans_[i].first; s <= spans_[i].last; ++s)
        covering_[s].push_back(i);
  }

  std::optional<std::vector<int64_t>> run(int64_t work) {
    work_limit_ = work_ + work;
    // A longer try by each preference, then short ones that differ by what was learned and by
    // chance.
    while (work_ < work_limit_ && !all_seen_) {
      auto preference = static_cast<size_t>(tries_ % kPreferences.size());
      int64_t round = tries_++ / static_cast<int64_t>(kPreferences.size());
      if (round == 1 && preference == 0)
        std::fill(learned_.begin(), learned_.end(), 0.0);
      if (round > 1 && preference == 0) {
        nodes_ = std::min(nodes_ + nodes_ / 10, kMostNodes * count());
        for (double& learned : learned_)
          learned *= kMemory;
      }
      if (try_once(kPreferences[preference], round == 0 ? 4 * count() + 500 : nodes_, round > 1))
        return at_;
    }
    return std::nullopt;
  }

  int64_t work() const { return work_; }
  const std::vector<double>& lessons() const { return learned_; }

 private:
  bool try_once(const Preference& preference, int64_t nodes, bool learned) {
    rank_by(preference, learned);
    reset();
    nodes_left_ = nodes;
    Span conflict;
    if (descend(0, 0, -1, conflict))
      return true;
    all_seen_ = nodes_left_ > 0 && work_ < work_limit_;
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
      if (preference.length)
        weight *= lengths_[i];
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
    lowest_in_.assign(sections_, 0);
    raised_.clear();
    lowered_.clear();
    for (int i = 0; i < count(); ++i)
      for (int s = spans_[i].first; s <= spans_[i].last; ++s)
        unplaced_[s] += buffers_[i].bytes;
  }

  // Whether what is left fits above the lowest place that any of it can have, in the sections whose
  // lowest places have changed; `floor` limits all others. In a section where it does not, what is
  // left should have come earlier. `conflict` is set to the sections of all that stands in the way.
  bool still_fits(int64_t floor, int64_t floor_before, Span& conflict) {
    for (int s : changed_)
      if (unplaced_[s] > 0 && std::max(lowest_in_[s], floor) + unplaced_[s] > capacity_)
        return learn(s, conflict);
    work_ += static_cast<int64_t>(changed_.size());
    if (floor == floor_before)
      return true;
    for (int s = 0; s < sections_; ++s)
      if (unplaced_[s] > capacity_ - floor)
        return learn(s, conflict);
    work_ += sections_ / 2;
    return true;
  }

  bool learn(int section, Span& conflict) {
    conflict = {section, section};
    for (int i : covering_[section])
      if (at_[i] == kFree) {
        learned_[i] += kLesson;
        conflict = hull(conflict, spans_[i]);
      }
    return false;
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
    work_ += 2 * count();
    conflict = {sections_, -1};
    std::vector<int> next = candidates(floor, last_rank);
    if (next.empty())
      conflict = {0, sections_ - 1};
    for (int i : next) {
      if (nodes_left_ <= 0 || work_ >= work_limit_)
        return false;
      --nodes_left_;
      int64_t offset = lowest_[i];
      size_t raised = raised_.size(), lowered = lowered_.size();
      Span reason;
      place(i, offset);
      if (still_fits(offset, floor, reason) && descend(placed + 1, offset, rank_[i], reason))
        return true;
      take_back(i, raised, lowered);
      conflict = hull(conflict, reason);
      if (!meet(reason, spans_[i]))
        break;
    }
    return false;
  }

  void place(int i, int64_t offset) {
    int64_t top = offset + buffers_[i].bytes;
    size_t lowered = lowered_.size();
    at_[i] = offset;
    for (int s = spans_[i].first; s <= spans_[i].last; ++s)
      unplaced_[s] -= buffers_[i].bytes;
    raise(i, kPlaced);
    for (int other : overlaps_[i])
      if (lowest_[other] < top)
        raise(other, top);
    changed_.clear();
    for (; lowered < lowered_.size(); ++lowered) {
      auto [s, before] = lowered_[lowered];
      changed_.push_back(s);
      bool with_it = spans_[i].first <= s && s <= spans_[i].last;
      lowest_in_[s] = lowest_in(s, with_it ? top : before);
    }
    work_ += static_cast<int64_t>(overlaps_[i].size());
  }

  // `least` is as low as any place in the section can be.
  int64_t lowest_in(int section, int64_t least) {
    int64_t lowest = kPlaced;
    const std::vector<int>& covering = covering_[section];
    size_t looks = 0;
    while (looks < covering.size() && lowest > least)
      lowest = std::min(lowest, lowest_[covering[looks++]]);
    work_ += static_cast<int64_t>(looks) / 2 + 4;
    return lowest;
  }

  // Sections where no place was lower than that of the buffer are to be looked at.
  void raise(int i, int64_t to) {
    int64_t lowest = lowest_[i];
    raised_.emplace_back(i, lowest);
    lowest_[i] = to;
    for (int s = spans_[i].first; s <= spans_[i].last; ++s)
      if (lowest_in_[s] == lowest) {
        lowered_.emplace_back(s, lowest);
        lowest_in_[s] = kChanged;
      }
    work_ += (spans_[i].last - spans_[i].first) / 2 + 2;
  }

  void take_back(int i, size_t raised, size_t lowered) {
    at_[i] = kFree;
    for (int s = spans_[i].first; s <= spans_[i].last; ++s)
      unplaced_[s] += buffers_[i].bytes;
    for (; raised_.size() > raised; raised_.pop_back())
      lowest_[raised_.back().first] = raised_.back().second;
    for (; lowered_.size() > lowered; lowered_.pop_back())
      lowest_in_[lowered_.back().first] = lowered_.back().second;
  }

  static constexpr int64_t kFree = -1, kChanged = -1;
  static constexpr int64_t kPlaced = std::numeric_limits<int64_t>::max();
  static constexpr double kLesson = 0.0003, kMemory = 0.9;
  // Behind the tries that do without lessons, and the next forgetting.
  static constexpr int64_t kFirstByChance = 2 * kPreferences.size() + 1;
  static constexpr int64_t kMostNodes = 40;  // of a short try, for each buffer

  std::vector<Buffer> buffers_;
  int64_t capacity_;
  int sections_ = 0;
  std::vector<Span> spans_;
  std::vector<double> lengths_;
  std::vector<double> learned_;  // from dead ends, kept over restarts
  std::vector<int> rank_;
  std::vector<std::vector<int>> overlaps_;
  std::vector<int64_t> at_;
  std::vector<int64_t> lowest_;  // by buffer: the top of what is placed below it, or kPlaced
  std::vector<std::vector<int>> covering_;  // by section: buffers
  std::vector<int64_t> unplaced_;  // by section: bytes
  std::vector<int64_t> lowest_in_;  // by section: of what is not placed
  std::vector<int> changed_;  // sections
  std::vector<std::pair<int, int64_t>> raised_, lowered_;  // what lowest_ and lowest_in_ were
  int64_t tries_ = 0, nodes_ = 0;  // so far; of the next short try
  int64_t nodes_left_ = 0, work_ = 0, work_limit_ = 0;
  bool all_seen_ = false;  // and none of them fits
  Random random_;
};

OffsetSearch::OffsetSearch(std::vector<Buffer> buffers, std::vector<std::vector<int>> conflicts,
                           int64_t capacity, std::vector<double> lessons)
    : search_(std::make_unique<Search>(std::move(buffers), std::move(conflicts), capacity,
                                       std::move(lessons))) {}

OffsetSearch::OffsetSearch(OffsetSearch&&) noexcept = default;

OffsetSearch::~OffsetSearch() = default;

std::optional<std::vector<int64_t>> OffsetSearch::run(int64_t work) {
  return search_->run(work);
}

const std::vector<double>& OffsetSearch::lessons() const {
  return search_->lessons();
}

int64_t OffsetSearch::work() const {
  return search_->work();
}

}  // namespace gradc
