#include "compiler/plan/core/last_runs.h"

#include <algorithm>
#include <set>

namespace gradc {
namespace {

// Of values so small only a few are gained, but ways multiply.
constexpr int64_t kSmallShare = 500;

// Sets of values whose ways back are known, each with no more cost than those that come later. What
// was in memory beside them only makes the ways of a larger set dearer.
class Expanded {
 public:
  // False if a subset is there.
  bool add(const std::vector<int>& values) {
    uint64_t bits = 0;
    for (int value : values)
      bits |= uint64_t{1} << value % 64;
    for (const Set& set : sets_)
      if ((set.bits & ~bits) == 0 &&
          std::includes(values.begin(), values.end(), set.values.begin(), set.values.end()))
        return false;
    sets_.push_back({bits, values});
    return true;
  }

 private:
  struct Set {
    uint64_t bits = 0;
    std::vector<int> values;  // sorted
  };
  std::vector<Set> sets_;
};

}  // namespace

// What was in memory before `last` ran.
std::vector<int> LastRuns::before(const Way& way) const {
  const PlanKernel& last = problem_.kernels[way.last];
  std::vector<int> values = last.reads;
  for (int value : way.values)
    if (!contains(last.writes, value))
      values.push_back(value);
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

// `values` were in memory before way.last ran.
Moment LastRuns::moment_of(const Way& way, const std::vector<int>& values) const {
  const PlanKernel& last = problem_.kernels[way.last];
  Moment moment{std::vector<char>(problem_.kernels.size()), {}, values, 0};
  std::vector<int> open;
  auto add = [&](int kernel) {
    if (moment.ran[kernel])
      return;
    moment.ran[kernel] = true;
    open.push_back(kernel);
  };
  for (int value : values)
    if (leading_[value] >= 0)
      add(leading_[value]);
  for (int kernel : waits_for_[way.last])
    add(kernel);
  while (!open.empty()) {
    int kernel = open.back();
    open.pop_back();
    for (int earlier : waits_for_[kernel])
      add(earlier);
  }
  moment.held.insert(moment.held.end(), last.writes.begin(), last.writes.end());
  moment.own = bytes_beside(problem_, last, way.values);
  return moment;
}

// Whether way.last can run at its moment.
bool LastRuns::may_be(const Way& way, const Moment& moment,
                      const std::vector<char>& to_come) const {
  const PlanKernel& last = problem_.kernels[way.last];
  if (to_come[way.last] || (moment.ran[way.last] && last.once))
    return false;
  for (int k = 0; k < problem_.kernel_count(); ++k)
    if (moment.ran[k] && to_come[k])
      return false;
  return std::none_of(last.overwriters.begin(), last.overwriters.end(),
                      [&](int writer) { return moment.ran[writer]; });
}

// Counts the moment at which way.last runs; false if it cannot be.
bool LastRuns::look(Way& way, const std::vector<char>& to_come, int64_t budget) const {
  const PlanKernel& last = problem_.kernels[way.last];
  Moment moment = moment_of(way, before(way));
  if (moment.own > budget || !may_be(way, moment, to_come))
    return false;
  bool again = moment.ran[way.last];
  moment.ran[way.last] = true;
  moment.to_come = to_come;
  KeepCut cut(problem_, moment, leading_);
  int64_t room = budget - moment.own;
  if (cut.least_bytes() > room)
    return false;
  KeepCut::Least least = cut.least_cost(room, way.cost, way.price);
  if (least.cost > way.cost) {
    way.cost = least.cost;
    way.price = least.price;
  }
  if (again || !last.required)
    way.cost += last.cost;
  way.seen = true;
  return true;
}

// From what c reads. Values below `small` bytes are not followed.
template <typename Look>
LastRuns::Result LastRuns::search(int c, Way start, int64_t small, int looks, Look look) const {
  std::vector<Way> open;
  Expanded expanded;
  auto expand = [&](std::vector<int> values, const Way& from) {
    std::erase_if(values, [&](int value) {
      return problem_.values[value].bytes < small || problem_.values[value].producers.empty();
    });
    if (!expanded.add(values))
      return true;
    std::set<int> producers;
    for (int value : values)
      producers.insert(problem_.values[value].producers.begin(),
                       problem_.values[value].producers.end());
    for (int producer : producers) {
      open.push_back({from.cost, from.price, false, producer, values});
      std::push_heap(open.begin(), open.end(), Later());
    }
    return !producers.empty();
  };
  std::vector<int> values = problem_.kernels[c].reads;
  std::sort(values.begin(), values.end());
  if (!expand(values, start))
    return {start.cost};
  while (!open.empty()) {
    std::pop_heap(open.begin(), open.end(), Later());
    Way way = std::move(open.back());
    open.pop_back();
    if (way.seen) {
      if (!expand(before(way), way))
        return {way.cost};
      continue;
    }
    if (looks-- <= 0)
      return {.cost = way.cost, .cut_short = true};
    if (look(way)) {
      open.push_back(std::move(way));
      std::push_heap(open.begin(), open.end(), Later());
    }
  }
  return {start.cost, true};
}

LastRuns::Result LastRuns::bound(int c, const std::vector<char>& to_come, int64_t budget,
                                 KeepCut::Least known, int looks) {
  std::vector<char> later = to_come;
  later[c] = true;
  return search(c, {.cost = known.cost, .price = known.price}, budget / kSmallShare, looks,
                [&](Way& way) { return look(way, later, budget); });
}

LastRuns::Result LastRuns::least_bytes(int c, const std::vector<char>& to_come, int64_t known,
                                       int looks) {
  std::vector<char> later = to_come;
  later[c] = true;
  return search(c, {.cost = known}, known / kSmallShare, looks, [&](Way& way) {
    Moment moment = moment_of(way, before(way));
    if (!may_be(way, moment, later))
      return false;
    way.cost = std::max(way.cost, moment.own);
    return way.seen = true;
  });
}

}  // namespace gradc
