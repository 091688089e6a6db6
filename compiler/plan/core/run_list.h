#pragma once
// Runs of kernels in the order in which they happen, with the bytes that are live during each. A
// list of blocks, each with bytes that are still to be added to all of its runs: inserting, erasing
// and adding over a range cost the length of a block and the number of blocks.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace gradc {

class RunList {
 public:
  static constexpr int kNone = -1;

  // `run` is a number of the caller's, not in the list yet; `before` kNone puts it at the end.
  void insert(int run, int before, int64_t bytes);
  void erase(int run);
  void clear();

  int front() const;
  int next(int run) const;
  int previous(int run) const;
  // Grows along the list. Inserting may change the labels of all runs: see renumberings().
  int64_t label(int run) const { return places_[run].label; }
  int renumberings() const { return renumberings_; }
  bool precedes(int a, int b) const { return label(a) < label(b); }

  int64_t bytes(int run) const {
    const Place& place = places_[run];
    const Block& block = *blocks_[place.block];
    return block.bytes[place.slot] + block.added;
  }
  void add(int run, int64_t bytes);
  // To the runs between the two, without them.
  void add_between(int first, int last, int64_t bytes);
  // Some run between the two, without them, above `limit`; kNone if all are within.
  int above_between(int first, int last, int64_t limit) const;
  // The first run with the most bytes; kNone in an empty list.
  int peak() const;
  int64_t peak_bytes() const;

  // The runs above a limit, in order, and how many of them come before any run.
  class Above {
   public:
    void find(const RunList& list, int64_t limit);
    void clear() { runs_.clear(); }
    const std::vector<int>& runs() const { return runs_; }
    // Above the limit, by number.
    const std::vector<int64_t>& excess() const { return excess_; }
    size_t before(const RunList& list, int run) const {
      auto [of, slot] = at(list, run);
      return of.first + (of.slots == 0 ? 0 : set_bits(of.slots & ((uint64_t{1} << slot) - 1)));
    }
    size_t up_to(const RunList& list, int run) const {
      auto [of, slot] = at(list, run);
      return before(list, run) + (of.slots >> slot & 1);
    }

   private:
    struct OfBlock {
      size_t first = 0;  // runs above in the blocks before
      uint64_t slots = 0;
    };
    std::pair<OfBlock, int> at(const RunList& list, int run) const {
      const Place& place = list.places_[run];
      return {of_block_[place.block], place.slot};
    }
    // std::popcount is a call where the processor may lack the instruction.
    static size_t set_bits(uint64_t bits) {
      bits -= bits >> 1 & 0x5555555555555555;
      bits = (bits & 0x3333333333333333) + (bits >> 2 & 0x3333333333333333);
      return ((bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0f) * 0x0101010101010101 >> 56;
    }
    std::vector<OfBlock> of_block_;
    std::vector<int> runs_;
    std::vector<int64_t> excess_;
  };

 private:
  static constexpr int kBlock = 64;
  static constexpr int64_t kSpacing = int64_t{1} << 32;

  struct Block {
    int64_t added = 0;
    int64_t most = INT64_MIN;  // without what is added
    int count = 0;
    int rank = 0;  // its place in order_
    std::array<int, kBlock> runs;
    std::array<int64_t, kBlock> bytes;  // without what is added
  };
  struct Place {
    int64_t label = 0;
    int block = 0, slot = 0;
  };

  static void find_most(Block& block) {
    int64_t most = INT64_MIN;
    for (int slot = 0; slot < block.count; ++slot)
      most = std::max(most, block.bytes[slot]);
    block.most = most;
  }
  // To the slots from `begin` on, before `end`.
  static void add_in(Block& block, int begin, int end, int64_t bytes);
  int new_block(size_t rank);
  void split(int block);
  void renumber_blocks();
  void set_label(int run);
  void renumber_labels();

  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<int> order_, unused_;  // blocks
  std::vector<Place> places_;  // by run
  int renumberings_ = 0;
};

}  // namespace gradc
