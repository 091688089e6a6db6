// What tiles fetch while they multiply: for the tiles behind them, and for their own epilogue.
#include "compiler/lower/tile_lowering.h"
#include "ir/integer_math.h"

namespace gradc {

using loop::Scalar;

bool TileLowering::fetches_next_columns() {
  if (row_ == nest_.loops.size() || (!has_whole_vectors() && block_.size[row_] < 2 * s_.rows))
    return false;
  return s_.staged_rows == 0 && split_loops() <= 1 &&
         (s_.packed || pays_to_fetch(values_, nest_, b_));
}

int64_t TileLowering::split_loops() const {
  int64_t count = 0;
  for (size_t l = nest_.result_loops; l < nest_.loops.size(); ++l)
    count += block_.size[l] < nest_.loops[l].extent;
  return count;
}

NestBlock TileLowering::next_block() {
  NestBlock next = block_;
  for (size_t l = nest_.result_loops; l < nest_.loops.size(); ++l)
    if (last_pass_)
      next.start[l] = builder_.index(0);
    else if (block_.size[l] < nest_.loops[l].extent)
      next.start[l] = builder_.add(next.start[l], builder_.index(next.size[l]));
  if (!last_pass_)
    return next;
  for (size_t l = nest_.result_loops; l-- > 0;)
    if (nest_.loops[l].moves[b_] && block_.size[l] < nest_.loops[l].extent) {
      next.start[l] = builder_.add(next.start[l], builder_.index(next.size[l]));
      break;
    }
  return next;
}

Part TileLowering::part_of_tiles(Part outer, const std::vector<Scalar>& at) {
  for (size_t l = 0; l < nest_.result_loops; ++l)
    if (is_row(l) && l != row_)
      outer = outer.inner(builder_, at[l], block_.size[l]);
  return outer.inner(builder_, row_panel_, ceil_div(block_.size[row_], s_.rows));
}

void TileLowering::fetch(loop::Tile& tile, std::vector<Scalar>& starts, const OperandAccess& access,
                         const std::vector<int64_t>& sizes, const Part& part) {
  if (std::optional<AheadPart> ahead = part_ahead(builder_, access, sizes, part)) {
    tile.ahead.push_back(ahead->rows);
    starts.push_back(ahead->start);
  }
}

void TileLowering::fetch_next_columns(loop::Tile& tile, std::vector<Scalar>& starts,
                                      const std::vector<Scalar>& at) {
  NestBlock next = next_block();
  OperandAccess access = columns_in_place(next);
  for (size_t l = 0; l < nest_.result_loops; ++l)
    next.size[l] = l == vector_ ? next.size[l] : 1;
  fetch(tile, starts, access, next.size, part_of_tiles(outer_, at));
}

void TileLowering::fetch_next_staged(loop::Tile& tile, std::vector<Scalar>& starts,
                                     const std::vector<Scalar>& at) {
  if (around_ == nest_.loops.size() || s_.staged_rows > 0 || row_ == nest_.loops.size() ||
      !pays_to_fetch(values_, nest_, a_))
    return;
  NestBlock next = block_;
  next.start[around_] = builder_.add(next.start[around_], builder_.index(next.size[around_]));
  next.size[vector_] = 1;
  fetch(tile, starts, access_in_place(values_, nest_, a_, next), next.size,
        part_of_tiles({builder_.index(0), 1}, at));
}

void TileLowering::fetch_next_rows(loop::Tile& tile, std::vector<Scalar>& starts) {
  bool in_place = !s_.stage_a && !s_.stage_a_once && !s_.skip_padding;
  if (!in_place || row_ == nest_.loops.size() || !pays_to_fetch(values_, nest_, a_))
    return;
  OperandAccess next = access_[a_];
  next.base = builder_.add(starts[0], builder_.index(tile.rows * tile.a_row_step));
  std::vector<int64_t> sizes = block_.size;
  std::fill_n(sizes.begin(), nest_.result_loops, 1);
  sizes[row_] = tile.rows;
  fetch(tile, starts, next, sizes, {builder_.index(0), 1});
}

void TileLowering::fetch_behind(loop::Tile& tile, std::vector<Scalar>& starts,
                                const std::vector<Scalar>& at) {
  std::vector<BehindTile> behind;
  if (last_pass_) {
    behind = behind_tile(values_, nest_);
    std::erase_if(behind, [](const BehindTile& wanted) { return wanted.streamed; });
  } else if (first_pass_) {
    behind.push_back({values_.result_buffer(static_cast<size_t>(s_.sums_in)), true});
  }
  Scalar start = builder_.index(0);
  for (size_t l = 0; l < nest_.result_loops; ++l)
    start = builder_.add(
        start, builder_.scaled(builder_.add(block_.start[l], at[l]), nest_.loops[l].result_step));
  for (const BehindTile& wanted : behind) {
    tile.ahead.push_back(
        {wanted.buffer, tile.rows, nest_.loops[row_].result_step, tile.columns, wanted.written});
    starts.push_back(start);
  }
}

}  // namespace gradc
