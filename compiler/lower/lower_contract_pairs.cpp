// Contract kernels whose result has fewer columns than a vector has lanes. One lane per column
// would leave lanes idle, so a vector holds two columns, each with half of the lanes for neighbours
// along the summed loop:
//
//   parallel task over a block of rows {
//     b: [summed / half][columns][half] in scratch
//     panel of rows { a: where it lies, or in scratch; tile -> results }
//   }
#include "compiler/lower/contract_results.h"
#include "compiler/lower/contract_schedule.h"
#include "compiler/lower/contract_tasks.h"
#include "compiler/lower/lower_contract.h"
#include "compiler/lower/stage_operand.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

using loop::LoopKind;
using loop::Scalar;

class PairLowering {
 public:
  PairLowering(const Function& function, const Target& target, int threads)
      : kernel_{.name = function.name},
        builder_(kernel_),
        values_(function, builder_),
        nest_(with_joined_loops(contraction_nest(function))),
        s_(contract_schedule_of(function)),
        lanes_(target.lanes_f32()),
        half_(lanes_ / 2),
        a_(1 - static_cast<size_t>(s_.vector_operand)),
        b_(static_cast<size_t>(s_.vector_operand)),
        column_(static_cast<size_t>(s_.vector_loop)),
        row_(static_cast<size_t>(s_.row_loop)),
        summed_(nest_.loops.size() - 1) {
    sharers_ = pays_in_parallel(nest_, lanes_, threads) ? threads : 1;
    columns_ = nest_.loops[column_].extent;
    step_elements_ = round_up(columns_ * half_, lanes_);
    b_buffer_ = scratch("b", nest_.loops[summed_].extent / half_ * step_elements_);
  }

  loop::Kernel run() {
    Segment columns{0, columns_, 1};
    for (const Segment& rows : row_segments(nest_, s_, columns, sharers_)) {
      ContractTask task = begin_tasks(builder_, nest_, s_, columns, rows, sharers_ > 1);
      block_ = task.block;
      stage_b();
      lower_rows();
      end_tasks(builder_, task);
    }
    return std::move(kernel_);
  }

 private:
  uint32_t scratch(const std::string& name, int64_t elements) {
    return builder_.scratch(name, nest_.sum_dtype(), elements);
  }

  void stage_b() {
    Scalar k = builder_.begin_for(LoopKind::serial, nest_.loops[summed_].extent / half_)[0];
    NestBlock block = block_;
    block.start[summed_] = builder_.add(block.start[summed_], builder_.scaled(k, half_));
    Scalar to = builder_.scaled(k, step_elements_);
    if (nest_.step(b_, column_) == 1)
      stage_transposed(block, to);
    else
      stage_columns(block, to);
    int64_t used = columns_ * half_;
    clear_elements(builder_, nest_.sum_dtype(), step_elements_ - used, b_buffer_,
                   builder_.add(to, builder_.index(used)));
    builder_.end_for();
  }

  // Neighbours are columns; those that are computed in this kernel are computed row by row first.
  void stage_transposed(NestBlock block, Scalar to) {
    loop::Transpose move{
        .rows = half_, .columns = columns_, .to_buffer = b_buffer_, .to_step = half_};
    Scalar from = builder_.index(0);
    if (s_.stage_b) {
      move.from_buffer = scratch("b_rows", half_ * columns_);
      move.from_step = columns_;
      Scalar i = builder_.begin_for(LoopKind::serial, half_)[0];
      block.start[summed_] = builder_.add(block.start[summed_], i);
      stage_row(values_, nest_, b_, column_, block, move.from_buffer, builder_.scaled(i, columns_));
      builder_.end_for();
    } else {
      OperandAccess access = access_in_place(values_, nest_, b_, block);
      move.from_buffer = access.buffer;
      move.from_step = access.step[summed_];
      from = access.base;
    }
    builder_.transpose(move, from, to);
  }

  void stage_columns(NestBlock block, Scalar to) {
    block.size[summed_] = half_;
    Scalar column = builder_.begin_for(LoopKind::unrolled, columns_)[0];
    block.start[column_] = builder_.add(block.start[column_], column);
    stage_row(values_, nest_, b_, summed_, block, b_buffer_,
              builder_.add(to, builder_.scaled(column, half_)));
    builder_.end_for();
  }

  void lower_rows() {
    NestBlock task = block_;
    for (const Segment& panel : segments(task.size[row_], ceil_div(task.size[row_], s_.rows))) {
      block_.size[row_] = panel.size;
      for_parts(builder_, panel, [&](Scalar first, Scalar) {
        block_.start[row_] = builder_.add(task.start[row_], first);
        lower_tile();
      });
    }
    block_ = task;
  }

  void lower_tile() {
    OperandAccess a = s_.stage_a ? stage_padded(values_, nest_, a_, block_,
                                                scratch("a", padded_elements(nest_, a_, block_)))
                                 : access_in_place(values_, nest_, a_, block_);
    loop::Tile tile{.rows = block_.size[row_],
                    .columns = columns_,
                    .depth = half_,
                    .loops = {{nest_.loops[summed_].extent / half_, half_, step_elements_}},
                    .a_buffer = a.buffer,
                    .b_buffer = b_buffer_,
                    .a_row_step = a.step[row_],
                    .padded = true};
    auto [row, group, column, sum] =
        builder_.begin_tile(tile, std::array{a.base, builder_.index(0)});
    std::vector<Scalar> loops(
        block_.start.begin(),
        block_.start.begin() + static_cast<std::ptrdiff_t>(nest_.result_loops));
    loops[column_] = builder_.add(loops[column_], column);
    loops[row_] = builder_.add(loops[row_], row);
    store_results(values_, nest_, loops, sum);
    builder_.end_tile();
  }

  loop::Kernel kernel_;
  loop::Builder builder_;
  KernelValues values_;
  ContractionNest nest_;
  ContractSchedule s_;
  int64_t lanes_, half_;
  size_t a_, b_;  // the broadcast operand and the one read in vectors
  size_t column_, row_, summed_;  // loops
  int sharers_ = 1;  // threads that share the tasks
  int64_t columns_ = 1;
  int64_t step_elements_ = 1;  // of b, for `half_` neighbours along the summed loop
  uint32_t b_buffer_ = 0;
  NestBlock block_;  // what is open
};

}  // namespace

loop::Kernel lower_contract_pairs(const Function& kernel, const Target& target, int threads) {
  return PairLowering(kernel, target, threads).run();
}

}  // namespace gradc
