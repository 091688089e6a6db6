#pragma once
// The second half of choosing a contract kernel's schedule: tiles, passes, tasks and staging of
// method tile, in contract_schedule.cpp, and of method panels, in panels_schedule.cpp.
#include "compiler/lower/contract_method.h"

namespace gradc {

class TileChooser : MethodChooser {
 public:
  TileChooser(const Function& kernel, const Target& target, int threads,
              const ContractLimits& limits)
      : MethodChooser(kernel, target, threads, limits) {}

  ContractSchedule choose();

 private:
  // The last loop that fills a tile, else the longest.
  void choose_row_loop();
  // Rows that share their taps, such as those of a pixel in many images, need no padding.
  void choose_padding();
  // Rows and vectors of the tile that spends the least beside its rows * vectors multiplications:
  // a step loads a vector of b in a cycle, an element of a in half of one, and takes at least the
  // latency of a multiplication. The small terms are measured: on Zen 4, 6 x 4 vectors reach 98 %
  // of peak, 12 x 2 reach 88 %. Some registers are left to LLVM's scheduler, which hoists loads.
  void choose_tile();
  // Whether b is unpacked from the order that these tiles read.
  bool is_packed() const;

  int64_t all_rows() const { return nest_.rows_sharing(b()); }
  // Rows are neighbours in a, such as channels, and what is summed are pixels of several axes.
  bool sums_pixels() const;
  bool copies_pixels() const;

  int64_t pass_limit() const;
  // Whole inner loops, then an even part of the loop that would exceed the limit.
  void choose_passes(int64_t limit);
  int64_t passes() const;

  // Sums of rows that lie as in the result need no place of their own.
  void choose_sums();
  // Several threads would add to columns of the same few rows, again and again: what one's cache
  // fetches beyond its columns it takes from another's. Where scratch is short, longer passes are
  // worth more.
  bool adds_beside_others() const;
  // The first result whose type can hold sums, rather one that could not be in an operand's place;
  // -1: none.
  int64_t first_sums_holder() const;

  // Tasks of several panels of columns read the same of a.
  void stage_once();
  // Each thread takes some of the rows, with all columns: it then reads its part of the rows only,
  // and writes whole ones. Where they are so many that its share of the other operand is in order
  // soon, or where that is in order already and every cache has room for it.
  bool shares_rows(int64_t rows) const;
  bool reads_in_order() const;
  // A task takes one panel of vectors and as many rows as its sums may hold; fewer where that
  // leaves threads without work.
  void choose_tasks();

  int64_t rows_of_task() const;
  // Bytes of a that one pass reads for the result loops from `first` on, and for `together`
  // iterations of the one before.
  int64_t staged_bytes(size_t first, int64_t together = 1) const;
  // Windows that overlap along two loops or more, as those of a clip do, are copied for some
  // iterations at once: else each element would be copied nine times.
  int64_t most_together(size_t first) const;
  void choose_staging();

  // ---- Method panels.

  // More than one panel of columns to use the rows for, and too much of a for it to wait in the
  // second level cache for the next panel; what comes in lines and in one pass may come from the
  // third level cache again, if that is fast. Rows are staged where a lies across the summed loops,
  // and then there is one loop over them.
  bool wants_panels() const;
  // Where there is a row loop: rows of a are not neighbours.
  bool is_in_lines() const { return nest_.step(a(), static_cast<size_t>(s_.row_loop)) != 1; }
  int64_t staged_pass_elements() const;
  // Where a lies across the summed loops, each product would take a line of its own: it is brought
  // into order from half of the size on. Pixels that lie far apart are copied in any case.
  int64_t fewest_panel_bytes() const;
  void choose_panels();
};

// The largest divisor of x up to the limit.
int64_t largest_divisor(int64_t x, int64_t limit);

}  // namespace gradc
