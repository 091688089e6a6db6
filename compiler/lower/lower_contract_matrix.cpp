// Contract kernels on a matrix unit. Both operands are first brought into its order, whole and
// once, in the workspace:
//
//   parallel: a as [rows][depth], unless it lies so already
//   parallel: b in panels, [columns / 16][depth / 2][16][2]
//   parallel task { matrix: a block of rows and columns -> sums in scratch -> results }
//
// with the depth filled up with zeros to a multiple of what one instruction covers.
#include <algorithm>

#include "compiler/lower/contract_results.h"
#include "compiler/lower/contract_schedule.h"
#include "compiler/lower/contract_tasks.h"
#include "compiler/lower/lower_contract.h"
#include "compiler/lower/stage_operand.h"
#include "ir/diagnostic.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

using loop::kMatrixColumns;
using loop::kMatrixDepth;
using loop::LoopKind;
using loop::Scalar;

// Columns of b whose rows are read side by side.
constexpr int64_t kStripColumns = 512;

// An operand as a matrix of `lines` (rows of a, columns of b) by depth.
struct Side {
  size_t operand = 0;
  std::vector<size_t> loops;  // of its lines, outermost first
  Dims dims;  // their extents
  int64_t lines = 1;
  int64_t line_step = 0, depth_step = 0;  // in its buffer, where it is plain
  bool plain = false;  // bf16 in a buffer, evenly spaced along lines and depth
  bool depth_inside = false;  // neighbours along the depth are neighbours in memory
};

class MatrixLowering {
 public:
  MatrixLowering(const Function& function, int threads)
      : kernel_{.name = function.name},
        builder_(kernel_),
        values_(function, builder_),
        nest_(with_joined_loops(contraction_nest(function))),
        s_(contract_schedule_of(function)),
        threads_(threads),
        vector_(static_cast<size_t>(s_.vector_loop)),
        row_(static_cast<size_t>(s_.row_loop)) {
    for (size_t l = nest_.result_loops; l < nest_.loops.size(); ++l) {
      depth_loops_.push_back(l);
      depth_dims_.push_back(nest_.loops[l].extent);
    }
    depth_ = element_count(depth_dims_);
    padded_depth_ = round_up(depth_, kMatrixDepth);
    b_ = side(static_cast<size_t>(s_.vector_operand));
    a_ = side(1 - b_.operand);
    in_place_ = a_.plain && a_.depth_inside && depth_ == padded_depth_;
  }

  loop::Kernel run() {
    if (!in_place_) {
      a_buffer_ =
          builder_.add_buffer({"a", loop::Space::workspace, DType::bf16, a_.lines * padded_depth_});
      for_blocks(a_, kMatrixColumns, [&](Scalar line, int64_t count) { pack_rows(line, count); });
    }
    b_buffer_ = builder_.add_buffer({"b", loop::Space::workspace, DType::bf16,
                                     round_up(b_.lines, kMatrixColumns) * padded_depth_});
    if (b_.depth_inside)
      for_blocks(b_, kMatrixColumns, [&](Scalar line, int64_t count) { pack_panel(line, count); });
    else
      for (const Segment& strip : blocks_of(b_.lines, kStripColumns))
        for_parts(builder_, strip, [&](Scalar line, Scalar) { pack_strip(line, strip.size); });
    for (const Segment& columns : blocks_of(nest_.loops[vector_].extent, s_.blocks[vector_]))
      for (const Segment& rows : blocks_of(nest_.loops[row_].extent, s_.blocks[row_]))
        lower_tasks(columns, rows);
    return std::move(kernel_);
  }

 private:
  Side side(size_t operand) const {
    Side side{.operand = operand};
    for (size_t l = 0; l < nest_.result_loops; ++l)
      if (nest_.loops[l].moves[operand]) {
        side.loops.push_back(l);
        side.dims.push_back(nest_.loops[l].extent);
      }
    side.lines = element_count(side.dims);
    std::optional<int64_t> line_step = even_step(operand, side.loops);
    std::optional<int64_t> depth_step = even_step(operand, depth_loops_);
    side.depth_inside = nest_.step(operand, nest_.loops.size() - 1) == 1;
    side.plain = line_step && depth_step && (*line_step == 1 || *depth_step == 1) &&
                 values_.buffer_of(nest_.operands[operand]);
    if (side.plain) {
      side.line_step = *line_step;
      side.depth_step = *depth_step;
      side.depth_inside = *depth_step == 1;
    }
    return side;
  }

  // How far one iteration of all these loops together moves in the operand, if that is one number.
  std::optional<int64_t> even_step(size_t operand, const std::vector<size_t>& loops) const {
    std::optional<int64_t> step;
    int64_t next = 0;
    for (size_t i = loops.size(); i-- > 0;) {
      int64_t extent = nest_.loops[loops[i]].extent;
      if (extent == 1)
        continue;
      int64_t own = nest_.step(operand, loops[i]);
      if (step && own != next)
        return std::nullopt;
      step = step ? *step : own;
      next = own * extent;
    }
    return step ? *step : 1;
  }

  // Calls body(first line, lines) for each block of `size` lines, in parallel where it pays.
  template <typename Body>
  void for_blocks(const Side& side, int64_t size, Body body) {
    for (const Segment& block : blocks_of(side.lines, size)) {
      for_parts(
          builder_, block, [&](Scalar line, Scalar) { body(line, block.size); },
          packs_in_parallel(side) ? LoopKind::parallel : LoopKind::serial, "block");
    }
  }

  bool packs_in_parallel(const Side& side) const {
    return threads_ > 1 && side.lines * depth_ > kMatrixParallelElements;
  }

  Scalar element(const Side& side, Scalar line, Scalar depth) {
    std::vector<Scalar> loops(nest_.loops.size(), builder_.index(0));
    std::vector<Scalar> lines = unravel(builder_, line, side.dims);
    for (size_t i = 0; i < lines.size(); ++i)
      loops[side.loops[i]] = lines[i];
    std::vector<Scalar> depths = unravel(builder_, depth, depth_dims_);
    for (size_t i = 0; i < depths.size(); ++i)
      loops[depth_loops_[i]] = depths[i];
    return operand_element_at(values_, nest_, side.operand, loops, DType::bf16);
  }

  // Some lines of an operand where they can be read in the order that they have there.
  struct Source {
    uint32_t buffer = 0;
    Scalar start;
    int64_t step = 0;  // from line to line, or from depth to depth
  };

  // Copies lines as [lines][`row_elements`], zeros behind the depth.
  void copy_lines(const Side& side, Scalar line, int64_t count, uint32_t buffer, Scalar start,
                  int64_t row_elements) {
    Scalar i = builder_.begin_for(LoopKind::serial, count)[0];
    Scalar row = builder_.add(start, builder_.scaled(i, row_elements));
    Scalar k = builder_.begin_for(LoopKind::vector, depth_)[0];
    builder_.store(buffer, builder_.add(row, k), element(side, builder_.add(line, i), k));
    builder_.end_for();
    clear_elements(builder_, DType::bf16, row_elements - depth_, buffer,
                   builder_.add(row, builder_.index(depth_)));
    builder_.end_for();
  }

  // Lines with the depth inside, in whole pairs.
  Source pairs_of_depth(const Side& side, Scalar line, int64_t count) {
    int64_t offset = nest_.offset(side.operand);
    if (side.plain && depth_ % 2 == 0 && side.line_step % 2 == 0 && offset % 2 == 0)
      return {*values_.buffer_of(nest_.operands[side.operand]),
              builder_.add(builder_.index(offset), builder_.scaled(line, side.line_step)),
              side.line_step};
    int64_t even = round_up(depth_, 2);
    Source source{builder_.scratch("lines", DType::bf16, kMatrixColumns * even), builder_.index(0),
                  even};
    copy_lines(side, line, count, source.buffer, source.start, even);
    return source;
  }

  // Lines with the depth outside, from one depth on: [depths][lines].
  Source rows_of_depth(const Side& side, Scalar line, int64_t count, Scalar depth, int64_t depths) {
    if (side.plain)
      return {*values_.buffer_of(nest_.operands[side.operand]),
              builder_.add(builder_.index(nest_.offset(side.operand)),
                           builder_.add(builder_.scaled(line, side.line_step),
                                        builder_.scaled(depth, side.depth_step))),
              side.depth_step};
    int64_t row = round_up(count, kMatrixColumns);
    Source source{builder_.scratch("lines", DType::bf16, row * depths), builder_.index(0), row};
    Scalar k = builder_.begin_for(LoopKind::serial, depths)[0];
    Scalar j = builder_.begin_for(LoopKind::vector, count)[0];
    builder_.store(source.buffer, builder_.add(builder_.scaled(k, row), j),
                   element(side, builder_.add(line, j), builder_.add(depth, k)));
    builder_.end_for();
    builder_.end_for();
    return source;
  }

  // [depths][lines] -> [depths / 2][16 lines][2]
  void pair_depths(const Source& source, int64_t depths, int64_t count, uint32_t buffer,
                   Scalar to) {
    builder_.pair_rows({.rows = depths,
                        .columns = count,
                        .from_buffer = source.buffer,
                        .to_buffer = buffer,
                        .from_step = source.step,
                        .to_step = 2 * kMatrixColumns},
                       source.start, to);
  }

  void pack_rows(Scalar line, int64_t count) {
    Scalar to = builder_.scaled(line, padded_depth_);
    if (a_.depth_inside) {
      copy_lines(a_, line, count, a_buffer_, to, padded_depth_);
      return;
    }
    Source source = rows_of_depth(a_, line, count, builder_.index(0), depth_);
    uint32_t pairs = builder_.scratch("pairs", DType::bf16, kMatrixColumns * padded_depth_);
    int64_t filled = round_up(depth_, 2) * kMatrixColumns;
    clear_elements(builder_, DType::bf16, padded_depth_ * kMatrixColumns - filled, pairs,
                   builder_.index(filled));
    pair_depths(source, depth_, count, pairs, builder_.index(0));
    builder_.transpose({.rows = padded_depth_ / 2,
                        .columns = count,
                        .from_buffer = pairs,
                        .to_buffer = a_buffer_,
                        .from_step = kMatrixColumns,
                        .to_step = padded_depth_ / 2,
                        .pairs = true},
                       builder_.index(0), to);
  }

  void pack_panel(Scalar line, int64_t count) {
    Scalar to = builder_.scaled(line, padded_depth_);
    if (count < kMatrixColumns || round_up(depth_, 2) < padded_depth_)
      clear_elements(builder_, DType::bf16, kMatrixColumns * padded_depth_, b_buffer_, to);
    Source source = pairs_of_depth(b_, line, count);
    builder_.transpose({.rows = count,
                        .columns = round_up(depth_, 2) / 2,
                        .from_buffer = source.buffer,
                        .to_buffer = b_buffer_,
                        .from_step = source.step / 2,
                        .to_step = kMatrixColumns,
                        .pairs = true},
                       source.start, to);
  }

  // Panels of an operand whose rows are depths: some rows at a time of all of them.
  void pack_strip(Scalar line, int64_t count) {
    for (const Segment& depths : blocks_of(depth_, kMatrixDepth))
      for_parts(
          builder_, depths,
          [&](Scalar depth, Scalar) { pack_depths(line, count, depth, depths.size); },
          packs_in_parallel(b_) ? LoopKind::parallel : LoopKind::serial, "depths");
  }

  void pack_depths(Scalar line, int64_t count, Scalar depth, int64_t depths) {
    Source rows = rows_of_depth(b_, line, count, depth, depths);
    for (const Segment& panels : blocks_of(count, kMatrixColumns))
      for_parts(builder_, panels, [&](Scalar first, Scalar) {
        Scalar to = builder_.add(builder_.scaled(builder_.add(line, first), padded_depth_),
                                 builder_.scaled(depth, kMatrixColumns));
        if (panels.size < kMatrixColumns || round_up(depths, 2) < kMatrixDepth)
          clear_elements(builder_, DType::bf16, kMatrixColumns * kMatrixDepth, b_buffer_, to);
        Source panel{rows.buffer, builder_.add(rows.start, first), rows.step};
        pair_depths(panel, depths, panels.size, b_buffer_, to);
      });
  }

  void lower_tasks(const Segment& columns, const Segment& rows) {
    bool parallel = threads_ > 1 && a_.lines * b_.lines * depth_ > kMatrixParallelProducts;
    ContractTask task = begin_tasks(builder_, nest_, s_, columns, rows, parallel);
    lower_task(task.block);
    end_tasks(builder_, task);
  }

  void lower_task(const NestBlock& block) {
    int64_t row_elements = round_up(block.size[vector_], kMatrixColumns);
    uint32_t sums = builder_.scratch("sums", DType::f32, block.size[row_] * row_elements);
    loop::Matrix matrix{.rows = block.size[row_],
                        .columns = row_elements,
                        .depth = padded_depth_,
                        .a_buffer = a_buffer_,
                        .b_buffer = b_buffer_,
                        .c_buffer = sums,
                        .a_step = padded_depth_,
                        .c_step = row_elements};
    Scalar a = builder_.index(0);
    if (in_place_) {
      OperandAccess access = access_in_place(values_, nest_, a_.operand, block);
      matrix.a_buffer = access.buffer;
      matrix.a_step = access.step[row_];
      a = access.base;
    } else {
      for (size_t i = 0; i < a_.loops.size(); ++i)
        a = builder_.add(builder_.scaled(a, a_.dims[i]), block.start[a_.loops[i]]);
      a = builder_.scaled(a, padded_depth_);
    }
    builder_.matrix(matrix, a, builder_.scaled(block.start[vector_], padded_depth_),
                    builder_.index(0));
    OperandAccess found{sums, builder_.index(0), std::vector<int64_t>(nest_.loops.size())};
    found.step[vector_] = 1;
    found.step[row_] = row_elements;
    store_sums(values_, nest_, vector_, block, found, [this](const std::string& name, int64_t n) {
      return builder_.scratch(name, DType::f32, n);
    });
  }

  loop::Kernel kernel_;
  loop::Builder builder_;
  KernelValues values_;
  ContractionNest nest_;
  ContractSchedule s_;
  int threads_;
  size_t vector_, row_;  // loops
  std::vector<size_t> depth_loops_;
  Dims depth_dims_;
  int64_t depth_ = 1, padded_depth_ = 1;
  Side a_, b_;
  bool in_place_ = false;
  uint32_t a_buffer_ = 0, b_buffer_ = 0;
};

}  // namespace

loop::Kernel lower_contract_matrix(const Function& kernel, int threads) {
  return MatrixLowering(kernel, threads).run();
}

}  // namespace gradc
