#include "compiler/plan/core/chain.h"

#include <algorithm>

#include "compiler/plan/core/emission.h"

namespace gradc {
namespace {

constexpr float kNever = 1e30F;

}  // namespace

int Chain::levels_of(int64_t bytes) const {
  return static_cast<int>(
      std::min(static_cast<double>(std::max<int64_t>(bytes, 0)) / step_ + 0.5, 2.0 * kLevels));
}

// One way after the other, each at all levels.
void Chain::solve(int s, int t) {
  static constexpr Row kNothing;
  Row& best = row(s, t);
  best.cost.fill(kNever);
  best.decision.fill(0);
  // From the level `least` on: `cost`, with the rest at `less` levels below and `again` at the
  // same.
  auto offer = [&](int least, int64_t cost, const Row& rest, int less, const Row& again,
                   Decision decision) {
    auto own = static_cast<float>(cost);
    int32_t packed = decision.packed();
    auto at = [&](int level, int below) {
      float sum = own + rest.cost[below] + again.cost[level];
      bool better = sum < best.cost[level];
      best.cost[level] = better ? sum : best.cost[level];
      best.decision[level] = better ? packed : best.decision[level];
    };
    int level = std::max({0, least, less});
    for (int end = std::min(kLevels, kLevels + less); level < end; ++level)
      at(level, level - less);
    for (; level < kLevels; ++level)
      at(level, kLevels - 1);
  };
  const ChainBlocks::Block& block = blocks_[s];
  const Row& rest = s < t ? row(s + 1, t) : kNothing;
  int64_t gradients = t == blocks_.count() ? 0 : blocks_[t + 1].gradient_bytes;
  int first = levels_of(blocks_.need(s, s) + gradients);
  for (size_t o = 0; o < block.options.size(); ++o) {
    const ChainBlocks::Option& option = block.options[o];
    int least = std::max(
        {first, levels_of(option.peak), levels_of(blocks_.need(s, s) + gradients + option.bytes)});
    int less = s < t ? levels_of(blocks_.bytes_apart(s - 1, s) + option.bytes) : 0;
    offer(least, block.cost + option.cost, rest, less, kNothing, {Kind::keep, static_cast<int>(o)});
    if (s < t && option.inverse_cost >= 0)
      offer(std::max(least, levels_of(option.inverse_peak)), block.cost + option.inverse_cost, rest,
            inverse_levels(s, option), kNothing, {Kind::inverse, static_cast<int>(o)});
  }
  int64_t sum = block.cost;
  for (int j = s; j < t; sum += blocks_[++j].cost)
    offer(levels_of(blocks_.need(s, j) + gradients), sum, row(j + 1, t),
          levels_of(blocks_.bytes_apart(s - 1, j)), row(s, j), {Kind::split, j});
}

// What block s holds more while its input is given up for what it gives.
int Chain::inverse_levels(int s, const ChainBlocks::Option& option) const {
  return levels_of(blocks_[s].out_bytes + option.bytes) -
         static_cast<int>(static_cast<double>(blocks_[s - 1].out_bytes) / step_);
}

void Chain::solve(int64_t budget) {
  step_ = std::max(1.0, static_cast<double>(budget) / (kLevels - 1));
  table_.resize(side() * side());
  for (int length = 0; length < blocks_.count(); ++length)
    for (int s = 1; s + length <= blocks_.count(); ++s)
      solve(s, s + length);
}

class Chain::Decoder {
 public:
  explicit Decoder(const Chain& chain)
      : chain_(chain),
        blocks_(chain.blocks_),
        problem_(blocks_.problem()),
        emission_(problem_),
        pins_(problem_.values.size()) {}

  bool decode(int s, int t, int level) {
    if (s > t)
      return true;
    Decision decision = Decision::unpacked(chain_.row(s, t).decision[level]);
    const ChainBlocks::Block& block = blocks_[s];
    if (decision.kind == Kind::none)
      return false;
    // X(s - 1): nobody holds it meanwhile if it is made again from X(s).
    const std::vector<int>& given = blocks_[s - 1].out;
    std::vector<int> pins;
    for (int value : given) {
      pins.push_back(pins_[value]);
      pins_[value] = decision.kind == Kind::inverse ? 0 : pins_[value] + 1;
    }
    bool made = decision.kind == Kind::split ? split(s, t, level, decision.detail)
                                             : keep(block, s, t, level, decision);
    for (size_t i = 0; i < given.size(); ++i)
      pins_[given[i]] = pins[i];
    return made;
  }

  const Schedule& runs() const { return emission_.runs(); }

 private:
  void pin(const std::vector<int>& values, int count) {
    for (int value : values)
      pins_[value] += count;
  }

  // Values of the blocks that nothing has pinned.
  void drop(int s, int t) {
    for (int value = 0; value < problem_.value_count(); ++value)
      if (int block = blocks_.block_of(value); block >= s && block <= t && pins_[value] == 0)
        emission_.drop(value);
  }

  bool forward(int s) {
    const std::vector<int>& kernels = blocks_[s].forward;
    return std::all_of(kernels.begin(), kernels.end(), [&](int kernel) {
      const std::vector<int>& writes = problem_.kernels[kernel].writes;
      bool there = emission_.has_run(kernel) &&
                   std::all_of(writes.begin(), writes.end(),
                               [&](int value) { return emission_.available(value); });
      return there || emission_.run(kernel);
    });
  }

  bool backward(int s) {
    const std::vector<int>& kernels = blocks_[s].backward;
    bool made = std::all_of(kernels.begin(), kernels.end(),
                            [&](int kernel) { return emission_.run(kernel); });
    drop(s, blocks_.count());
    return made;
  }

  bool split(int s, int t, int level, int j) {
    for (int b = s; b <= j; ++b) {
      if (!forward(b))
        return false;
      pin(blocks_[b].out, 1);
      drop(1, b);
      pin(blocks_[b].out, -1);
    }
    int left = level - chain_.levels_of(blocks_.bytes_apart(s - 1, j));
    return decode(j + 1, t, left) && decode(s, j, level);
  }

  bool keep(const ChainBlocks::Block& block, int s, int t, int level, const Decision& decision) {
    const ChainBlocks::Option& option = block.options[decision.detail];
    if (!forward(s))
      return false;
    pin(option.kept, 1);
    bool inverse = decision.kind == Kind::inverse;
    int less = inverse ? chain_.inverse_levels(s, option)
                       : chain_.levels_of(blocks_.bytes_apart(s - 1, s) + option.bytes);
    int left = std::min(kLevels - 1, level - less);
    bool made = true;
    if (s < t) {
      pin(block.out, 1);
      drop(1, s);
      made = decode(s + 1, t, left);
      if (made && inverse)
        for (int value : blocks_[s - 1].out)
          made = made && emission_.make_by_inverse(value);
      pin(block.out, -1);
    }
    if (inverse)
      pin(blocks_[s - 1].out, 1);
    made = made && backward(s);
    pin(option.kept, -1);
    return made;
  }

  const Chain& chain_;
  const ChainBlocks& blocks_;
  const Problem& problem_;
  Emission emission_;
  std::vector<int> pins_;  // by value
};

std::optional<Schedule> Chain::plan(int64_t budget) {
  solve(budget);
  Decoder decoder(*this);
  if (!decoder.decode(1, blocks_.count(), kLevels - 1))
    return std::nullopt;
  return without_dead_runs(blocks_.problem(), decoder.runs());
}

}  // namespace gradc
