#include "compiler/plan/core/cutter.h"

#include <algorithm>
#include <cmath>

namespace gradc {

Cutter::Cutter(Timeline& timeline, int64_t budget, Random& random)
    : timeline_(timeline),
      problem_(timeline.problem()),
      budget_(budget),
      random_(random),
      needless_(timeline),
      least_cost_(problem_.values.size(), INT64_MAX),
      rebuilt_(problem_.values.size()),
      busy_(problem_.values.size()),
      has_followers_(problem_.kernels.size()) {
  for (const PlanKernel& kernel : problem_.kernels)
    for (int earlier : kernel.after)
      has_followers_[earlier] = true;
  for (int value = 0; value < problem_.value_count(); ++value) {
    for (int producer : problem_.values[value].producers)
      if (!problem_.kernels[producer].once)
        least_cost_[value] = std::min(least_cost_[value], problem_.kernels[producer].cost);
    if (problem_.values[value].bytes > 0 && least_cost_[value] < INT64_MAX)
      ++droppable_;
    else
      least_cost_[value] = INT64_MAX;
  }
}

void Cutter::find_excess() {
  over_.find(timeline_.runs(), budget_);
  over_sums_.resize(over_.excess().size() + 1);
  over_sums_[0] = 0;
  for (size_t i = 0; i < over_.excess().size(); ++i)
    over_sums_[i + 1] = over_sums_[i] + over_.excess()[i];
  last_gain_ = {};
  work_ += static_cast<int64_t>(over_.runs().size());
}

// Bytes over the budget, summed over steps, that dropping the value over the gap takes off; exact
// over short stretches.
double Cutter::gain(int value, const Timeline::Gap& gap) {
  constexpr size_t kExactRuns = 64;
  if (over_.runs().empty())
    return 0;
  size_t first = over_.up_to(timeline_.runs(), gap.before);
  size_t last = over_.before(timeline_.runs(), gap.after);
  int64_t bytes = problem_.values[value].bytes;
  if (last - first > kExactRuns)
    return std::min(static_cast<double>(over_sums_[last] - over_sums_[first]),
                    static_cast<double>(bytes) * static_cast<double>(last - first));
  Gain& known = last_gain_;
  if (known.first == first && known.last == last && known.bytes == bytes)
    return known.sum;
  int64_t sum = 0;
  for (size_t i = first; i < last; ++i)
    sum += std::min(bytes, over_.excess()[i]);
  known = {first, last, bytes, static_cast<double>(sum)};
  return known.sum;
}

double Cutter::weighed(int64_t cost, CostWeight weight) const {
  double linear = static_cast<double>(cost) + 1;
  if (weight == CostWeight::linear)
    return linear;
  return weight == CostWeight::root ? std::sqrt(linear) : linear * std::sqrt(linear);
}

int Cutter::run_to_relieve(const CutSettings& settings) {
  if (settings.noise > 0 && random_.below(3) == 0)
    return over_.runs()[random_.below(over_.runs().size())];
  return timeline_.runs().peak();
}

// Values that may be dropped over the run, with what that is worth at best.
void Cutter::find_candidates(int run, const CutSettings& settings) {
  settings_ = &settings;
  run_ = run;
  peak_label_ = timeline_.runs().label(run);
  candidates_.clear();
  ranked_.clear();
  if (least_weighed().empty())
    for (int64_t cost : least_cost_)
      least_weighed().push_back(1 / weighed(cost, settings.cost_weight));
  auto consider = [&](int value, bool shares) {
    Candidate candidate{.value = value, .shares = shares};
    if (!look_at(candidate))
      return;
    if (settings.noise > 0) {
      double factor = random_.between(1, 1 + settings.noise);
      candidate.factor = random_.below(2) == 0 ? factor : 1 / factor;
    }
    rank(static_cast<int>(candidates_.size()), candidate);
    candidates_.push_back(candidate);
  };
  timeline_.find_spanning(run, spanning_);
  for (int value : spanning_)
    if (least_cost_[value] < INT64_MAX)
      consider(value, false);
  for (auto [read, written] : timeline_.kernel(run).inplace)
    if (problem_.values[written].bytes <= problem_.values[read].bytes &&
        problem_.values[written].bytes > 0 && least_cost_[read] < INT64_MAX)
      consider(read, true);
  std::make_heap(ranked_.begin(), ranked_.end());
  work_ += static_cast<int64_t>(droppable_ + 40 * candidates_.size());
}

void Cutter::rank(int number, const Candidate& candidate) {
  ranked_.push_back({candidate.worth() * least_weighed()[candidate.value], number});
}

// Where the candidate's gap ends now and what it takes off; false if there is none.
bool Cutter::look_at(Candidate& candidate) {
  int value = candidate.value, behind = run_;
  if (candidate.shares) {
    // A value that the run reads and that is read again later keeps a result from its bytes.
    if (!timeline_.is_read(value, run_))
      return false;
    behind = timeline_.runs().next(run_);
  }
  Timeline::Gap gap = timeline_.around(value, behind);
  if (!gap.held || gap.after == run_)
    return false;
  candidate.until = gap.after;
  candidate.gain = over_.runs().empty() && !candidate.shares
                       ? static_cast<double>(problem_.values[value].bytes)
                       : gain(value, gap);
  if (candidate.shares) {
    int64_t bytes = 0;
    for (auto [read, written] : timeline_.kernel(run_).inplace)
      if (read == value && problem_.values[written].bytes <= problem_.values[read].bytes)
        bytes = std::max(bytes, problem_.values[written].bytes);
    int64_t excess = std::max<int64_t>(timeline_.runs().bytes(run_) - budget_, 1);
    candidate.gain += static_cast<double>(std::min(bytes, excess));
  }
  return true;
}

// Of the candidates that find_candidates() found. What was found before the timeline changed is
// looked at again in the order of what it was worth, which has hardly become more since.
Cutter::Choice Cutter::best_drop(bool changed) {
  Choice best;
  int chosen = -1;
  looked_at_.clear();
  while (!ranked_.empty() && ranked_.front().most > best.score) {
    int number = ranked_.front().candidate;
    Candidate& candidate = candidates_[number];
    std::pop_heap(ranked_.begin(), ranked_.end());
    ranked_.pop_back();
    work_ += 40;
    if (changed && !look_at(candidate))
      continue;
    looked_at_.push_back(number);
    ++stamp_;
    depth_ = 0;
    rebuild_.kernels.clear();
    rebuild_.delayed.clear();
    rebuild_.cost = rebuild_.looks = 0;
    double most = best.score > 0 ? candidate.worth() / best.score : 1e300;
    if (!rebuild(candidate.value, candidate.until, most, rebuild_))
      continue;
    double score = candidate.worth() / weighed(rebuild_.cost, settings_->cost_weight);
    if (score <= best.score)
      continue;
    best = {score, rebuild_.kernels, rebuild_.delayed, candidate.until};
    chosen = number;
  }
  for (int number : looked_at_) {
    if (number == chosen)
      continue;
    rank(number, candidates_[number]);
    std::push_heap(ranked_.begin(), ranked_.end());
  }
  return best;
}

void Cutter::drop(const Choice& choice) {
  for (int kernel : choice.kernels)
    timeline_.insert(kernel, choice.before);
  for (int writer : choice.delayed)
    timeline_.move(timeline_.first_run(writer), choice.before);
  work_ += 400 * static_cast<int64_t>(choice.kernels.size() + choice.delayed.size());
}

// Whether a run of what was just made again has at least so many bytes.
bool Cutter::is_as_high(const Choice& choice, int64_t bytes) const {
  const RunList& runs = timeline_.runs();
  int run = choice.before;
  for (size_t i = choice.kernels.size() + choice.delayed.size(); i > 0; --i) {
    run = runs.previous(run);
    if (runs.bytes(run) >= bytes)
      return true;
  }
  return false;
}

std::optional<int64_t> Cutter::price(int value, int before) {
  CutSettings settings;
  settings_ = &settings;
  peak_label_ = timeline_.runs().label(before);
  ++stamp_;
  depth_ = 0;
  Rebuild made;
  bool possible = rebuild(value, before, 1e300, made);
  settings_ = nullptr;
  return possible ? std::optional(made.cost) : std::nullopt;
}

bool Cutter::can_run_before(int kernel, int before, std::vector<int>& delayed) const {
  const PlanKernel& made = problem_.kernels[kernel];
  if (made.once)
    return false;
  for (int writer : made.overwriters) {
    int first = timeline_.first_run(writer);
    if (first == Timeline::kNone || !timeline_.runs().precedes(first, before) ||
        contains(delayed, writer))
      continue;
    if (!settings_->delays || has_followers_[writer] || first == run_)
      return false;
    delayed.push_back(writer);
  }
  return true;
}

// Appends what makes `value` again in front of `before`; false if that cannot be, or weighs more
// than `most`.
bool Cutter::rebuild(int value, int before, double most, Rebuild& result) {
  constexpr int kDeepest = 400, kMostLooks = 2000;  // producers that fail multiply
  const std::vector<int>& producers = problem_.values[value].producers;
  if (busy_[value] == stamp_ || depth_ > kDeepest || ++result.looks > kMostLooks)
    return false;
  if (producers.size() == 1) {
    busy_[value] = stamp_;
    bool made = rebuild_by(producers[0], before, most, result);
    busy_[value] = 0;
    return made;
  }
  // What a producer costs with what it lacks, at one remove.
  std::vector<std::pair<int64_t, int>> by_cost;
  for (int producer : producers) {
    int64_t cost = problem_.kernels[producer].cost;
    for (int read : problem_.kernels[producer].reads)
      if (busy_[read] == stamp_)
        cost += INT64_MAX / 1024;
      else if (rebuilt_[read] != stamp_ && !timeline_.around(read, before).held)
        cost += std::min(least_cost_[read], INT64_MAX / 1024);
    if (settings_->noise > 0 && random_.below(8) == 0)
      cost /= 4;
    by_cost.emplace_back(cost, producer);
  }
  std::sort(by_cost.begin(), by_cost.end());
  busy_[value] = stamp_;
  bool made = false;
  for (auto [unused, producer] : by_cost) {
    size_t kernels = result.kernels.size(), delayed = result.delayed.size();
    int64_t cost = result.cost;
    made = rebuild_by(producer, before, most, result);
    if (made)
      break;
    for (size_t i = kernels; i < result.kernels.size(); ++i)
      for (int written : problem_.kernels[result.kernels[i]].writes)
        rebuilt_[written] = 0;
    result.kernels.resize(kernels);
    result.delayed.resize(delayed);
    result.cost = cost;
  }
  busy_[value] = 0;
  return made;
}

bool Cutter::rebuild_by(int number, int before, double most, Rebuild& result) {
  const PlanKernel& kernel = problem_.kernels[number];
  work_ += 60;
  result.cost += kernel.cost;
  if (weighed(result.cost, settings_->cost_weight) > most ||
      !can_run_before(number, before, result.delayed))
    return false;
  ++depth_;
  for (int read : kernel.reads) {
    if (rebuilt_[read] == stamp_)
      continue;
    if (busy_[read] == stamp_) {  // it may still be there, but is what is dropped
      --depth_;
      return false;
    }
    Timeline::Gap gap = timeline_.around(read, before);
    if (gap.held)
      continue;
    bool kept = gap.before != Timeline::kNone && can_be_kept(read, gap.before, before);
    if (!kept && !rebuild(read, before, most, result)) {
      --depth_;
      return false;
    }
  }
  --depth_;
  for (int written : kernel.writes)
    rebuilt_[written] = stamp_;
  result.kernels.push_back(number);
  return true;
}

// Whether the value, last used by `from`, fits the budget until `to`.
bool Cutter::can_be_kept(int value, int from, int to) {
  const RunList& runs = timeline_.runs();
  work_ += 40;
  if (settings_->noise > 0 && random_.below(10) == 0)
    return random_.below(2) == 0;
  if (runs.label(from) < peak_label_ && peak_label_ < runs.label(to))
    return false;
  return runs.above_between(from, to, budget_ - problem_.values[value].bytes) == RunList::kNone;
}

bool Cutter::is_hopeless(const CutSettings& settings, int64_t cost_before,
                         int64_t excess_before) const {
  constexpr double kLeast = 0.1;  // of what may be paid is, before a price is known
  auto all = static_cast<double>(excess_before);
  double gone = all - static_cast<double>(over_sums_.back());
  double paid = static_cast<double>(timeline_.cost() - cost_before);
  double allowed = static_cast<double>(settings.cost_limit - cost_before);
  return settings.foresees && paid > kLeast * allowed && paid * all > gone * allowed;
}

bool Cutter::cut(const CutSettings& settings) {
  int64_t cost_before = timeline_.cost(), excess_before = 0;
  int64_t lowest = INT64_MAX;
  bool taken_back = false;  // a drop that was to relieve `run`
  int run = Timeline::kNone, stalled = 0, most_stalled = 60 + problem_.kernel_count() / 4;
  for (int cuts = 0; cuts < 6 * problem_.kernel_count() + 60; ++cuts) {
    int64_t peak = timeline_.peak();
    if (peak <= budget_)
      return true;
    if (timeline_.cost() > settings.cost_limit)
      return false;
    stalled = peak < lowest ? 0 : stalled + 1;
    lowest = std::min(lowest, peak);
    if (stalled > most_stalled)
      return false;
    find_excess();
    if (cuts == 0)
      excess_before = over_sums_.back();
    if (is_hopeless(settings, cost_before, excess_before))
      return false;
    bool same = run != Timeline::kNone && timeline_.runs().bytes(run) > budget_;
    Choice choice;
    if (same)
      choice = best_drop(true);
    if (choice.before == Timeline::kNone) {
      if (same && taken_back)
        return false;
      taken_back = false;
      run = same ? run : run_to_relieve(settings);
      find_candidates(run, settings);
      choice = best_drop(false);
    }
    if (choice.before == Timeline::kNone)
      return false;
    size_t mark = timeline_.mark();
    int64_t bytes = timeline_.runs().bytes(run);
    drop(choice);
    if (settings.only_lower && is_as_high(choice, bytes)) {
      timeline_.undo_to(mark);
      taken_back = true;
    }
  }
  return false;
}

bool Cutter::drop_at(int run, const CutSettings& settings) {
  over_.clear();
  find_candidates(run, settings);
  Choice choice = best_drop(false);
  drop(choice);
  return choice.before != Timeline::kNone;
}

}  // namespace gradc
