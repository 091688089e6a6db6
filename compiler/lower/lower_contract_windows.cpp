// Convolutions and their data gradients on a matrix unit. The weight is brought into the unit's
// order whole and once, in the workspace; the image in the tasks, a block of positions at a time:
//
//   parallel: the weight in panels of 16 columns, [columns / 16][depth / 2][16][2], for each phase
//   parallel task over blocks of positions {
//     their strip of the image, with its padding -> rows of taps and channels, in scratch
//     block of columns { matrix -> sums in scratch -> results }
//   }
//
// The depth of a phase is its taps' channels, a tap after the other, with zeros up to a multiple of
// what one instruction covers.
#include <algorithm>

#include "compiler/lower/contract_results.h"
#include "compiler/lower/contract_schedule.h"
#include "compiler/lower/contract_tasks.h"
#include "compiler/lower/lower_contract.h"
#include "compiler/lower/segments.h"
#include "compiler/lower/window_rows.h"
#include "ir/diagnostic.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

using loop::kMatrixColumns;
using loop::kMatrixDepth;
using loop::LoopKind;
using loop::Scalar;

class WindowLowering {
 public:
  WindowLowering(const Function& function, int threads)
      : kernel_{.name = function.name},
        builder_(kernel_),
        values_(function, builder_),
        nest_(with_joined_loops(contraction_nest(function))),
        s_(contract_schedule_of(function)),
        windows_(windows_of(nest_)),
        threads_(threads),
        weight_(1 - windows_.image),
        column_(windows_.column_loop),
        columns_(nest_.loops[column_].extent),
        weight_buffer_(nest_.types[weight_].dtype == DType::bf16
                           ? values_.buffer_of(nest_.operands[weight_])
                           : std::nullopt) {}

  loop::Kernel run() {
    int64_t elements = 0;
    std::vector<int64_t> starts;
    for (const WindowPhase& phase : windows_.phases) {
      starts.push_back(elements);
      elements += round_up(columns_, kMatrixColumns) * padded_depth(phase);
    }
    panels_ = builder_.add_buffer({"b", loop::Space::workspace, DType::bf16, elements});
    for (size_t i = 0; i < starts.size(); ++i)
      if (padded_depth(windows_.phases[i]) > 0)
        pack_weight(windows_.phases[i], starts[i]);
    for (size_t i = 0; i < starts.size(); ++i)
      lower_phase(windows_.phases[i], starts[i]);
    return std::move(kernel_);
  }

 private:
  static MatrixWindows windows_of(const ContractionNest& nest) {
    std::optional<MatrixWindows> windows = matrix_windows(nest);
    GRADC_CHECK(windows.has_value(), "%{} has no windows of a matrix unit", nest.result.index);
    return *windows;
  }

  int64_t depth(const WindowPhase& phase) const { return phase.taps() * windows_.channels; }
  int64_t padded_depth(const WindowPhase& phase) const {
    return round_up(depth(phase), kMatrixDepth);
  }

  // --- the weight ---

  int64_t weight_step(size_t l) const {
    return l < nest_.loops.size() ? nest_.step(weight_, l) : 0;
  }

  void pack_weight(const WindowPhase& phase, int64_t start) {
    bool parallel = threads_ > 1 && columns_ * depth(phase) > kMatrixParallelElements;
    int64_t whole = columns_ / kMatrixColumns, rest = columns_ % kMatrixColumns;
    auto pack = [&](const Segment& panels) {
      for_parts(
          builder_, panels,
          [&](Scalar first, Scalar) { pack_panel(phase, start, first, panels.size); },
          parallel ? LoopKind::parallel : LoopKind::serial, "panel");
    };
    if (whole > 0)
      pack({0, kMatrixColumns, whole});
    if (rest > 0)
      pack({whole * kMatrixColumns, rest, 1});
  }

  // `count` columns from `first` on.
  void pack_panel(const WindowPhase& phase, int64_t start, Scalar first, int64_t count) {
    Scalar to = builder_.add(builder_.index(start), builder_.scaled(first, padded_depth(phase)));
    if (count < kMatrixColumns || round_up(depth(phase), 2) < padded_depth(phase))
      clear_elements(builder_, DType::bf16, kMatrixColumns * padded_depth(phase), panels_, to);
    int64_t column = weight_step(column_), channel = weight_step(windows_.channel_loop);
    bool even = windows_.channels % 2 == 0;
    if (weight_buffer_ && even && channel > 0 && column == channel * windows_.channels)
      pack_outputs(phase, first, count, to);
    else if (weight_buffer_ && even && column > 0 && channel == column * columns_)
      pack_inputs(phase, first, count, to);
    else
      pack_elements(phase, first, count, to);
  }

  // Calls body(number of the tap, its place in the weight) in loops over the taps of a phase.
  template <typename Body>
  void for_taps(const WindowPhase& phase, Body body, size_t i, Scalar number, Scalar place) {
    if (i == phase.axes.size()) {
      body(number, place);
      return;
    }
    const WindowAxis& axis = phase.axes[i];
    Scalar tap =
        axis.taps > 1 ? builder_.begin_for(LoopKind::serial, axis.taps)[0] : builder_.index(0);
    int64_t step = axis.tap_loop ? weight_step(*axis.tap_loop) : 0;
    Scalar at = builder_.add(builder_.index(axis.first_tap), builder_.scaled(tap, axis.tap_period));
    for_taps(phase, body, i + 1, builder_.add(builder_.scaled(number, axis.taps), tap),
             builder_.add(place, builder_.scaled(at, step)));
    if (axis.taps > 1)
      builder_.end_for();
  }
  template <typename Body>
  void for_taps(const WindowPhase& phase, Body body) {
    for_taps(phase, body, 0, builder_.index(0), builder_.index(0));
  }

  Scalar place_in_panel(Scalar to, Scalar tap) {
    return builder_.add(to, builder_.scaled(tap, windows_.channels * kMatrixColumns));
  }

  // Each column of the weight is one piece, the taps of a channel side by side: all become
  // [channel][tap][column], then pairs of channels.
  void pack_outputs(const WindowPhase& phase, Scalar first, int64_t count, Scalar to) {
    int64_t taps = weight_step(windows_.channel_loop), column = weight_step(column_);
    uint32_t lines = builder_.scratch("lines", DType::bf16, kMatrixColumns * column);
    builder_.transpose(
        {.rows = count,
         .columns = column,
         .from_buffer = *weight_buffer_,
         .to_buffer = lines,
         .from_step = column,
         .to_step = kMatrixColumns},
        builder_.add(builder_.index(nest_.offset(weight_)), builder_.scaled(first, column)),
        builder_.index(0));
    for_taps(phase, [&](Scalar tap, Scalar place) {
      builder_.pair_rows({.rows = windows_.channels,
                          .columns = count,
                          .from_buffer = lines,
                          .to_buffer = panels_,
                          .from_step = taps * kMatrixColumns,
                          .to_step = 2 * kMatrixColumns},
                         builder_.scaled(place, kMatrixColumns), place_in_panel(to, tap));
    });
  }

  // The taps of all columns are one piece for each channel: they become [column][tap][channel],
  // then [channel / 2][column][2].
  void pack_inputs(const WindowPhase& phase, Scalar first, int64_t count, Scalar to) {
    int64_t taps = weight_step(column_), channels = windows_.channels;
    Scalar start =
        builder_.add(builder_.index(nest_.offset(weight_)), builder_.scaled(first, taps));
    uint32_t lines = builder_.scratch("lines", DType::bf16, kMatrixColumns * taps * channels);
    builder_.transpose({.rows = channels,
                        .columns = count * taps,
                        .from_buffer = *weight_buffer_,
                        .to_buffer = lines,
                        .from_step = weight_step(windows_.channel_loop),
                        .to_step = channels},
                       start, builder_.index(0));
    for_taps(phase, [&](Scalar tap, Scalar place) {
      builder_.transpose({.rows = count,
                          .columns = channels / 2,
                          .from_buffer = lines,
                          .to_buffer = panels_,
                          .from_step = taps * channels / 2,
                          .to_step = kMatrixColumns,
                          .pairs = true},
                         builder_.scaled(place, channels), place_in_panel(to, tap));
    });
  }

  // Element by element: few channels, or a weight that is computed in the kernel.
  void pack_elements(const WindowPhase& phase, Scalar first, int64_t count, Scalar to) {
    uint32_t rows = builder_.scratch("lines", DType::bf16, kMatrixColumns * depth(phase));
    std::vector<Scalar> at(nest_.loops.size(), builder_.index(0));
    visit_weight(phase, 0, at, builder_.index(0), first, count, rows);
    builder_.pair_rows({.rows = depth(phase),
                        .columns = count,
                        .from_buffer = rows,
                        .to_buffer = panels_,
                        .from_step = kMatrixColumns,
                        .to_step = 2 * kMatrixColumns},
                       builder_.index(0), to);
  }

  void visit_weight(const WindowPhase& phase, size_t i, std::vector<Scalar> at, Scalar row,
                    Scalar first, int64_t count, uint32_t rows) {
    if (i <= phase.axes.size()) {
      bool is_channel = i == phase.axes.size();
      int64_t extent = is_channel ? windows_.channels : phase.axes[i].taps;
      Scalar k = extent > 1 ? builder_.begin_for(LoopKind::serial, extent)[0] : builder_.index(0);
      if (is_channel && extent > 1)
        at[windows_.channel_loop] = k;
      else if (!is_channel && phase.axes[i].tap_loop)
        at[*phase.axes[i].tap_loop] = builder_.add(builder_.index(phase.axes[i].first_tap),
                                                   builder_.scaled(k, phase.axes[i].tap_period));
      visit_weight(phase, i + 1, std::move(at), builder_.add(builder_.scaled(row, extent), k),
                   first, count, rows);
      if (extent > 1)
        builder_.end_for();
      return;
    }
    Scalar j = builder_.begin_for(LoopKind::vector, count)[0];
    at[column_] = builder_.add(first, j);
    Scalar x = operand_element_at(values_, nest_, weight_, at, DType::bf16);
    builder_.store(rows, builder_.add(builder_.scaled(row, kMatrixColumns), j), x);
    builder_.end_for();
  }

  // --- the products ---

  void lower_phase(const WindowPhase& phase, int64_t start) {
    for (const WindowParts& parts : window_parts(phase, s_.rows))
      lower_tasks(phase, start, parts);
  }

  // Blocks of columns are tasks of their own where there are few others.
  void lower_tasks(const WindowPhase& phase, int64_t start, const WindowParts& parts) {
    Dims counts;
    for (const Segment& part : parts)
      counts.push_back(part.count);
    bool parallel =
        threads_ > 1 && phase.positions() * columns_ * depth(phase) > kMatrixParallelProducts;
    std::vector<Segment> columns = blocks_of(columns_, s_.blocks[column_]);
    if (!parallel || element_count(counts) >= 2 * threads_) {
      for_tasks(counts, parallel, [&](const std::vector<Scalar>& numbers) {
        auto [block, rows] = bring_rows(phase, parts, numbers);
        for (const Segment& part : columns)
          for_parts(builder_, part, [&](Scalar first, Scalar) {
            lower_columns(phase, start, block, rows, first, part.size);
          });
      });
      return;
    }
    for (const Segment& part : columns) {
      Dims all = counts;
      all.push_back(part.count);
      for_tasks(all, parallel, [&](const std::vector<Scalar>& numbers) {
        auto [block, rows] = bring_rows(phase, parts, numbers);
        Scalar first =
            builder_.add(builder_.index(part.start), builder_.scaled(numbers.back(), part.size));
        lower_columns(phase, start, block, rows, first, part.size);
      });
    }
  }

  template <typename Body>
  void for_tasks(const Dims& counts, bool parallel, Body body) {
    for_parts(
        builder_, {0, 1, element_count(counts)},
        [&](Scalar number, Scalar) { body(unravel(builder_, number, counts)); },
        parallel ? LoopKind::parallel : LoopKind::serial, "task");
  }

  // The block with these numbers, and its rows in order.
  std::pair<WindowBlock, WindowRows> bring_rows(const WindowPhase& phase, const WindowParts& parts,
                                                const std::vector<Scalar>& numbers) {
    WindowBlock block{.first_channel = builder_.index(0), .channels = windows_.channels};
    for (size_t axis = 0; axis < parts.size(); ++axis) {
      block.start.push_back(builder_.add(builder_.index(parts[axis].start),
                                         builder_.scaled(numbers[axis], parts[axis].size)));
      block.size.push_back(parts[axis].size);
    }
    WindowRows rows;
    if (depth(phase) > 0)
      rows = window_rows(values_, nest_, windows_.image, phase, block, padded_depth(phase));
    return {block, rows};
  }

  void lower_columns(const WindowPhase& phase, int64_t start, const WindowBlock& block,
                     const WindowRows& rows, Scalar first, int64_t count) {
    int64_t positions = block.positions(), row_elements = round_up(count, kMatrixColumns);
    uint32_t sums = builder_.scratch("sums", DType::f32, positions * row_elements);
    if (depth(phase) > 0) {
      Scalar b = builder_.add(builder_.index(start), builder_.scaled(first, padded_depth(phase)));
      builder_.matrix({.rows = positions,
                       .columns = row_elements,
                       .depth = padded_depth(phase),
                       .a_buffer = rows.buffer,
                       .b_buffer = panels_,
                       .c_buffer = sums,
                       .a_step = rows.row_elements,
                       .c_step = row_elements},
                      builder_.index(0), b, builder_.index(0));
    } else {
      clear_elements(builder_, DType::f32, positions * row_elements, sums, builder_.index(0));
    }
    NestBlock stored{std::vector<Scalar>(nest_.loops.size(), builder_.index(0)),
                     std::vector<int64_t>(nest_.loops.size(), 1),
                     std::vector<int64_t>(nest_.loops.size(), 1)};
    OperandAccess found{sums, builder_.index(0), std::vector<int64_t>(nest_.loops.size())};
    stored.start[column_] = first;
    stored.size[column_] = count;
    found.step[column_] = 1;
    int64_t step = row_elements;
    for (size_t i = phase.axes.size(); i-- > 0; step *= block.size[i]) {
      const WindowAxis& axis = phase.axes[i];
      if (!axis.position_loop)
        continue;
      stored.start[*axis.position_loop] =
          builder_.add(builder_.index(axis.first), builder_.scaled(block.start[i], axis.period));
      stored.size[*axis.position_loop] = block.size[i];
      stored.period[*axis.position_loop] = axis.period;
      found.step[*axis.position_loop] = step;
    }
    store_sums(values_, nest_, column_, stored, found, [this](const std::string& name, int64_t n) {
      return builder_.scratch(name, DType::f32, n);
    });
  }

  loop::Kernel kernel_;
  loop::Builder builder_;
  KernelValues values_;
  ContractionNest nest_;
  ContractSchedule s_;
  MatrixWindows windows_;
  int threads_;
  size_t weight_, column_;  // operand, loop
  int64_t columns_;
  std::optional<uint32_t> weight_buffer_;  // where it is not computed in the kernel
  uint32_t panels_ = 0;
};

}  // namespace

loop::Kernel lower_contract_windows(const Function& kernel, int threads) {
  return WindowLowering(kernel, threads).run();
}

}  // namespace gradc
