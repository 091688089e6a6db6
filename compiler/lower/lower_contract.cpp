// Contract kernels as register tiles. The structure is that of contract_schedule.h; here it becomes
// loops:
//
//   parallel task {
//     pass over the summed loops {
//       b: [summed][columns] in scratch
//       a: with its padding in scratch, or where it lies
//       rows { tile -> sums in scratch, or results }
//     }
//     sums -> results
//   }
#include "compiler/lower/lower_contract.h"

#include "compiler/lower/contract_results.h"
#include "compiler/lower/contract_schedule.h"
#include "compiler/lower/contract_tasks.h"
#include "compiler/lower/fetch_ahead.h"
#include "compiler/lower/lower.h"
#include "compiler/lower/packed_weight.h"
#include "compiler/lower/present_taps.h"
#include "compiler/lower/stage_operand.h"
#include "ir/diagnostic.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

using loop::LoopKind;
using loop::Scalar;

constexpr int64_t kMostFixedTaps = 3, kFewPixels = 8;

class TileLowering {
 public:
  TileLowering(const Function& function, const Target& target, int threads)
      : kernel_{.name = function.name},
        builder_(kernel_),
        values_(function, builder_),
        nest_(with_channel_parts(with_joined_loops(contraction_nest(function)))),
        s_(contract_schedule_of(function)),
        lanes_(target.lanes_f32()),
        threads_(threads),
        dtype_(nest_.sum_dtype()),
        a_(1 - static_cast<size_t>(s_.vector_operand)),
        b_(static_cast<size_t>(s_.vector_operand)),
        vector_(static_cast<size_t>(s_.vector_loop)),
        row_(s_.row_loop < 0 ? nest_.loops.size() : static_cast<size_t>(s_.row_loop)) {
    parallel_ = pays_in_parallel(nest_, lanes_, threads);
    for (size_t l = nest_.result_loops; l < nest_.loops.size(); ++l)
      passes_ *= ceil_div(nest_.loops[l].extent, s_.blocks[l]);
    if (s_.skip_padding)
      tap_axes_ = *tap_axes(nest_, a_);
    if (s_.packed) {
      packed_ = *packed_order(function, nest_, b_, vector_, s_.vectors * lanes_);
      packed_buffer_ = *values_.buffer_of(*packed_source(function, nest_.operands[b_], packed_));
    }
  }

  loop::Kernel run() {
    if (s_.stage_a_once)
      stage_whole();
    for (const Segment& columns : column_panels())
      for (const Segment& rows : row_parts())
        lower_tasks(columns, rows);
    return std::move(kernel_);
  }

 private:
  // Threads that share the panels of columns; 1 where there are other tasks to share.
  int64_t column_threads() const {
    bool alone = parallel_ && s_.row_parts == 1;
    for (size_t l = 0; l < nest_.result_loops; ++l)
      alone = alone && (l == vector_ || s_.blocks[l] == nest_.loops[l].extent);
    return alone ? threads_ : 1;
  }

  std::vector<Segment> column_panels() const {
    int64_t columns = nest_.loops[vector_].extent;
    return s_.packed ? blocks_of(columns, packed_.columns)
                     : vector_panels(columns, lanes_, s_.vectors, column_threads());
  }

  std::vector<Segment> row_parts() const {
    return row_ == nest_.loops.size() ? std::vector<Segment>{{0, 1, 1}}
                                      : segments(nest_.loops[row_].extent, s_.row_parts);
  }

  void stage_whole() {
    int64_t elements = padded_elements(
        nest_, a_, {std::vector<Scalar>(nest_.loops.size(), builder_.index(0)), nest_.extents()});
    uint32_t buffer = builder_.add_buffer({"whole_a", loop::Space::workspace, dtype_, elements});
    whole_a_ = stage_padded_whole(values_, nest_, a_, buffer, parallel_);
  }

  void lower_tasks(const Segment& columns, const Segment& rows) {
    ContractTask task = begin_tasks(builder_, nest_, s_, columns, rows, parallel_);
    block_ = task.block;
    lower_task();
    end_tasks(builder_, task);
  }

  bool is_row(size_t l) const {
    return l < nest_.result_loops && nest_.loops[l].moves[a_] && !nest_.loops[l].moves[b_];
  }

  uint32_t scratch(const std::string& name, int64_t elements) {
    return builder_.scratch(name, dtype_, elements);
  }

  ScratchBuffers buffers() {
    return [this](const std::string& name, int64_t elements) { return scratch(name, elements); };
  }

  void lower_task() {
    row_elements_ = ceil_div(block_.size[vector_], lanes_) * lanes_;
    place_sums();
    lower_passes(nest_.result_loops, true, true);
    if (in_scratch())
      store_sums(values_, nest_, vector_, block_, sums_, buffers());
  }

  // Of b, also behind its last column.
  bool has_whole_vectors() const { return s_.stage_b || s_.packed; }

  bool in_scratch() const { return !s_.direct_store && s_.sums_in < 0; }

  // In scratch as [row loops][columns], cleared where passes add to them, or where the result wants
  // them.
  void place_sums() {
    sums_ = {0, builder_.index(0), std::vector<int64_t>(nest_.loops.size())};
    if (s_.sums_in >= 0) {
      sums_.buffer = values_.result_buffer(static_cast<size_t>(s_.sums_in));
      for (size_t l = 0; l < nest_.result_loops; ++l) {
        sums_.step[l] = nest_.loops[l].result_step;
        sums_.base = builder_.add(sums_.base, builder_.scaled(block_.start[l], sums_.step[l]));
      }
      return;
    }
    sums_.step[vector_] = 1;
    int64_t elements = row_elements_;
    for (size_t l = nest_.result_loops; l-- > 0;)
      if (is_row(l)) {
        sums_.step[l] = elements;
        elements *= block_.size[l];
      }
    if (s_.direct_store)
      return;
    sums_.buffer = scratch("sums", elements);
    if (passes_ == 1)
      return;
    Scalar i = builder_.begin_for(LoopKind::vector, elements)[0];
    builder_.store(sums_.buffer, i, builder_.constant(dtype_, 0));
    builder_.end_for();
  }

  // `first`, `last`: whether the loops outside of l are in their first, last iteration.
  void lower_passes(size_t l, bool first, bool last) {
    if (l == nest_.loops.size()) {
      first_pass_ = first;
      last_pass_ = last;
      lower_pass();
      return;
    }
    int64_t extent = nest_.loops[l].extent;
    for (const Segment& part : parts_of_passes(l, first, last)) {
      block_.size[l] = part.size;
      for_parts(builder_, part, [&](Scalar start, Scalar) {
        block_.start[l] = start;
        lower_passes(l + 1, first && part.start == 0 && part.count == 1,
                     last && part.start + part.size == extent);
      });
    }
  }

  // The first and the last pass stand apart where sums wait in the result: the one finds none
  // there, the other goes on to the epilogue.
  std::vector<Segment> parts_of_passes(size_t l, bool first, bool last) const {
    int64_t extent = nest_.loops[l].extent;
    std::vector<Segment> parts = segments(extent, ceil_div(extent, s_.blocks[l]));
    if (in_scratch())
      return parts;
    if (Segment& part = parts.front(); first && part.count > 1) {
      Segment begin{part.start, part.size, 1};
      part = {part.start + part.size, part.size, part.count - 1};
      parts.insert(parts.begin(), begin);
    }
    if (Segment& part = parts.back(); last && part.count > 1) {
      --part.count;
      parts.push_back({part.start + part.count * part.size, part.size, 1});
    }
    return parts;
  }

  void lower_pass() {
    access_[b_] = s_.stage_b
                      ? stage_vectors(values_, nest_, b_, vector_, block_, row_elements_, buffers())
                      : columns_in_place(block_);
    NestBlock task = block_;
    sum_base_ = sums_.base;
    outer_ = {builder_.index(0), 1};
    size_t opened = 0;
    if (s_.stage_a)
      for (size_t l = 0; l < static_cast<size_t>(s_.staged_from); ++l)
        if (is_row(l) && l != row_ && block_.size[l] > 1) {
          Scalar i = builder_.begin_for(LoopKind::serial, block_.size[l])[0];
          outer_ = outer_.inner(builder_, i, block_.size[l]);
          block_.start[l] = builder_.add(block_.start[l], i);
          block_.size[l] = 1;
          sum_base_ = builder_.add(sum_base_, builder_.scaled(i, sums_.step[l]));
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

  // b where it lies.
  OperandAccess columns_in_place(const NestBlock& block) {
    if (!s_.packed)
      return access_in_place(values_, nest_, b_, block);
    Scalar panel = builder_.div(block.start[vector_], builder_.index(packed_.columns));
    OperandAccess access{packed_buffer_, builder_.scaled(panel, packed_.panel_step), packed_.step};
    for (size_t l = nest_.result_loops; l < nest_.loops.size(); ++l)
      access.base = builder_.add(access.base, builder_.scaled(block.start[l], access.step[l]));
    return access;
  }

  void lower_all_rows() {
    access_[a_] = s_.stage_a        ? stage_padded(values_, nest_, a_, block_,
                                                   scratch("a", padded_elements(nest_, a_, block_)))
                  : s_.stage_a_once ? access_in_whole()
                                    : access_in_place(values_, nest_, a_, block_, padded_axes());
    lower_rows();
  }

  OperandAccess access_in_whole() {
    OperandAccess access = whole_a_;
    for (size_t l = 0; l < nest_.loops.size(); ++l)
      access.base = builder_.add(access.base, builder_.scaled(block_.start[l], access.step[l]));
    return access;
  }

  // Some rows of the row loop are staged, then all tiles over them follow.
  void lower_staged_rows() {
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

  std::vector<size_t> padded_axes() const {
    std::vector<size_t> axes;
    for (const TapAxis& axis : tap_axes_)
      axes.push_back(axis.axis);
    return axes;
  }

  // All rows of what is staged, tile by tile. `at` counts from the block's start.
  void lower_rows() { lower_rows(0, std::vector<Scalar>(nest_.loops.size(), builder_.index(0))); }

  // Row loops from l on; `at` where those before are.
  void lower_rows(size_t l, std::vector<Scalar> at) {
    while (l < nest_.result_loops && (!is_row(l) || l == row_ || block_.size[l] == 1))
      ++l;
    if (l == nest_.result_loops) {
      lower_row_panels(std::move(at));
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

  // Whether each iteration gets code of its own, with a constant number of taps to sum over: where
  // a loop over so few pixels, as in a weight gradient of a small map, ends too often to be
  // predicted.
  bool fixes_taps(size_t l) const {
    auto axis = std::find_if(tap_axes_.begin(), tap_axes_.end(),
                             [&](const TapAxis& taps) { return taps.result_loop == l; });
    if (axis == tap_axes_.end() || nest_.contraction.operand_indices[a_][axis->axis].divisor != 1)
      return false;
    size_t summed = axis->summed_loop;
    return block_.size[l] == nest_.loops[l].extent && block_.size[l] <= kMostFixedTaps &&
           block_.size[summed] == nest_.loops[summed].extent && block_.size[summed] <= kFewPixels &&
           nest_.loops[summed].extent > block_.size[l];
  }

  void lower_row_panels(std::vector<Scalar> at) {
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

  Scalar address(Scalar base, const std::vector<int64_t>& step, const std::vector<Scalar>& at) {
    for (size_t l = 0; l < nest_.result_loops; ++l)
      base = builder_.add(base, builder_.scaled(at[l], step[l]));
    return base;
  }

  // Where summed loop l walks over taps of which some may be missing, walks over the others.
  bool append_present_taps(size_t l, const std::vector<Scalar>& at, loop::Tile& tile,
                           std::vector<Scalar>& starts, std::vector<Scalar>& counts) {
    auto axis = std::find_if(tap_axes_.begin(), tap_axes_.end(),
                             [&](const TapAxis& taps) { return taps.summed_loop == l; });
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
      const StagedInside::Axis& staged =
          staged_axes_[static_cast<size_t>(axis - tap_axes_.begin())];
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

  void lower_tile(const std::vector<Scalar>& at, int64_t rows) {
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
      if (!append_present_taps(l, at, tile, starts, counts))
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

  // Whether what the next pass, or the next task's first one, reads of a large operand is fetched
  // for it while the tiles of this one multiply.
  bool fetches_next_columns() {
    if (row_ == nest_.loops.size() || (!has_whole_vectors() && block_.size[row_] < 2 * s_.rows))
      return false;
    return s_.staged_rows == 0 && split_loops() <= 1 &&
           (s_.packed || pays_to_fetch(values_, nest_, b_));
  }

  // Summed loops that take several passes.
  int64_t split_loops() const {
    int64_t count = 0;
    for (size_t l = nest_.result_loops; l < nest_.loops.size(); ++l)
      count += block_.size[l] < nest_.loops[l].extent;
    return count;
  }

  NestBlock next_block() {
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

  void fetch_next_columns(loop::Tile& tile, std::vector<Scalar>& starts,
                          const std::vector<Scalar>& at) {
    int64_t panels = ceil_div(block_.size[row_], s_.rows);
    Part tiles = outer_;
    for (size_t l = 0; l < nest_.result_loops; ++l)
      if (is_row(l) && l != row_)
        tiles = tiles.inner(builder_, at[l], block_.size[l]);
    tiles = tiles.inner(builder_, row_panel_, panels);
    NestBlock next = next_block();
    OperandAccess access = columns_in_place(next);
    for (size_t l = 0; l < nest_.result_loops; ++l)
      next.size[l] = l == vector_ ? next.size[l] : 1;
    if (std::optional<AheadPart> ahead = part_ahead(builder_, access, next.size, tiles)) {
      tile.ahead.push_back(ahead->rows);
      starts.push_back(ahead->start);
    }
  }

  // What this tile's epilogue wants, while its products are summed.
  void fetch_behind(loop::Tile& tile, std::vector<Scalar>& starts, const std::vector<Scalar>& at) {
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

  void store_row(const std::vector<Scalar>& at, Scalar row, Scalar column, Scalar sum) {
    std::vector<Scalar> loops;
    for (size_t l = 0; l < nest_.result_loops; ++l)
      loops.push_back(builder_.add(block_.start[l], at[l]));
    loops[vector_] = builder_.add(loops[vector_], column);
    if (row_ < nest_.loops.size())
      loops[row_] = builder_.add(loops[row_], row);
    store_results(values_, nest_, loops, sum);
  }

  loop::Kernel kernel_;
  loop::Builder builder_;
  KernelValues values_;
  ContractionNest nest_;
  ContractSchedule s_;
  int64_t lanes_;
  int threads_;
  DType dtype_;
  size_t a_, b_;  // the broadcast operand and the one read in vectors
  size_t vector_, row_;  // loops; row_ is the number of loops if there is none
  Scalar row_panel_;  // the number of the open panel of rows
  Part outer_;  // of the open loops over rows around what is staged of a
  bool parallel_ = false;
  int64_t passes_ = 1;
  bool first_pass_ = true, last_pass_ = true;  // of the open one

  NestBlock block_;
  std::vector<TapAxis> tap_axes_;  // of a, where its padding is skipped
  std::vector<StagedInside::Axis> staged_axes_;  // their copies, where a is staged all the same
  OperandAccess whole_a_;  // where a is staged once for all tasks
  PackedOrder packed_;  // of b, where it is
  uint32_t packed_buffer_ = 0;
  std::array<OperandAccess, 2> access_;
  OperandAccess sums_;  // those of a task
  Scalar sum_base_;  // where those of what is staged begin
  int64_t row_elements_ = 0;  // of a row of sums and of a row of staged b
};

}  // namespace

loop::Kernel lower_contract_tile(const Function& kernel, const Target& target, int threads) {
  return TileLowering(kernel, target, threads).run();
}

loop::Kernel lower_contract(const Function& kernel, const Target& target, int threads) {
  switch (contract_schedule_of(kernel).method) {
    case ContractMethod::tile:
      return lower_contract_tile(kernel, target, threads);
    case ContractMethod::pairs:
      return lower_contract_pairs(kernel, target, threads);
    case ContractMethod::panels:
      return lower_contract_panels(kernel, target, threads);
    case ContractMethod::matrix:
      return lower_contract_matrix(kernel, threads);
    case ContractMethod::windows:
      return lower_contract_windows(kernel, threads);
    case ContractMethod::pixels:
      return lower_contract_pixels(kernel, threads);
    case ContractMethod::direct:
      return lower_contract_direct(kernel, target, threads);
    case ContractMethod::lanes:
      return lower_contract_lanes(kernel, target, threads);
    case ContractMethod::depthwise:
      return lower_contract_depthwise(kernel, target, threads);
    case ContractMethod::winograd:
      return lower_contract_winograd(kernel, target, threads);
  }
  internal_error(__FILE__, __LINE__, "a method with a lowering", kernel.name);
}

}  // namespace gradc
