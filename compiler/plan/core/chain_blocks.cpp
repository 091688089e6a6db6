#include "compiler/plan/core/chain_blocks.h"

#include <algorithm>
#include <utility>

#include "compiler/plan/core/emission.h"

namespace gradc {
namespace {

int64_t bytes_of(const Problem& problem, const std::vector<int>& values) {
  int64_t bytes = 0;
  for (int value : values)
    bytes += problem.values[value].bytes;
  return bytes;
}

}  // namespace

ChainBlocks::ChainBlocks(const Problem& problem, const Schedule& order, int blocks,
                         const std::vector<std::vector<int>>& keep_sets)
    : problem_(problem),
      block_of_(problem.values.size()),
      last_forward_(problem.values.size(), -1) {
  for (int kernel : order)
    (problem.kernels[kernel].forward ? forward_ : backward_).push_back(kernel);
  if (backward_.empty() || !split_forward(blocks))
    return;
  split_backward();
  find_needs();
  find_options(keep_sets);
}

// Boundaries at even parts of the time, each moved to where the fewest bytes cross it nearby.
bool ChainBlocks::split_forward(int blocks) {
  auto places = static_cast<int>(forward_.size());
  std::vector<int64_t> crossing(static_cast<size_t>(places) + 1), time(crossing);
  for (int place = 0; place < places; ++place)
    for (int value : problem_.kernels[forward_[place]].reads)
      last_forward_[value] = place;
  for (int place = 0; place < places; ++place) {
    const PlanKernel& kernel = problem_.kernels[forward_[place]];
    time[place + 1] = time[place] + kernel.cost;
    for (int value : kernel.writes)
      if (int last = last_forward_[value]; last > place) {
        crossing[place + 1] += problem_.values[value].bytes;
        crossing[last + 1] -= problem_.values[value].bytes;
      }
  }
  for (int place = 0; place < places; ++place)
    crossing[place + 1] += crossing[place];
  std::vector<int> ends;
  int reach = std::max(1, places / blocks / 2), from = 0;
  for (int b = 1; b < blocks; ++b) {
    int64_t aim = time[places] / blocks * b;
    auto middle = static_cast<int>(std::lower_bound(time.begin(), time.end(), aim) - time.begin());
    int best = -1;
    for (int end = std::max(from + 1, middle - reach); end <= std::min(places - 1, middle + reach);
         ++end)
      if (best < 0 || crossing[end] < crossing[best] ||
          (crossing[end] == crossing[best] && std::abs(end - middle) < std::abs(best - middle)))
        best = end;
    if (best > from)
      ends.push_back(from = best);
  }
  ends.push_back(places);
  blocks_.resize(ends.size() + 1);
  int place = 0;
  for (size_t b = 0; b < ends.size(); ++b)
    for (; place < ends[b]; ++place) {
      blocks_[b + 1].forward.push_back(forward_[place]);
      blocks_[b + 1].cost += problem_.kernels[forward_[place]].cost;
      for (int value : problem_.kernels[forward_[place]].writes)
        block_of_[value] = static_cast<int>(b) + 1;
    }
  for (int value = 0; value < problem_.value_count(); ++value)
    for (int b = std::max(1, block_of_[value]); block_of_[value] > 0 && b <= count(); ++b)
      if (last_forward_[value] >= ends[static_cast<size_t>(b) - 1])
        blocks_[b].out.push_back(value);
  for (Block& block : blocks_)
    block.out_bytes = bytes_of(problem_, block.out);
  return usable();
}

// A backward kernel belongs to the last block that it, or one behind it, reads of.
void ChainBlocks::split_backward() {
  int block = 1;
  std::vector<int> belongs(backward_.size());
  for (size_t place = backward_.size(); place-- > 0;) {
    for (int value : problem_.kernels[backward_[place]].reads)
      block = std::max(block, block_of_[value]);
    belongs[place] = block;
  }
  // By value that no forward kernel makes: the block at which it is made and the last that reads
  // it.
  std::vector<int> made(problem_.values.size()), read(made);
  for (size_t place = 0; place < backward_.size(); ++place) {
    const PlanKernel& kernel = problem_.kernels[backward_[place]];
    blocks_[belongs[place]].backward.push_back(backward_[place]);
    for (int value : kernel.writes)
      made[value] = std::max(made[value], belongs[place]);
    for (int value : kernel.reads)
      read[value] = belongs[place];
  }
  for (int value = 0; value < problem_.value_count(); ++value)
    if (block_of_[value] == 0 && read[value] > 0)
      for (int b = read[value] + 1; b <= made[value]; ++b)
        blocks_[b].gradients.push_back(value);
  for (Block& each : blocks_)
    each.gradient_bytes = bytes_of(problem_, each.gradients);
}

void ChainBlocks::find_needs() {
  size_t count = blocks_.size();
  // Bytes that the forward kernels alone need, by place.
  std::vector<int64_t> live(forward_.size());
  int64_t held = 0;
  for (size_t place = 0; place < forward_.size(); ++place) {
    const PlanKernel& kernel = problem_.kernels[forward_[place]];
    held += bytes_of(problem_, kernel.writes);
    live[place] = held + kernel.workspace;
    auto ends_here = [&](int value) { return last_forward_[value] <= static_cast<int>(place); };
    for_each_shared_pair(problem_, kernel, ends_here,
                         [&](int, int written) { live[place] -= problem_.values[written].bytes; });
    for (const auto* values : {&kernel.reads, &kernel.writes})
      for (int value : *values)
        if (ends_here(value))
          held -= problem_.values[value].bytes;
  }
  needs_.assign(count + 1, std::vector<int64_t>(count + 1));
  apart_ = needs_;
  std::vector<char> marked(problem_.values.size());
  size_t start = 0;
  for (size_t s = 1; s < count; ++s) {
    for (int value : blocks_[s - 1].out)
      marked[value] = true;
    int64_t there = blocks_[s - 1].out_bytes;
    size_t place = start;
    for (size_t b = s; b < count; ++b) {
      for (size_t i = 0; i < blocks_[b].forward.size(); ++i, ++place) {
        needs_[s][b] = std::max(needs_[s][b], live[place] - there);
        for (int value : problem_.kernels[forward_[place]].reads)
          if (marked[value] && last_forward_[value] == static_cast<int>(place))
            there -= problem_.values[value].bytes;
      }
      needs_[s][b] = std::max(needs_[s][b], needs_[s][b - 1]);
    }
    for (size_t b = s - 1; b < count; ++b)
      for (int value : blocks_[b].out)
        if (!marked[value])
          apart_[s - 1][b] += problem_.values[value].bytes;
    for (int value : blocks_[s - 1].out)
      marked[value] = false;
    start += blocks_[s].forward.size();
  }
}

// The most bytes beside X(block - 1) while the runs of its backward kernels go on.
int64_t ChainBlocks::segment_peak(const Schedule& runs, int block) const {
  std::vector<char> live(problem_.values.size());
  int64_t bytes = 0, most = 0;
  auto hold = [&](int value) {
    if (!live[value])
      bytes += problem_.values[value].bytes;
    live[value] = true;
  };
  for (int value : blocks_[block - 1].out)
    hold(value);
  for (int value : blocks_[block].gradients)
    hold(value);
  int64_t less = blocks_[block - 1].out_bytes;
  for (size_t step = runs.size(); step-- > 0;) {
    const PlanKernel& kernel = problem_.kernels[runs[step]];
    int64_t beside = kernel.workspace;
    for (int value : kernel.writes)
      if (!live[value])
        beside += problem_.values[value].bytes;
    for (int value : kernel.reads)
      hold(value);
    most = std::max(most, bytes + beside - less);
    for (int value : kernel.writes) {
      if (live[value])
        bytes -= problem_.values[value].bytes;
      live[value] = false;
    }
  }
  return most;
}

ChainBlocks::Option ChainBlocks::make_option(int number, std::vector<int> kept) const {
  const Block& block = blocks_[number];
  Option option{.kept = std::move(kept)};
  std::vector<char> there(problem_.values.size(), true);
  for (int kernel : block.forward)
    for (int value : problem_.kernels[kernel].writes)
      there[value] = false;
  for (int value : option.kept)
    there[value] = true;
  std::vector<char> out(problem_.values.size());
  for (int value : block.out)
    out[value] = true;
  for (int value : option.kept)
    if (!out[value])
      option.bytes += problem_.values[value].bytes;
  Emission emission(problem_);
  for (int value = 0; value < problem_.value_count(); ++value)
    if (there[value])
      emission.assume(value);
  for (int kernel : block.backward)
    if (!emission.run(kernel))
      return {.kept = {}, .cost = -1};
  option.cost = cost_of_others(emission.runs(), number);
  option.peak = segment_peak(emission.runs(), number);
  return option;
}

// Beside the backward kernels of the block.
int64_t ChainBlocks::cost_of_others(const Schedule& runs, int block) const {
  int64_t cost = 0;
  for (int kernel : runs)
    cost += problem_.kernels[kernel].cost;
  for (int kernel : blocks_[block].backward)
    cost -= problem_.kernels[kernel].cost;
  return cost;
}

void ChainBlocks::add_inverse(int number, Option& option) const {
  const Block& block = blocks_[number];
  Emission emission(problem_);
  for (const std::vector<int>* values : {&block.out, &std::as_const(option.kept)})
    for (int value : *values)
      emission.assume(value);
  for (int value : blocks_[number - 1].out)
    if (!emission.make_by_inverse(value))
      return;
  for (int value = 0; value < problem_.value_count(); ++value)
    if (block_of_[value] != number)
      emission.assume(value);
  for (int kernel : block.backward)
    if (!emission.run(kernel))
      return;
  option.inverse_cost = cost_of_others(emission.runs(), number);
  option.inverse_peak = segment_peak(emission.runs(), number);
}

void ChainBlocks::find_options(const std::vector<std::vector<int>>& keep_sets) {
  constexpr size_t kMost = 16;
  bool any_inverse = std::any_of(problem_.kernels.begin(), problem_.kernels.end(),
                                 [](const PlanKernel& kernel) { return !kernel.required; });
  for (int b = 1; b <= count(); ++b) {
    std::vector<std::vector<int>> sets(2);
    for (int kernel : blocks_[b].backward)
      for (int value : problem_.kernels[kernel].reads)
        if (block_of_[value] == b)
          sets[1].push_back(value);
    std::sort(sets[1].begin(), sets[1].end());
    sets[1].erase(std::unique(sets[1].begin(), sets[1].end()), sets[1].end());
    for (const std::vector<int>& kept : keep_sets) {
      sets.emplace_back();
      for (int value : kept)
        if (block_of_[value] == b)
          sets.back().push_back(value);
      std::sort(sets.back().begin(), sets.back().end());
    }
    std::sort(sets.begin(), sets.end());
    sets.erase(std::unique(sets.begin(), sets.end()), sets.end());
    for (std::vector<int>& kept : sets) {
      if (blocks_[b].options.size() >= kMost)
        break;
      Option option = make_option(b, std::move(kept));
      if (option.cost < 0)
        continue;
      if (any_inverse && b > 1 && !blocks_[b].out.empty())
        add_inverse(b, option);
      blocks_[b].options.push_back(std::move(option));
    }
  }
}

}  // namespace gradc
