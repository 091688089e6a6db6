#pragma once
// Checkpoints along a chain: the forward kernels in blocks, each with what its backward kernels
// read, and the best nesting of checkpoints over the blocks by dynamic programming.
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "compiler/plan/core/schedule.h"

namespace gradc {

// X(b) is what forward kernels behind block b read of blocks up to b. Blocks s..t, forward and
// backward, run with X(s-1) given and m bytes beside it, at a cost C(s, t, m), the least of:
//   - run block s, keeping X(s) and what one of its options keeps; C(s+1, t, m less these bytes);
//     the option's recomputations and the backward kernels of s
//   - run blocks s..j, keeping X(j) only; C(j+1, t, m less these bytes); C(s, j, m)
//   - run block s, keeping X(s) and what one of its options keeps, and give up X(s-1); C(s+1, t, m
//     with that); optional kernels make X(s-1) from X(s), and what they leave is there for the
//     backward kernels of s
// m comes in steps. What is decoded is near to the budget and need not be within it.
class Chain {
 public:
  // `keep_sets`: sets of values that may be worth keeping; what each has of a block is an option.
  Chain(const Problem& problem, const Schedule& order, int blocks,
        const std::vector<std::vector<int>>& keep_sets);

  // False when the order does not turn from forward to backward kernels once.
  bool usable() const { return blocks_.size() > 2; }
  // nullopt: the blocks do not fit.
  std::optional<Schedule> plan(int64_t budget);

 private:
  static constexpr int kLevels = 300;

  struct Option {
    std::vector<int> kept;  // values
    int64_t cost = 0;  // of what backward kernels need again
    int64_t bytes = 0;  // kept, without X(b)
    int64_t peak = 0;  // of the backward kernels, beside X(b - 1)
    // The same where X(b - 1) is made from X(b) first; -1: it cannot be.
    int64_t inverse_cost = -1, inverse_peak = 0;
  };
  struct Block {
    std::vector<int> forward, backward;  // kernels
    std::vector<int> out;  // X(b)
    int64_t out_bytes = 0, cost = 0;
    std::vector<int>
        gradients;  // values that its backward kernels or earlier ones leave for others
    std::vector<Option> options;
  };
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

  bool split_forward(int blocks);
  void split_backward();
  void find_needs();
  void find_options(const std::vector<std::vector<int>>& keep_sets);
  Option make_option(int block, std::vector<int> kept) const;
  void add_inverse(int block, Option& option) const;
  int64_t cost_of_others(const Schedule& runs, int block) const;
  int64_t segment_peak(const Schedule& runs, int block) const;
  void solve(int64_t budget);
  void solve(int s, int t);
  Row& row(int s, int t) {
    return table_[static_cast<size_t>(s) * blocks_.size() + static_cast<size_t>(t)];
  }
  const Row& row(int s, int t) const { return const_cast<Chain*>(this)->row(s, t); }
  int block_count() const { return static_cast<int>(blocks_.size()) - 1; }
  int levels_of(int64_t bytes) const;
  int inverse_levels(int s, const Option& option) const;

  const Problem& problem_;
  const Schedule& order_;
  std::vector<int> forward_;  // kernels, in order
  std::vector<int> backward_;
  std::vector<int> block_of_;  // by value: the block that makes it; 0: none does
  std::vector<int> last_forward_;  // by value: the last place of forward_ that reads it, or -1
  std::vector<Block> blocks_;  // from 1 on; 0 has what is there before: nothing
  // By s and b: the most bytes beside X(s-1) while block b runs first, only X(s-1) being held.
  std::vector<std::vector<int64_t>> needs_;
  std::vector<std::vector<int64_t>> apart_;  // by a and b: bytes of X(b) without those in X(a)
  double step_ = 1;  // bytes of a level
  std::vector<Row> table_;
};

}  // namespace gradc
