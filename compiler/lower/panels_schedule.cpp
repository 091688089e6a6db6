// Method panels: when it pays, and what a task and a pass of it have.
#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

#include "compiler/lower/tile_chooser.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

// Passes stage groups of a's rows in a part of the first level cache. Passes twice as long lose 5
// to 8 % on Sapphire Rapids, groups of 32 as much; on Zen 4 2 to 10 %, and groups of 24 1 to 2 %.
constexpr int64_t kRowGroup = 16, kStagedPartOfL1 = 3;
constexpr int64_t kLinePassElements = 512;  // where a is read in place
// On Zen 4, with 3 cycles, reading a again gains 6 % (1024 x 384 times 384 x 1152).
constexpr double kSlowLineCycles = 4;

}  // namespace

bool TileChooser::wants_panels() const {
  if (!limits_.panels || s_.packed || s_.row_loop < 0 || nest_.has_windows(a()) ||
      nest_.has_padding(a()) || nest_.loops[vector_loop()].result_step != 1)
    return false;
  auto row = static_cast<size_t>(s_.row_loop);
  for (size_t l = 0; l < nest_.result_loops; ++l) {
    const ContractionLoop& loop = nest_.loops[l];
    bool is_free = l == vector_loop() || l == row || (is_in_lines() && is_row(l));
    if (loop.extent > 1 && loop.moves[0] != loop.moves[1] && !is_free)
      return false;
  }
  bool in_place = nest_.step(a(), nest_.loops.size() - 1) == 1 && !is_computed(a());
  bool again = summed_elements() <= kLinePassElements && target_.l3_line_cycles < kSlowLineCycles;
  if (is_in_lines() && (!in_place || again))
    return false;
  int64_t bytes = all_rows() * summed_elements() * byte_size(nest_.sum_dtype());
  bool can_wait = summed_elements() <= staged_pass_elements() || first_sums_holder() >= 0;
  return bytes > fewest_panel_bytes() && all_rows() >= 2 * s_.rows && can_wait &&
         nest_.loops[vector_loop()].extent > s_.vectors * lanes_;
}

int64_t TileChooser::staged_pass_elements() const {
  int64_t bytes_of_element = kRowGroup * byte_size(nest_.sum_dtype());
  int64_t most = target_.l1_bytes / kStagedPartOfL1 / bytes_of_element;
  return static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(most)));
}

int64_t TileChooser::fewest_panel_bytes() const {
  if (copies_pixels())
    return target_.l2_bytes / 8;
  return target_.l2_bytes / (is_in_lines() ? 2 : 4);
}

void TileChooser::choose_panels() {
  s_.method = ContractMethod::panels;
  s_.stage_b = true;
  s_.stage_a = !is_in_lines();
  s_.row_group = s_.stage_a ? kRowGroup : 1;
  choose_passes(s_.stage_a ? staged_pass_elements() : kLinePassElements);
  if (passes() == 1)
    s_.direct_store = true;
  else
    s_.sums_in = first_sums_holder();
  int64_t tasks = 1, pass_elements = 1;
  for (size_t l = 0; l < nest_.loops.size(); ++l)
    if (l >= nest_.result_loops)
      pass_elements *= s_.blocks[l];
    else if (l != vector_loop() && static_cast<int64_t>(l) != s_.row_loop && !is_row(l))
      tasks *= std::exchange(s_.blocks[l], 1);
  int64_t vector_bytes = pass_elements * lanes_ * byte_size(nest_.sum_dtype());
  int64_t all_vectors = ceil_div(nest_.loops[vector_loop()].extent, lanes_);
  int64_t most = std::max(target_.l2_bytes / 2 / vector_bytes, 2 * s_.vectors);
  int64_t parts = ceil_div(all_vectors, most);
  s_.blocks[vector_loop()] = ceil_div(all_vectors, parts) * lanes_;
  tasks *= parts;
  for (size_t l = 0; l < nest_.result_loops; ++l)
    if (is_row(l) && static_cast<int64_t>(l) != s_.row_loop) {
      int64_t wanted = threads_ / std::gcd(tasks, int64_t{threads_});
      s_.blocks[l] =
          largest_divisor(nest_.loops[l].extent, ceil_div(nest_.loops[l].extent, wanted));
      tasks *= nest_.loops[l].extent / s_.blocks[l];
    }
  int64_t rows = nest_.loops[static_cast<size_t>(s_.row_loop)].extent;
  while (tasks * s_.row_parts % threads_ != 0 && tasks * s_.row_parts < 8 * threads_ &&
         rows / (s_.row_parts + 1) >= 2 * s_.rows)
    ++s_.row_parts;
  s_.blocks[static_cast<size_t>(s_.row_loop)] = ceil_div(rows, s_.row_parts);
}

}  // namespace gradc
