#include "compiler/plan/core/search.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "compiler/plan/core/cutter.h"
#include "compiler/plan/core/shift.h"

namespace gradc {
namespace {

class Search {
 public:
  Search(const Problem& problem, const Schedule& schedule, const SearchSettings& settings)
      : settings_(settings),
        random_(settings.seed),
        timeline_(problem, schedule),
        cutter_(timeline_, settings.budget, random_),
        shifter_(problem),
        best_(schedule),
        best_cost_(timeline_.cost()),
        least_cost_(std::max(problem.base_cost(), settings.good_enough)) {}

  Schedule improve() {
    cutter_.undo_needless();
    timeline_.forget_history();
    keep_if_best();
    int64_t last_gain = 0, last_kick = 0;
    for (int64_t tries = 0; cutter_.work() < settings_.work && best_cost_ > least_cost_; ++tries) {
      if (tries % 16 == 0)
        update_progress();
      if (progress_ >= 1 || tries - last_gain > patience())
        break;
      int64_t before = best_cost_;
      try_once();
      if (best_cost_ < before)
        last_gain = last_kick = tries;
      if (settings_.kicks && tries - last_kick > tries_per_kick()) {
        kick();
        last_kick = tries;
      }
    }
    return std::move(best_);
  }

  Schedule squeeze() {
    constexpr int kPatience = 12;
    int failed = 0;
    for (double step = 0.08; cutter_.work() < settings_.work && step > 0.001;) {
      int64_t peak = timeline_.peak();
      update_progress();
      if (peak <= settings_.budget || progress_ >= 1)
        break;
      auto lower = static_cast<int64_t>(static_cast<double>(peak) * (1 - step));
      size_t mark = timeline_.mark();
      cutter_.set_budget(std::max(lower, settings_.budget));
      find_recomputations();
      if (failed > 0 && !recomputations_.empty())
        take_some_out();
      cutter_.cut({.noise = failed > 0 ? kNoises[random_.below(kNoises.size())] : 0,
                   .delays = settings_.delays && (settings_.seed % 2 == 1 || failed % 4 >= 2),
                   .only_lower = settings_.delays && failed % 2 == 1});
      if (timeline_.peak() < peak) {
        accept();
        failed = 0;
        continue;
      }
      timeline_.undo_to(mark);
      if (++failed >= kPatience) {
        failed = 0;
        step /= 2;
      }
    }
    return timeline_.schedule();
  }

 private:
  // Which of the runs that recompute are taken out together.
  enum class Neighbourhood { anywhere, consecutive, two_places, related };

  void update_progress() {
    progress_ = static_cast<double>(cutter_.work()) / static_cast<double>(settings_.work);
    if (settings_.spent)
      progress_ = std::max(progress_, settings_.spent());
  }

  // Tries without a gain. A given time is used up.
  int64_t patience() const {
    constexpr int64_t kMany = 6000, kOfMany = 300;  // these take a millisecond each
    int64_t kernels = timeline_.problem().kernel_count();
    int64_t tries = kernels > kMany ? kOfMany : (2000 + 20 * kernels) * (settings_.kicks ? 3 : 1);
    return settings_.spent ? INT64_MAX : tries * settings_.patience;
  }

  // Tries without a gain before the search goes elsewhere.
  int64_t tries_per_kick() const { return 100 + timeline_.problem().kernel_count() / 20; }

  void try_once() {
    find_recomputations();
    if (recomputations_.empty())
      return;
    int64_t before = timeline_.cost();
    int64_t above = before - least_cost_;
    // What is tolerated falls to nothing.
    double left = 1 - progress_;
    auto tolerated = static_cast<int64_t>(static_cast<double>(above) * 0.02 * left * left);
    size_t mark = timeline_.mark();
    CutSettings cut;
    cut.noise = kNoises[random_.below(kNoises.size())];
    cut.cost_limit = before + tolerated + above / 20;
    bool fits = true;
    size_t choice = random_.below(10);
    if (choice == 0)
      fits = drop_some(cut);
    else if (choice == 1)
      fits = shift_some();
    else
      take_some_out();
    fits = fits && cutter_.cut(cut);
    if (fits) {
      cutter_.undo_needless();
      fits = timeline_.cost() <= before + tolerated;
    }
    if (!fits) {
      timeline_.undo_to(mark);
      return;
    }
    accept();
    keep_if_best();
  }

  void keep_if_best() {
    if (timeline_.cost() >= best_cost_)
      return;
    best_ = timeline_.schedule();
    best_cost_ = timeline_.cost();
  }

  void find_recomputations() {
    if (known_)
      return;
    timeline_.find_repeated(recomputations_);
    std::erase_if(recomputations_, [&](int run) { return !timeline_.removable(run); });
    std::sort(recomputations_.begin(), recomputations_.end(),
              [&](int a, int b) { return timeline_.runs().precedes(a, b); });
    known_ = true;
  }

  void accept() {
    timeline_.forget_history();
    known_ = false;
  }

  void take_some_out() {
    size_t all = recomputations_.size();
    size_t most = std::min<size_t>(all, 16);
    size_t count = 1 + random_.below(most), start = random_.below(all);
    auto how = static_cast<Neighbourhood>(random_.below(4));
    int center = timeline_.kernel_of(recomputations_[start]);
    int width = 1 + static_cast<int>(random_.below(6));
    std::vector<int> chosen = {recomputations_[start]};
    auto consecutive = [&](size_t from, size_t length) {
      for (size_t i = from; i < std::min(all, from + length); ++i)
        chosen.push_back(recomputations_[i]);
    };
    switch (how) {
      case Neighbourhood::anywhere:
        for (size_t i = 1; i < count; ++i)
          chosen.push_back(recomputations_[random_.below(all)]);
        break;
      case Neighbourhood::consecutive:
        consecutive(start, count);
        break;
      case Neighbourhood::two_places:
        consecutive(start, 1 + count / 4);
        consecutive(random_.below(all), 1 + count / 4);
        break;
      default:
        for (int run : recomputations_)
          if (std::abs(timeline_.kernel_of(run) - center) <= width)
            chosen.push_back(run);
    }
    take_out(chosen);
  }

  void take_out(const std::vector<int>& chosen) {
    for (int run : chosen)
      if (timeline_.kernel_of(run) != Timeline::kNone && timeline_.removable(run))
        timeline_.remove(run);
  }

  // From the best schedule to another one that may be far from it and much dearer: what single
  // tries do not reach, because all that lies between costs more, such as another nesting of
  // checkpoints.
  void kick() {
    constexpr size_t kMost = 100;  // runs
    constexpr double kLess = 0.2;  // of the budget
    timeline_.assign(best_);
    known_ = false;
    find_recomputations();
    if (recomputations_.empty())
      return;
    size_t all = recomputations_.size();
    size_t count = 1 + random_.below(std::min(all, kMost));
    size_t start = random_.below(all - count + 1);
    take_out({recomputations_.begin() + static_cast<std::ptrdiff_t>(start),
              recomputations_.begin() + static_cast<std::ptrdiff_t>(start + count)});
    CutSettings cut;
    cut.noise = kNoises[random_.below(kNoises.size())];
    cut.cost_weight = static_cast<CostWeight>(random_.below(3));
    cutter_.set_budget(static_cast<int64_t>(static_cast<double>(settings_.budget) *
                                            random_.between(1 - kLess, 1)));
    bool fits = cutter_.cut(cut) || timeline_.peak() <= settings_.budget;
    cutter_.set_budget(settings_.budget);
    if (fits) {
      cutter_.undo_needless();
      accept();
      keep_if_best();
    } else {
      timeline_.assign(best_);
      known_ = false;
    }
  }

  // A run that recomputes, or one up to `most` runs behind it.
  int run_near_recomputation(size_t most) {
    int run = recomputations_[random_.below(recomputations_.size())];
    if (timeline_.kernel_of(run) == Timeline::kNone)
      return run;
    for (size_t moves = random_.below(most + 1); moves > 0; --moves)
      if (int next = timeline_.runs().next(run); next != Timeline::kNone)
        run = next;
    return run;
  }

  bool drop_some(const CutSettings& settings) {
    return cutter_.drop_at(run_near_recomputation(39), settings);
  }

  bool shift_some() {
    bool any = false;
    for (size_t moves = 1 + random_.below(3); moves > 0; --moves) {
      int run = run_near_recomputation(19);
      bool earlier = random_.below(2) == 0;
      auto most = 1 + static_cast<int>(random_.below(size_t{2} << random_.below(7)));
      if (timeline_.kernel_of(run) != Timeline::kNone)
        any |= shifter_.shift(timeline_, run, earlier, most) != Timeline::kNone;
    }
    return any;
  }

  static constexpr std::array kNoises = {0.15, 0.4, 1.0};

  const SearchSettings& settings_;
  Random random_;
  Timeline timeline_;
  Cutter cutter_;
  Shifter shifter_;
  Schedule best_;
  int64_t best_cost_ = 0;
  int64_t least_cost_ = 0;
  double progress_ = 0;
  std::vector<int> recomputations_;  // removable runs, in order
  bool known_ = false;  // whether the timeline has not changed since
};

}  // namespace

Schedule improve(const Problem& problem, const Schedule& schedule, const SearchSettings& settings) {
  return Search(problem, schedule, settings).improve();
}

Schedule squeeze(const Problem& problem, const Schedule& schedule, const SearchSettings& settings) {
  return Search(problem, schedule, settings).squeeze();
}

}  // namespace gradc
