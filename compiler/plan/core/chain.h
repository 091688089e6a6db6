#pragma once
// Checkpoints along a chain: the best nesting of checkpoints over the blocks of chain_blocks.h by
// dynamic programming.
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "compiler/plan/core/chain_blocks.h"

namespace gradc {

// Blocks s..t, forward and backward, run with X(s-1) given and m bytes beside it, at a cost
// C(s, t, m), the least of:
//   - run block s, keeping X(s) and what one of its options keeps; C(s+1, t, m less these bytes);
//     the option's recomputations and the backward kernels of s
//   - run blocks s..j, keeping X(j) only; C(j+1, t, m less these bytes); C(s, j, m)
//   - run block s, keeping X(s) and what one of its options keeps, and give up X(s-1); C(s+1, t, m
//     with that); optional kernels make X(s-1) from X(s), and what they leave is there for the
//     backward kernels of s
// m comes in steps. What is decoded is near to the budget and need not be within it.
class Chain {
 public:
  Chain(const Problem& problem, const Schedule& order, int blocks,
        const std::vector<std::vector<int>>& keep_sets)
      : blocks_(problem, order, blocks, keep_sets) {}

  bool usable() const { return blocks_.usable(); }
  // nullopt: the blocks do not fit.
  std::optional<Schedule> plan(int64_t budget);

 private:
  static constexpr int kLevels = 300;

  enum class Kind : int8_t { none, keep, split, inverse };
  // What is done at some bytes: a kind, and the number of an option, or j, in one number, so that
  // a compiler makes vectors of choosing.
  struct Decision {
    Kind kind = Kind::none;
    int detail = 0;

    int32_t packed() const { return static_cast<int32_t>(kind) << 16 | detail; }
    static Decision unpacked(int32_t bits) {
      return {static_cast<Kind>(bits >> 16), bits & 0xffff};
    }
  };
  // Of blocks s..t, by level.
  struct Row {
    std::array<float, kLevels> cost{};
    std::array<int32_t, kLevels> decision{};
  };
  class Decoder;

  void solve(int64_t budget);
  void solve(int s, int t);
  size_t side() const { return static_cast<size_t>(blocks_.count()) + 1; }  // of the table
  Row& row(int s, int t) {
    return table_[static_cast<size_t>(s) * side() + static_cast<size_t>(t)];
  }
  const Row& row(int s, int t) const { return const_cast<Chain*>(this)->row(s, t); }
  int levels_of(int64_t bytes) const;
  int inverse_levels(int s, const ChainBlocks::Option& option) const;

  ChainBlocks blocks_;
  double step_ = 1;  // bytes of a level
  std::vector<Row> table_;
};

}  // namespace gradc
