#include "compiler/plan/segments.h"

#include <algorithm>

namespace gradc {
namespace {

class Segmenter {
 public:
  Segmenter(const Problem& problem, const Schedule& order) : problem_(problem), order_(order) {
    auto is_forward = [&](int kernel) { return problem.kernels[kernel].forward; };
    forward_ =
        static_cast<int>(std::find_if_not(order.begin(), order.end(), is_forward) - order.begin());
    std::vector<int> step_of(problem.kernels.size());
    for (int step = 0; step < static_cast<int>(order.size()); ++step)
      step_of[order[step]] = step;
    for (const PlanValue& value : problem.values)
      made_.push_back(step_of[value.producers[0]]);
    last_forward_read_.assign(problem.values.size(), -1);
    for (int step = 0; step < forward_; ++step)
      for (int value : problem.kernels[order[step]].reads)
        last_forward_read_[value] = step;
  }

  std::optional<Schedule> run(int segments) {
    if (forward_ < segments)
      return std::nullopt;
    available_.assign(problem_.values.size(), false);
    ran_.assign(problem_.kernels.size(), false);
    std::vector<int> borders = borders_of(segments);
    for (int step = 0; step < forward_; ++step)
      execute(order_[step]);
    for (size_t value = 0; value < available_.size(); ++value)
      available_[value] = made_[value] < forward_ &&
                          (made_[value] >= borders.back() || crosses_any(value, borders));
    for (size_t step = forward_; step < order_.size(); ++step)
      if (!run_with_inputs(order_[step]))
        return std::nullopt;
    return without_dead_runs(problem_, schedule_);
  }

 private:
  bool crosses(size_t value, int border) const {
    return made_[value] < border && last_forward_read_[value] >= border;
  }

  bool crosses_any(size_t value, const std::vector<int>& borders) const {
    return std::any_of(borders.begin(), borders.end(),
                       [&](int border) { return crosses(value, border); });
  }

  // Steps where a segment begins, without the first: at even shares of the cost, moved by up to
  // half a share to where fewest bytes cross.
  std::vector<int> borders_of(int segments) const {
    std::vector<int64_t> bytes(forward_ + 1), cost(forward_ + 1);
    for (size_t value = 0; value < made_.size(); ++value)
      for (int step = made_[value] + 1; step <= last_forward_read_[value]; ++step)
        bytes[step] += problem_.values[value].bytes;
    for (int step = 0; step < forward_; ++step)
      cost[step + 1] = cost[step] + problem_.kernels[order_[step]].cost;
    std::vector<int> borders;
    for (int i = 1; i < segments; ++i) {
      auto at_share = [&](int halves) {
        int64_t share = cost.back() / (2 * segments) * halves;
        return static_cast<int>(std::lower_bound(cost.begin(), cost.end(), share) - cost.begin());
      };
      int best = at_share(2 * i), end = std::min(at_share(2 * i + 1), forward_ - 1);
      for (int step = std::max(1, at_share(2 * i - 1)); step < end; ++step)
        if (bytes[step] < bytes[best])
          best = step;
      borders.push_back(best);
    }
    return borders;
  }

  void execute(int kernel) {
    schedule_.push_back(kernel);
    ran_[kernel] = true;
    for (int value : problem_.kernels[kernel].writes)
      available_[value] = true;
  }

  bool run_with_inputs(int number) {
    const PlanKernel& kernel = problem_.kernels[number];
    if (ran_[number]) {
      bool overwritten = std::any_of(kernel.overwriters.begin(), kernel.overwriters.end(),
                                     [&](int writer) { return ran_[writer]; });
      if (kernel.once || overwritten)
        return false;
    }
    for (int value : kernel.reads)
      if (!available_[value] && !run_with_inputs(problem_.values[value].producers[0]))
        return false;
    execute(number);
    return true;
  }

  const Problem& problem_;
  const Schedule& order_;
  int forward_ = 0;  // steps before the first kernel of another phase
  std::vector<int> made_, last_forward_read_;  // by value: steps of the order
  std::vector<char> available_;  // by value
  std::vector<char> ran_;  // by kernel
  Schedule schedule_;
};

}  // namespace

std::optional<Schedule> checkpoint_segments(const Problem& problem, const Schedule& order,
                                            int segments) {
  return Segmenter(problem, order).run(segments);
}

}  // namespace gradc
