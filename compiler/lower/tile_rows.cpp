// What a pass has of each operand, its loops over rows, and the tiles in them.
#include <algorithm>

#include "compiler/lower/contract_results.h"
#include "compiler/lower/tile_lowering.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

constexpr int64_t kMostFixedTaps = 3, kFewPixels = 8;

}  // namespace

using loop::LoopKind;
using loop::Scalar;

void TileLowering::lower_pass() {
  access_[b_] = s_.stage_b
                    ? stage_vectors(values_, nest_, b_, vector_, block_, row_elements_, buffers())
                    : columns_in_place(block_);
  NestBlock task = block_;
  sum_base_ = sums_.base;
  outer_ = {builder_.index(0), 1};
  around_ = nest_.loops.size();
  size_t opened = 0;
  if (s_.stage_a)
    for (size_t l = 0; l < static_cast<size_t>(s_.staged_from); ++l)
      if (is_row(l) && l != row_ && block_.size[l] > 1) {
        bool is_last = static_cast<int64_t>(l) + 1 == s_.staged_from;
        int64_t together = is_last ? s_.staged_together : 1, parts = block_.size[l] / together;
        Scalar i = builder_.begin_for(LoopKind::serial, parts)[0],
               first = builder_.scaled(i, together);
        outer_ = outer_.inner(builder_, i, parts);
        around_ = l;
        block_.start[l] = builder_.add(block_.start[l], first);
        block_.size[l] = together;
        sum_base_ = builder_.add(sum_base_, builder_.scaled(first, sums_.step[l]));
        ++opened;
      }
  if (s_.staged_rows > 0)
    lower_staged_rows();
  else
    lower_all_rows();
  for (; opened > 0; --opened)
    builder_.end_for();
  block_ = task;
}

OperandAccess TileLowering::columns_in_place(const NestBlock& block) {
  if (!s_.packed)
    return access_in_place(values_, nest_, b_, block);
  Scalar panel = builder_.div(block.start[vector_], builder_.index(packed_.columns));
  OperandAccess access{packed_buffer_, builder_.scaled(panel, packed_.panel_step), packed_.step};
  for (size_t l = nest_.result_loops; l < nest_.loops.size(); ++l)
    access.base = builder_.add(access.base, builder_.scaled(block.start[l], access.step[l]));
  return access;
}

void TileLowering::lower_all_rows() {
  access_[a_] = s_.stage_a        ? stage_padded(values_, nest_, a_, block_,
                                                 scratch("a", padded_elements(nest_, a_, block_)))
                : s_.stage_a_once ? access_in_whole()
                                  : access_in_place(values_, nest_, a_, block_, padded_axes());
  lower_rows();
}

OperandAccess TileLowering::access_in_whole() {
  OperandAccess access = whole_a_;
  for (size_t l = 0; l < nest_.loops.size(); ++l)
    access.base = builder_.add(access.base, builder_.scaled(block_.start[l], access.step[l]));
  return access;
}

void TileLowering::lower_staged_rows() {
  NestBlock all = block_;
  Scalar sums = sum_base_;
  int64_t rows = block_.size[row_];
  for (const Segment& part : segments(rows, ceil_div(rows, s_.staged_rows))) {
    block_.size[row_] = part.size;
    for_parts(builder_, part, [&](Scalar first, Scalar) {
      block_.start[row_] = builder_.add(all.start[row_], first);
      sum_base_ = builder_.add(sums, builder_.scaled(first, sums_.step[row_]));
      StagedInside staged = stage_inside(values_, nest_, a_, block_, padded_axes(),
                                         scratch("a", padded_elements(nest_, a_, block_)));
      access_[a_] = std::move(staged.access);
      staged_axes_ = std::move(staged.axes);
      lower_rows();
    });
  }
  block_ = all;
  sum_base_ = sums;
}

std::vector<size_t> TileLowering::padded_axes() const {
  std::vector<size_t> axes;
  for (const TapAxis& axis : tap_axes_)
    axes.push_back(axis.axis);
  return axes;
}

void TileLowering::lower_rows() {
  lower_rows(0, std::vector<Scalar>(nest_.loops.size(), builder_.index(0)));
}

void TileLowering::lower_rows(size_t l, std::vector<Scalar> at) {
  while (l < nest_.result_loops && (!is_row(l) || l == row_ || block_.size[l] == 1))
    ++l;
  if (l == nest_.result_loops) {
    lower_row_panels(std::move(at));
  } else if (auto edge = std::ranges::find(edges_, l, &Edge::result_loop);
             edge != edges_.end() && !edge->counted) {
    lower_between_edges(*edge, at);
  } else if (fixes_taps(l)) {
    for (int64_t i = 0; i < block_.size[l]; ++i) {
      at[l] = builder_.index(i);
      lower_rows(l + 1, at);
    }
  } else {
    at[l] = builder_.begin_for(LoopKind::serial, block_.size[l])[0];
    lower_rows(l + 1, at);
    builder_.end_for();
  }
}

void TileLowering::lower_between_edges(Edge& edge, std::vector<Scalar> at) {
  size_t l = edge.result_loop();
  auto lower_edge = [&](int64_t begin, int64_t end) {
    edge.open = true;
    for (int64_t i = begin; i < end; ++i) {
      at[l] = builder_.index(i);
      lower_rows(l + 1, at);
    }
    edge.open = false;
  };
  lower_edge(0, edge.inner.begin);
  if (edge.inner.size() > 0) {
    Scalar i = builder_.begin_for(LoopKind::serial, edge.inner.size())[0];
    at[l] = builder_.add(builder_.index(edge.inner.begin), i);
    lower_rows(l + 1, at);
    builder_.end_for();
  }
  lower_edge(edge.inner.end, block_.size[l]);
}

bool TileLowering::fixes_taps(size_t l) const {
  auto axis = std::ranges::find(tap_axes_, std::optional(l), &TapAxis::result_loop);
  if (axis == tap_axes_.end() || nest_.contraction.operand_indices[a_][axis->axis].divisor != 1)
    return false;
  size_t summed = axis->summed_loop;
  return block_.size[l] == nest_.loops[l].extent && block_.size[l] <= kMostFixedTaps &&
         block_.size[summed] == nest_.loops[summed].extent && block_.size[summed] <= kFewPixels &&
         nest_.loops[summed].extent > block_.size[l];
}

void TileLowering::lower_row_panels(std::vector<Scalar> at) {
  if (row_ == nest_.loops.size()) {
    lower_tile(at, 1);
    return;
  }
  int64_t rows = block_.size[row_], panels = 0;
  for (const Segment& panel : segments(rows, ceil_div(rows, s_.rows))) {
    for_parts(builder_, panel, [&](Scalar start, Scalar i) {
      at[row_] = start;
      row_panel_ = builder_.add(builder_.index(panels), i);
      lower_tile(at, panel.size);
    });
    panels += panel.count;
  }
}

Scalar TileLowering::address(Scalar base, const std::vector<int64_t>& step,
                             const std::vector<Scalar>& at) {
  for (size_t l = 0; l < nest_.result_loops; ++l)
    base = builder_.add(base, builder_.scaled(at[l], step[l]));
  return base;
}

bool TileLowering::append_present_taps(size_t l, const std::vector<Scalar>& at, loop::Tile& tile,
                                       std::vector<Scalar>& starts, std::vector<Scalar>& counts) {
  auto axis = std::ranges::find(tap_axes_, l, &TapAxis::summed_loop);
  if (axis == tap_axes_.end())
    return false;
  Scalar position = builder_.index(0);
  if (axis->result_loop)
    position = builder_.add(block_.start[*axis->result_loop], at[*axis->result_loop]);
  PresentTaps taps =
      present_taps(builder_, nest_, a_, *axis, position, block_.start[l], block_.size[l]);
  int64_t stride = row_major_strides(nest_.types[a_].dims)[axis->axis];
  Scalar index = taps.index;
  if (s_.stage_a) {
    const StagedInside::Axis& staged = staged_axes_[static_cast<size_t>(axis - tap_axes_.begin())];
    stride = staged.stride;
    index = builder_.sub(index, staged.begin);
  }
  starts[0] = builder_.add(starts[0], builder_.scaled(index, stride));
  starts[1] = builder_.add(starts[1], builder_.scaled(taps.first, access_[b_].step[l]));
  loop::TileLoop walk{ceil_div(block_.size[l], taps.stride), taps.index_step * stride,
                      taps.stride * access_[b_].step[l], true};
  std::optional<int64_t> count = builder_.constant_of(taps.count);
  if (count && *count > 0) {
    walk.extent = *count;
    walk.counted = false;
  } else {
    counts.push_back(taps.count);
  }
  tile.loops.push_back(walk);
  return true;
}

bool TileLowering::append_edge_taps(size_t l, const std::vector<Scalar>& at, loop::Tile& tile,
                                    std::vector<Scalar>& starts, std::vector<Scalar>& counts) {
  auto edge = std::ranges::find(edges_, l, &Edge::summed_loop);
  if (edge == edges_.end() || (!edge->open && !edge->counted))
    return false;
  size_t result_loop = edge->result_loop();
  Scalar position = builder_.add(block_.start[result_loop], at[result_loop]);
  PresentTaps taps =
      present_taps(builder_, nest_, a_, edge->axis, position, block_.start[l], block_.size[l]);
  std::optional<int64_t> count = builder_.constant_of(taps.count);
  if (edge->open && count == 0)
    return false;
  int64_t a_step = access_[a_].step[l], b_step = access_[b_].step[l];
  starts[0] = builder_.add(starts[0], builder_.scaled(taps.first, a_step));
  starts[1] = builder_.add(starts[1], builder_.scaled(taps.first, b_step));
  tile.loops.push_back({count.value_or(block_.size[l]), a_step, b_step, !count});
  if (!count)
    counts.push_back(taps.count);
  return true;
}

void TileLowering::lower_tile(const std::vector<Scalar>& at, int64_t rows) {
  const OperandAccess &a = access_[a_], &b = access_[b_];
  loop::Tile tile{.rows = rows,
                  .columns = block_.size[vector_],
                  .a_buffer = a.buffer,
                  .b_buffer = b.buffer,
                  .padded = has_whole_vectors() && s_.sums_in < 0};
  if (in_scratch() && has_whole_vectors())
    tile.columns = row_elements_;
  if (row_ < nest_.loops.size())
    tile.a_row_step = a.step[row_];
  std::vector<Scalar> starts = {address(a.base, a.step, at), b.base}, counts;
  for (size_t l = nest_.result_loops; l < nest_.loops.size(); ++l)
    if (!append_present_taps(l, at, tile, starts, counts) &&
        !append_edge_taps(l, at, tile, starts, counts))
      tile.loops.push_back({block_.size[l], a.step[l], b.step[l]});
  join_loops(tile.loops);
  Scalar sums_start = address(sum_base_, sums_.step, at);
  int64_t sum_row_step = row_ < nest_.loops.size() ? sums_.step[row_] : 0;
  if (in_scratch() ? passes_ > 1 : !first_pass_) {
    tile.accumulate = true;
    tile.acc_buffer = sums_.buffer;
    tile.acc_row_step = sum_row_step;
    starts.push_back(sums_start);
  }
  starts.insert(starts.end(), counts.begin(), counts.end());
  if (fetches_next_columns())
    fetch_next_columns(tile, starts, at);
  fetch_next_rows(tile, starts);
  fetch_next_staged(tile, starts, at);
  if (!in_scratch() && row_ < nest_.loops.size())
    fetch_behind(tile, starts, at);
  auto [row, group, column, sum] = builder_.begin_tile(tile, starts);
  if (last_pass_ && !in_scratch())
    store_row(at, row, column, sum);
  else
    builder_.store(
        sums_.buffer,
        builder_.add(builder_.add(sums_start, builder_.scaled(row, sum_row_step)), column), sum);
  builder_.end_tile();
}

void TileLowering::store_row(const std::vector<Scalar>& at, Scalar row, Scalar column, Scalar sum) {
  std::vector<Scalar> loops;
  for (size_t l = 0; l < nest_.result_loops; ++l)
    loops.push_back(builder_.add(block_.start[l], at[l]));
  loops[vector_] = builder_.add(loops[vector_], column);
  if (row_ < nest_.loops.size())
    loops[row_] = builder_.add(loops[row_], row);
  store_results(values_, nest_, loops, sum);
}

}  // namespace gradc
