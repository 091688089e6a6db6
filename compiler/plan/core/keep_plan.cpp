#include "compiler/plan/core/keep_plan.h"

#include <algorithm>

#include "compiler/plan/core/emission.h"
#include "compiler/plan/core/hasten.h"

namespace gradc {
namespace {

constexpr int64_t kSmallShare = 256;  // what takes no more of the largest value is always kept

// What the next kernels of the order will read and can only be made while what `order[at]`
// overwrites is there: the inverse of a layer is run before its weights are updated.
void make_in_time(const Problem& problem, Emission& emission, const Schedule& order, size_t at) {
  constexpr size_t kMost = 8;  // values that are looked for
  std::vector<int> looked_for;
  for (size_t next = at + 1; next < order.size() && looked_for.size() < kMost; ++next)
    for (int value : problem.kernels[order[next]].reads) {
      if (emission.available(value) || !emission.was_made(value) ||
          std::find(looked_for.begin(), looked_for.end(), value) != looked_for.end())
        continue;
      emission.make_before(order[at], value);
      looked_for.push_back(value);
    }
}

// What kernels can make of the values that are kept.
class Closure {
 public:
  // `usable`, by kernel: may run again.
  Closure(const Problem& problem, const std::vector<char>& usable)
      : problem_(problem),
        there_(problem.values.size()),
        lacks_(problem.kernels.size()),
        readers_(problem.values.size()) {
    for (int k = 0; k < problem.kernel_count(); ++k) {
      if (!usable[k])
        continue;
      lacks_[k] = static_cast<int>(problem.kernels[k].reads.size());
      for (int value : problem.kernels[k].reads)
        readers_[value].push_back(k);
    }
    for (int k = 0; k < problem.kernel_count(); ++k)
      if (usable[k] && lacks_[k] == 0)
        for (int value : problem.kernels[k].writes)
          add(value);
  }

  bool has(int value) const { return there_[value]; }

  void add(int value) {
    std::vector<int> open = {value};
    while (!open.empty()) {
      int next = open.back();
      open.pop_back();
      if (there_[next])
        continue;
      there_[next] = true;
      for (int kernel : readers_[next])
        if (--lacks_[kernel] == 0)
          for (int made : problem_.kernels[kernel].writes)
            open.push_back(made);
    }
  }

  // Of a value that cannot be made: the only one that one of its producers lacks, if that is made
  // earlier, and so on.
  int origin(int value, const std::vector<int>& made_at) const {
    for (int producer : problem_.values[value].producers) {
      const PlanKernel& kernel = problem_.kernels[producer];
      if (lacks_[producer] != 1)
        continue;
      int lacked = *std::find_if(kernel.reads.begin(), kernel.reads.end(),
                                 [&](int read) { return !there_[read]; });
      if (made_at[lacked] < made_at[value])
        return origin(lacked, made_at);
    }
    return value;
  }

 private:
  const Problem& problem_;
  std::vector<char> there_;  // by value
  std::vector<int> lacks_;  // by kernel: values that it reads and that are not there
  std::vector<std::vector<int>> readers_;  // by value: usable kernels
};

// Which kernels may make what is not kept: all optional ones; and where there are inverses, which
// read what is made later, also forward kernels that take no more time for a byte, of what has no
// inverse: what lies inside of a branch is computed anew, what is between branches comes back.
std::vector<char> usable_again(const Problem& problem, const std::vector<int>& made_at) {
  std::vector<char> usable(problem.kernels.size()), has_inverse(problem.values.size());
  auto price = [&](const PlanKernel& kernel) {
    int64_t bytes = 1;
    for (int value : kernel.writes)
      bytes += problem.values[value].bytes;
    return static_cast<double>(kernel.cost) / static_cast<double>(bytes);
  };
  double dearest = -1;
  for (int k = 0; k < problem.kernel_count(); ++k) {
    const PlanKernel& kernel = problem.kernels[k];
    usable[k] = !kernel.required;
    for (int value : kernel.required ? std::vector<int>{} : kernel.writes)
      if (made_at[value] >= 0 &&
          std::any_of(kernel.reads.begin(), kernel.reads.end(),
                      [&](int read) { return made_at[read] > made_at[value]; })) {
        has_inverse[value] = true;
        dearest = std::max(dearest, price(kernel));
      }
  }
  for (int k = 0; k < problem.kernel_count(); ++k) {
    const PlanKernel& kernel = problem.kernels[k];
    if (kernel.forward && kernel.required && !kernel.once && price(kernel) <= dearest)
      usable[k] = std::none_of(kernel.writes.begin(), kernel.writes.end(),
                               [&](int value) { return has_inverse[value]; });
  }
  return usable;
}

}  // namespace

std::optional<Schedule> keep_over(const Problem& problem, const Schedule& order, int kernel,
                                  const std::vector<int>& kept) {
  Emission emission(problem);
  std::vector<char> overwrites(problem.kernels.size());
  for (const PlanKernel& other : problem.kernels)
    if (!other.required)
      for (int writer : other.overwriters)
        overwrites[writer] = true;
  bool behind = false;
  for (size_t at = 0; at < order.size(); ++at) {
    if (behind && overwrites[order[at]])
      make_in_time(problem, emission, order, at);
    if (!emission.run(order[at]))
      return std::nullopt;
    if (order[at] != kernel)
      continue;
    behind = true;
    std::vector<char> stays(problem.values.size());
    const PlanKernel& turn = problem.kernels[kernel];
    for (const auto* values : {&kept, &turn.reads, &turn.writes})
      for (int value : *values)
        stays[value] = true;
    for (int value = 0; value < problem.value_count(); ++value)
      if (!stays[value])
        emission.drop(value);
  }
  return hastened(problem, without_dead_runs(problem, emission.runs()));
}

Kept kept_for_recipes(const Problem& problem, const Schedule& order) {
  Kept kept;
  std::vector<int> made_at(problem.values.size(), -1), made;
  for (size_t at = 0; at < order.size(); ++at)
    if (problem.kernels[order[at]].forward) {
      kept.kernel = order[at];
      for (int value : problem.kernels[order[at]].writes) {
        made_at[value] = static_cast<int>(at);
        made.push_back(value);
      }
    }
  std::vector<char> usable = usable_again(problem, made_at);
  Closure closure(problem, usable);
  auto keep = [&](int value) {
    kept.values.push_back(value);
    closure.add(value);
  };
  int64_t most = 0;
  for (int value : made)
    most = std::max(most, problem.values[value].bytes);
  for (int value : made) {
    const std::vector<int>& producers = problem.values[value].producers;
    bool small = problem.values[value].bytes <= most / kSmallShare;
    if (small || std::none_of(producers.begin(), producers.end(), [&](int k) { return usable[k]; }))
      keep(value);
  }
  if (kept.values.size() == made.size())
    return {};
  for (size_t i = made.size(); i-- > 0;)
    while (!closure.has(made[i]))
      keep(closure.origin(made[i], made_at));
  return kept;
}

}  // namespace gradc
