#include "compiler/plan/core/ease.h"

#include <algorithm>

#include "compiler/plan/core/random.h"
#include "compiler/plan/core/shift.h"

namespace gradc {
namespace {

class Easing {
 public:
  Easing(const Problem& problem, const Schedule& schedule, const EaseSettings& settings)
      : settings_(settings),
        timeline_(problem, schedule),
        shifter_(problem),
        random_(settings.seed),
        most_(std::max(settings.most, timeline_.peak())) {
    limit_ = static_cast<int64_t>(static_cast<double>(most_) * settings.share);
    const RunList& list = timeline_.runs();
    for (int run = list.front(); run != Timeline::kNone; run = list.next(run))
      runs_.push_back(run);
  }

  Schedule run() {
    double now = fullness();
    double tolerated = now * settings_.tolerance;
    while (work_ < settings_.work) {
      double left = 1 - static_cast<double>(work_) / static_cast<double>(settings_.work);
      size_t mark = timeline_.mark();
      int& run = runs_[random_.below(runs_.size())];
      int moved = shift_somewhere(run);
      if (moved == Timeline::kNone)
        continue;
      double then = fullness();
      if (then >= now + tolerated * left * left || timeline_.peak() > most_) {
        timeline_.undo_to(mark);
        continue;
      }
      timeline_.forget_history();
      run = moved;
      now = then;
    }
    return timeline_.schedule();
  }

 private:
  int shift_somewhere(int run) {
    bool earlier = random_.below(2) == 0;
    auto furthest = 1 + static_cast<int>(random_.below(size_t{2} << random_.below(8)));
    work_ += 500;
    return shifter_.shift(timeline_, run, earlier, furthest);
  }

  // The sum over all runs of the square of what they hold above the limit.
  double fullness() {
    full_.find(timeline_.runs(), limit_);
    double sum = 0;
    for (int64_t excess : full_.excess()) {
      double share = static_cast<double>(excess) / static_cast<double>(most_);
      sum += share * share;
    }
    work_ += 2000 + static_cast<int64_t>(4 * full_.runs().size());
    return sum;
  }

  const EaseSettings& settings_;
  Timeline timeline_;
  Shifter shifter_;
  Random random_;
  std::vector<int> runs_;
  RunList::Above full_;
  int64_t most_, limit_ = 0, work_ = 0;
};

}  // namespace

Schedule ease(const Problem& problem, const Schedule& schedule, const EaseSettings& settings) {
  return schedule.empty() ? schedule : Easing(problem, schedule, settings).run();
}

}  // namespace gradc
