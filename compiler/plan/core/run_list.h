#pragma once
// Runs of kernels in the order in which they happen, with the bytes that are live during each. A
// list of blocks, each with bytes that are still to be added to all of its runs: inserting, erasing
// and adding over a range cost the length of a block and the number of blocks.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
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
  // The most bytes of a run between the two, without them; INT64_MIN when there is none.
  int64_t most_between(int first, int last) const;
  // The first run with the most bytes; kNone in an empty list.
  int peak() const;
  int64_t peak_bytes() const;

  // Calls f(run, bytes) for the runs above `limit`, in order.
  template <typename F>
  void for_each_above(int64_t limit, F f) const {
    for (int b : order_) {
      const Block& block = *blocks_[b];
      if (block.most + block.added <= limit)
        continue;
      for (int slot = 0; slot < block.count; ++slot)
        if (block.bytes[slot] + block.added > limit)
          f(block.runs[slot], block.bytes[slot] + block.added);
    }
  }

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
