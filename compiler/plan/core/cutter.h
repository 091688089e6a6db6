#pragma once
// Fits a timeline into a budget by dropping values where most bytes are live and making them again.
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "compiler/plan/core/needless_runs.h"
#include "compiler/plan/core/random.h"
#include "compiler/plan/core/timeline.h"

namespace gradc {

// How much the cost of making a value again counts against the bytes that its gap takes off: its
// square root, itself, or its power of 1.5. (No std::pow, which differs between machines.)
enum class CostWeight : uint8_t { root, linear, steep };

struct CutSettings {
  int64_t cost_limit = INT64_MAX;  // gives up on a dearer timeline
  // Gives up as well where the bytes above the budget that are gone have cost so much that, at this
  // price, all of them would cost more than the limit. What is cheap goes first.
  bool foresees = false;
  CostWeight cost_weight = CostWeight::linear;
  // 0: no chance. Else worths are multiplied or divided by up to 1 + noise, some other over-full
  // run than the peak is relieved, and some values are kept or rebuilt against the rule.
  double noise = 0;
  // What overwrites state may happen later, so that what reads the old content can be made again.
  bool delays = false;
  // A drop is taken back where making the value again takes as many bytes as the run that it was
  // to relieve. Else values of one kernel may be dropped for one another in turns.
  bool only_lower = false;
};

class Cutter {
 public:
  Cutter(Timeline& timeline, int64_t budget, Random& random);

  void set_budget(int64_t budget) { budget_ = budget; }
  // Until no run is over the budget: of all values that are held over the peak without being used
  // there, and over the same run until it is within the budget, the one whose gap takes most bytes
  // off runs over the budget per cost of making it again is dropped for that gap. What its kernel
  // reads is rebuilt in turn, by the cheapest producer, unless it can be kept longer within the
  // budget. False when it gives up; the timeline is then left as it is.
  bool cut(const CutSettings& settings);
  // Drops a value over its gap around `run` whether that is needed or not; false if none can be.
  bool drop_at(int run, const CutSettings& settings);
  // What making the value again in front of a run would cost with what is there then, if it can be.
  std::optional<int64_t> price(int value, int before);
  // Takes out recomputations where keeping the value instead fits the budget.
  void undo_needless() { needless_.undo(budget_); }
  // Counts what was looked at, as a clock that is the same on every machine: about a nanosecond.
  int64_t work() const { return work_ + needless_.work(); }

 private:
  struct Choice {
    double score = 0;
    std::vector<int> kernels, delayed;
    int before = Timeline::kNone;
  };
  struct Candidate {
    int value = 0;
    bool shares = false;  // the run's result would take its bytes
    int until = 0;  // the run that reads it next
    double gain = 0, factor = 1;  // the latter by chance

    double worth() const { return gain * factor; }
  };
  struct Ranked {
    double most = 0;  // no score can be above
    int candidate = 0;
    bool operator<(const Ranked& other) const {
      return most != other.most ? most < other.most : candidate > other.candidate;
    }
  };
  struct Rebuild {
    std::vector<int> kernels;
    std::vector<int> delayed;  // kernels that overwrite what the others read
    int64_t cost = 0;
    int looks = 0;  // at values
  };

  void find_excess();
  bool is_hopeless(const CutSettings& settings, int64_t cost_before, int64_t excess_before) const;
  int run_to_relieve(const CutSettings& settings);
  double gain(int value, const Timeline::Gap& gap);
  Choice best_drop(bool changed);
  void drop(const Choice& choice);
  bool is_as_high(const Choice& choice, int64_t bytes) const;
  bool look_at(Candidate& candidate);
  void rank(int number, const Candidate& candidate);
  void find_candidates(int run, const CutSettings& settings);
  double weighed(int64_t cost, CostWeight weight) const;
  std::vector<double>& least_weighed() {
    return least_weighed_[static_cast<size_t>(settings_->cost_weight)];
  }
  bool rebuild(int value, int before, double most, Rebuild& result);
  bool rebuild_by(int kernel, int before, double most, Rebuild& result);
  bool can_run_before(int kernel, int before, std::vector<int>& delayed) const;
  bool can_be_kept(int value, int from, int to);

  Timeline& timeline_;
  const Problem& problem_;
  int64_t budget_;
  Random& random_;
  NeedlessRuns needless_;
  size_t droppable_ = 0;  // values
  std::vector<int64_t> least_cost_;  // by value: of its producers
  // By weight and value: the least cost weighed and turned over.
  std::array<std::vector<double>, 3> least_weighed_;
  RunList::Above over_;  // the budget
  std::vector<int64_t> over_sums_;  // excess of the runs over the budget before
  // What gain() found last; many values have the same gap and size.
  struct Gain {
    size_t first = 0, last = 0;
    int64_t bytes = -1;
    double sum = 0;
  };
  Gain last_gain_;
  std::vector<int> spanning_;  // values
  std::vector<Candidate> candidates_;
  std::vector<Ranked> ranked_;  // a heap
  std::vector<int> looked_at_;  // candidates
  Rebuild rebuild_;
  std::vector<int> rebuilt_;  // by value: the stamp of the rebuild that makes it
  std::vector<int> busy_;  // by value: the stamp of the rebuild that is at it
  std::vector<char> has_followers_;  // by kernel: whether another must run behind it
  int stamp_ = 0, depth_ = 0;
  int run_ = Timeline::kNone;  // to be relieved
  int64_t peak_label_ = 0;  // its
  const CutSettings* settings_ = nullptr;
  int64_t work_ = 0;
};

}  // namespace gradc
