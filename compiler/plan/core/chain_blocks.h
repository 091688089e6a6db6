#pragma once
// The forward kernels of an order in blocks, each with its backward kernels and what may be kept of
// it for them: what chain.h nests checkpoints over.
#include <cstdint>
#include <vector>

#include "compiler/plan/core/schedule.h"

namespace gradc {

// X(b) is what forward kernels behind block b read of blocks up to b. Blocks count from 1; 0 has
// what is there before: nothing.
class ChainBlocks {
 public:
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
    int64_t gradient_bytes = 0;
    std::vector<Option> options;
  };

  // `keep_sets`: sets of values that may be worth keeping; what each has of a block is an option.
  ChainBlocks(const Problem& problem, const Schedule& order, int blocks,
              const std::vector<std::vector<int>>& keep_sets);

  // False when the order does not turn from forward to backward kernels once.
  bool usable() const { return count() > 1; }
  int count() const { return static_cast<int>(blocks_.size()) - 1; }
  const Block& operator[](int b) const { return blocks_[b]; }
  const Problem& problem() const { return problem_; }
  int block_of(int value) const { return block_of_[value]; }  // that makes it; 0: none does
  // The most bytes beside X(s-1) while block b runs first, only X(s-1) being held.
  int64_t need(int s, int b) const { return needs_[s][b]; }
  int64_t bytes_apart(int a, int b) const { return apart_[a][b]; }  // of X(b) without those in X(a)

 private:
  bool split_forward(int blocks);
  void split_backward();
  void find_needs();
  void find_options(const std::vector<std::vector<int>>& keep_sets);
  Option make_option(int block, std::vector<int> kept) const;
  void add_inverse(int block, Option& option) const;
  int64_t cost_of_others(const Schedule& runs, int block) const;
  int64_t segment_peak(const Schedule& runs, int block) const;

  const Problem& problem_;
  std::vector<int> forward_, backward_;  // kernels, in order
  std::vector<int> block_of_;  // by value
  std::vector<int> last_forward_;  // by value: the last place of forward_ that reads it, or -1
  std::vector<Block> blocks_;
  std::vector<std::vector<int64_t>> needs_, apart_;
};

}  // namespace gradc
