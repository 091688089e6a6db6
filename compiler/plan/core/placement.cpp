#include "compiler/plan/core/placement.h"

#include <algorithm>
#include <array>
#include <optional>
#include <tuple>

#include "compiler/plan/core/cutter.h"
#include "compiler/plan/core/ease.h"

namespace gradc {
namespace {

struct Ease {
  double share = 0, tolerance = 0;
  uint64_t seed = 1;
};
// Small changes leave the order of a regular graph as regular as it is, and greedy placement does
// well on it.
constexpr std::array kSmallEases = {Ease{0.95}, Ease{0.9}};
constexpr std::array kLargeEases = {Ease{0.8, 0.1, 1}, Ease{0.85, 0.1, 2}, Ease{0.8, 0.1, 3},
                                    Ease{0.75, 0.1, 4}};

class SchedulePlacer {
 public:
  SchedulePlacer(const Problem& problem, int64_t budget, int64_t work)
      : problem_(problem), budget_(budget), work_(work), few_(problem.kernels.size() <= kFew) {}

  Placement run(const Schedule& schedule) {
    search(schedule);
    return std::move(*best_);
  }

 private:
  static constexpr size_t kFew = 1000;  // kernels, of which there is time to try more
  static constexpr double kNear = 1.005;  // of the peak
  static constexpr int64_t kLonger = 2;

  void search(const Schedule& schedule) {
    if (try_within(schedule, 1))
      return;
    Schedule last;
    for (const Ease& settings : kSmallEases)
      if (try_within(last = eased(schedule, settings), 1))
        return;
    // A little above the peak there is more than one way to place what is there.
    for (size_t i = 0; few_ && i < kLargeEases.size(); ++i)
      if (try_within(eased(last, kLargeEases[i]), kNear, kLonger * work_))
        return;
    if (!few_ && try_within(eased(schedule, {0.95, 0, 2}), kNear))
      return;
    if (budget_ < INT64_MAX)
      cut_and_try(schedule);
    for (double share : {1.01, 1.02, 1.05})
      if (fits() || try_within(schedule, share))
        return;
  }

  bool fits() const { return best_->offsets.bytes <= budget_ && budget_ < INT64_MAX; }

  Schedule eased(const Schedule& schedule, const Ease& settings) const {
    return ease(
        problem_, schedule,
        {.most =
             budget_ == INT64_MAX ? 0 : static_cast<int64_t>(static_cast<double>(budget_) / kNear),
         .share = settings.share,
         .tolerance = settings.tolerance,
         .work = settings.tolerance > 0 ? work_ + work_ / 2 : work_,
         .seed = settings.seed});
  }

  // Whether offsets end at that share of the schedule's peak, and within the budget.
  bool try_within(const Schedule& schedule, double share) {
    return try_within(schedule, share, work_);
  }
  bool try_within(const Schedule& schedule, double share, int64_t work) {
    Usage usage = evaluate(problem_, schedule);
    Placement placed{schedule, buffers_of(problem_, schedule), {}, usage.peak, usage.cost};
    auto most = static_cast<int64_t>(static_cast<double>(usage.peak) * share);
    most = std::min(most, std::max(budget_, usage.peak));
    placed.offsets = place_within(placed.buffers.buffers, most, work);
    bool found = placed.offsets.bytes <= most;
    keep(std::move(placed));
    return found;
  }

  // Schedules of less than the budget, by a little more recomputation.
  void cut_and_try(const Schedule& schedule) {
    for (double share : {0.99, 0.98, 0.97, 0.95}) {
      Timeline timeline(problem_, schedule);
      Random random;
      Cutter cutter(timeline, static_cast<int64_t>(static_cast<double>(budget_) * share), random);
      if (!cutter.cut({}))
        continue;
      cutter.undo_needless();
      Schedule cut = eased(timeline.schedule(), few_ ? Ease{0.8, 0.03} : kSmallEases[0]);
      if (try_within(cut, 1 / share, few_ ? kLonger * work_ : work_))
        return;
    }
  }

  void keep(Placement placed) {
    auto rank = [&](const Placement& p) {
      int64_t bytes = p.offsets.bytes;
      return std::tuple(std::max(bytes, budget_), p.cost, bytes);
    };
    if (!best_ || rank(placed) < rank(*best_))
      best_ = std::move(placed);
  }

  const Problem& problem_;
  int64_t budget_, work_;
  bool few_;
  std::optional<Placement> best_;
};

}  // namespace

Placement place_schedule(const Problem& problem, const Schedule& schedule, int64_t budget,
                         int64_t work) {
  return SchedulePlacer(problem, budget, work).run(schedule);
}

}  // namespace gradc
