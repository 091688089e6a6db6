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
#include "compiler/lower/contract_results.h"
#include "compiler/lower/contract_tasks.h"
#include "compiler/lower/lower_contract.h"
#include "compiler/lower/tile_lowering.h"
#include "ir/integer_math.h"

namespace gradc {

using loop::Scalar;

TileLowering::TileLowering(const Function& function, const Target& target, int threads)
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
  else if (s_.stage_a_once || (s_.stage_a && s_.staged_rows == 0))
    find_edges();
  if (s_.packed) {
    packed_ = *packed_order(function, nest_, b_, vector_, s_.vectors * lanes_);
    packed_buffer_ = *values_.buffer_of(*packed_source(function, nest_.operands[b_], packed_));
  }
}

void TileLowering::find_edges() {
  constexpr int64_t kMostEdges = 4;  // positions, each of which has code of its own
  for (const TapAxis& axis : tap_axes(nest_, a_).value_or(std::vector<TapAxis>{})) {
    bool has_gaps = nest_.contraction.operand_indices[a_][axis.axis].divisor != 1;
    if (!axis.result_loop || *axis.result_loop == row_ || has_gaps)
      continue;
    size_t l = *axis.result_loop;
    int64_t extent = nest_.loops[l].extent, block = s_.blocks[l];
    Range inner = inner_positions(nest_, a_, axis);
    int64_t outer = extent - inner.size();
    // Of a block that is a part of the positions, the same at both ends, for it may be any part.
    if (block < extent)
      inner.end = std::max(inner.begin, block - (extent - inner.end));
    bool is_staged = s_.stage_a_once || l >= static_cast<size_t>(s_.staged_from);
    if (is_staged && outer > 0 && outer <= kMostEdges && (block == extent || block > outer))
      edges_.push_back({axis, inner});
    else if (outer > 0 && pays_to_count(axis, outer))
      edges_.push_back({.axis = axis, .counted = true});
  }
}

bool TileLowering::pays_to_count(const TapAxis& axis, int64_t edges) const {
  constexpr int64_t kFewestSteps = 32, kOneOf = 20;
  int64_t steps = 1;
  for (size_t l = axis.summed_loop + 1; l < nest_.loops.size(); ++l)
    steps *= s_.blocks[l];
  int64_t taps = nest_.loops[axis.summed_loop].extent;
  return steps >= kFewestSteps && kOneOf * edges >= nest_.loops[*axis.result_loop].extent * taps;
}

loop::Kernel TileLowering::run() {
  if (s_.stage_a_once)
    stage_whole();
  for (const Segment& columns : column_panels())
    for (const Segment& rows : row_segments(nest_, s_, columns, parallel_ ? threads_ : 1))
      lower_tasks(columns, rows);
  return std::move(kernel_);
}

int64_t TileLowering::column_threads() const {
  bool alone = parallel_ && s_.row_parts == 1;
  for (size_t l = 0; l < nest_.result_loops; ++l)
    alone = alone && (l == vector_ || s_.blocks[l] == nest_.loops[l].extent);
  return alone ? threads_ : 1;
}

std::vector<Segment> TileLowering::column_panels() const {
  int64_t columns = nest_.loops[vector_].extent;
  return s_.packed ? blocks_of(columns, packed_.columns)
                   : vector_panels(columns, lanes_, s_.vectors, column_threads());
}

void TileLowering::stage_whole() {
  int64_t elements = padded_elements(
      nest_, a_, {std::vector<Scalar>(nest_.loops.size(), builder_.index(0)), nest_.extents()});
  uint32_t buffer = builder_.add_buffer({"whole_a", loop::Space::workspace, dtype_, elements});
  whole_a_ = stage_padded_whole(values_, nest_, a_, buffer, parallel_);
}

void TileLowering::lower_tasks(const Segment& columns, const Segment& rows) {
  ContractTask task = begin_tasks(builder_, nest_, s_, columns, rows, parallel_);
  block_ = task.block;
  row_elements_ = ceil_div(block_.size[vector_], lanes_) * lanes_;
  place_sums();
  lower_passes();
  if (in_scratch())
    store_sums(values_, nest_, vector_, block_, sums_, buffers());
  end_tasks(builder_, task);
}

uint32_t TileLowering::scratch(const std::string& name, int64_t elements) {
  return builder_.scratch(name, dtype_, elements);
}

ScratchBuffers TileLowering::buffers() {
  return [this](const std::string& name, int64_t elements) { return scratch(name, elements); };
}

void TileLowering::place_sums() {
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
  if (passes_ > 1)
    clear_elements(builder_, dtype_, elements, sums_.buffer, builder_.index(0));
}

void TileLowering::lower_passes() {
  auto parts = [&](size_t l, bool first, bool last) { return parts_of_passes(l, first, last); };
  auto pass = [&](bool first, bool last) {
    first_pass_ = first;
    last_pass_ = last;
    lower_pass();
  };
  for_passes(builder_, nest_, block_, parts, pass, nest_.result_loops);
}

std::vector<Segment> TileLowering::parts_of_passes(size_t l, bool first, bool last) const {
  int64_t extent = nest_.loops[l].extent;
  std::vector<Segment> parts = segments(extent, ceil_div(extent, s_.blocks[l]));
  return in_scratch() ? parts : with_ends_apart(std::move(parts), first, last);
}

loop::Kernel lower_contract_tile(const Function& kernel, const Target& target, int threads) {
  return TileLowering(kernel, target, threads).run();
}

}  // namespace gradc
