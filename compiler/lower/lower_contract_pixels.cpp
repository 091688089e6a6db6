// Weight gradients of convolutions on a matrix unit: sums over positions, some of them in a pass,
// which is the same for all tasks.
//
//   parallel task over blocks of outputs and channels {
//     pass over positions {
//       a: their gradients as [outputs][positions]
//       their rows of taps and channels, then b: [columns / 16][positions / 2][16][2]
//       matrix: adds to the sums, [outputs][taps][channels]
//     }
//     sums -> results
//   }
//
// with the positions of a pass filled up with zeros to a multiple of what one instruction covers.
#include <algorithm>

#include "compiler/lower/contract_results.h"
#include "compiler/lower/contract_schedule.h"
#include "compiler/lower/contract_tasks.h"
#include "compiler/lower/lower_contract.h"
#include "compiler/lower/stage_operand.h"
#include "compiler/lower/window_rows.h"
#include "ir/diagnostic.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

using loop::kMatrixColumns;
using loop::kMatrixDepth;
using loop::LoopKind;
using loop::Scalar;

// In a pass, at most: fewer and the sums' way from the second level cache and back takes too long,
// more and b does not stay there. An order of sums, so it is the same for all tasks.
constexpr int64_t kPassPositions = 256;

class PixelLowering {
 public:
  PixelLowering(const Function& function, int threads)
      : kernel_{.name = function.name},
        builder_(kernel_),
        values_(function, builder_),
        nest_(with_joined_loops(contraction_nest(function))),
        s_(contract_schedule_of(function)),
        pixels_(pixels_of(nest_)),
        threads_(threads),
        gradient_(1 - pixels_.image),
        taps_(pixels_.phase.taps()) {}

  loop::Kernel run() {
    int64_t channels = pixels_.channels > 1 ? s_.blocks[pixels_.channel_loop] : 1;
    for (const Segment& outputs : blocks_of(pixels_.outputs, s_.blocks[pixels_.output_loop]))
      for (const Segment& inputs : blocks_of(pixels_.channels, channels))
        lower_tasks(outputs, inputs);
    return std::move(kernel_);
  }

 private:
  static MatrixPixels pixels_of(const ContractionNest& nest) {
    std::optional<MatrixPixels> pixels = matrix_pixels(nest);
    GRADC_CHECK(pixels.has_value(), "%{} sums no pixels on a matrix unit", nest.result.index);
    return *pixels;
  }

  void lower_tasks(const Segment& outputs, const Segment& inputs) {
    int64_t products = pixels_.outputs * pixels_.channels * taps_ * pixels_.phase.positions();
    bool parallel = threads_ > 1 && products > kMatrixParallelProducts;
    for_parts(
        builder_, {0, 1, outputs.count * inputs.count},
        [&](Scalar number, Scalar) {
          lower_task(outputs, inputs, unravel(builder_, number, {outputs.count, inputs.count}));
        },
        parallel ? LoopKind::parallel : LoopKind::serial, "task");
  }

  void lower_task(const Segment& outputs, const Segment& inputs,
                  const std::vector<Scalar>& numbers) {
    first_output_ =
        builder_.add(builder_.index(outputs.start), builder_.scaled(numbers[0], outputs.size));
    first_channel_ =
        builder_.add(builder_.index(inputs.start), builder_.scaled(numbers[1], inputs.size));
    outputs_ = outputs.size;
    channels_ = inputs.size;
    row_elements_ = round_up(taps_ * channels_, kMatrixColumns);
    sums_ = builder_.scratch("sums", DType::f32, outputs_ * row_elements_);
    clear_elements(builder_, DType::f32, outputs_ * row_elements_, sums_, builder_.index(0));
    for (const WindowParts& parts : window_parts(pixels_.phase, kPassPositions))
      lower_passes(parts, {.first_channel = first_channel_, .channels = channels_});
    store();
  }

  // A loop for each axis; `block` has the first ones.
  void lower_passes(const WindowParts& parts, WindowBlock block) {
    if (block.size.size() == parts.size()) {
      lower_pass(block);
      return;
    }
    const Segment& part = parts[block.size.size()];
    for_parts(builder_, part, [&](Scalar start, Scalar) {
      WindowBlock inner = block;
      inner.start.push_back(start);
      inner.size.push_back(part.size);
      lower_passes(parts, std::move(inner));
    });
  }

  void lower_pass(const WindowBlock& block) {
    int64_t depth = round_up(block.positions(), kMatrixDepth);
    // Rows of a begin in different sets of the first level cache.
    int64_t a_step = depth % (2 * kMatrixDepth) == 0 ? depth + kMatrixDepth : depth;
    uint32_t a = pack_gradient(block, depth, a_step), b = pack_image(block, depth);
    builder_.matrix({.rows = outputs_,
                     .columns = row_elements_,
                     .depth = depth,
                     .a_buffer = a,
                     .b_buffer = b,
                     .c_buffer = sums_,
                     .a_step = a_step,
                     .c_step = row_elements_,
                     .accumulate = true},
                    builder_.index(0), builder_.index(0), builder_.index(0));
  }

  // --- operands ---

  // [positions][outputs] of the gradient, from the task's first output on: the buffer, where it
  // begins there, and the step from position to position.
  struct Gradients {
    uint32_t buffer = 0;
    Scalar start;
    int64_t step = 0;
  };

  Gradients gradients(const WindowBlock& block) {
    Scalar position = builder_.index(0);
    for (size_t i = 0; i < block.size.size(); ++i)
      position =
          builder_.add(builder_.scaled(position, pixels_.phase.axes[i].positions), block.start[i]);
    std::optional<uint32_t> buffer = values_.buffer_of(nest_.operands[gradient_]);
    if (buffer && nest_.types[gradient_].dtype == DType::bf16)
      return {*buffer, builder_.add(builder_.scaled(position, pixels_.outputs), first_output_),
              pixels_.outputs};
    Gradients copy{builder_.scratch("gradients", DType::bf16, block.positions() * outputs_),
                   builder_.index(0), outputs_};
    Scalar p = builder_.begin_for(LoopKind::serial, block.positions())[0];
    Scalar o = builder_.begin_for(LoopKind::vector, outputs_)[0];
    Scalar at = builder_.add(builder_.scaled(builder_.add(position, p), pixels_.outputs),
                             builder_.add(first_output_, o));
    Position place{unravel(builder_, at, nest_.types[gradient_].dims), std::nullopt};
    Scalar x = operand_element(values_, nest_, gradient_, std::move(place), DType::bf16);
    builder_.store(copy.buffer, builder_.add(builder_.scaled(p, outputs_), o), x);
    builder_.end_for();
    builder_.end_for();
    return copy;
  }

  uint32_t pack_gradient(const WindowBlock& block, int64_t depth, int64_t a_step) {
    Gradients from = gradients(block);
    uint32_t pairs = builder_.scratch("pairs", DType::bf16, depth * outputs_);
    builder_.pair_rows({.rows = block.positions(),
                        .columns = outputs_,
                        .from_buffer = from.buffer,
                        .to_buffer = pairs,
                        .from_step = from.step,
                        .to_step = 2 * outputs_},
                       from.start, builder_.index(0));
    int64_t filled = round_up(block.positions(), 2) * outputs_;
    clear_elements(builder_, DType::bf16, depth * outputs_ - filled, pairs, builder_.index(filled));
    uint32_t a = builder_.scratch("a", DType::bf16, outputs_ * a_step);
    builder_.transpose({.rows = depth / 2,
                        .columns = outputs_,
                        .from_buffer = pairs,
                        .to_buffer = a,
                        .from_step = outputs_,
                        .to_step = a_step / 2,
                        .pairs = true},
                       builder_.index(0), builder_.index(0));
    return a;
  }

  // [positions][columns] of the image: as they lie there, where each is one tap without padding and
  // they are evenly spaced.
  struct Rows {
    uint32_t buffer = 0;
    Scalar start;
    int64_t step = 0, columns = 0;
  };

  Rows image_rows(const WindowBlock& block) {
    std::optional<uint32_t> buffer = values_.buffer_of(nest_.operands[pixels_.image]);
    const WindowPhase& phase = pixels_.phase;
    bool narrow = nest_.types[pixels_.image].dtype == DType::bf16;
    if (phase.axes.size() == 1 && taps_ == 1 && buffer && narrow) {
      const WindowAxis& axis = phase.axes[0];
      int64_t step = axis.position_step * pixels_.channels;
      if (axis.offset >= 0 && axis.offset + axis.position_step * (axis.positions - 1) < axis.size)
        return {*buffer,
                builder_.add(builder_.add(builder_.scaled(block.start[0], step),
                                          builder_.index(axis.offset * pixels_.channels)),
                             first_channel_),
                step, channels_};
    }
    WindowRows rows = window_rows(values_, nest_, pixels_.image, phase, block, row_elements_);
    return {rows.buffer, builder_.index(0), row_elements_, row_elements_};
  }

  uint32_t pack_image(const WindowBlock& block, int64_t depth) {
    Rows rows = image_rows(block);
    uint32_t b = builder_.scratch("b", DType::bf16, depth * row_elements_);
    int64_t whole = rows.columns / kMatrixColumns, rest = rows.columns % kMatrixColumns;
    int64_t filled = round_up(block.positions(), 2);
    auto pack = [&](Scalar column, int64_t columns, int64_t first_cleared) {
      Scalar to = builder_.scaled(column, depth);
      clear_elements(builder_, DType::bf16, (depth - first_cleared) * kMatrixColumns, b,
                     builder_.add(to, builder_.index(first_cleared * kMatrixColumns)));
      builder_.pair_rows({.rows = block.positions(),
                          .columns = columns,
                          .from_buffer = rows.buffer,
                          .to_buffer = b,
                          .from_step = rows.step,
                          .to_step = 2 * kMatrixColumns},
                         builder_.add(rows.start, column), to);
    };
    if (whole > 0)
      for_parts(builder_, {0, kMatrixColumns, whole},
                [&](Scalar column, Scalar) { pack(column, kMatrixColumns, filled); });
    if (rest > 0)
      pack(builder_.index(whole * kMatrixColumns), rest, 0);
    return b;
  }

  // --- results ---

  // Of each output: [taps][channels] become [channels][taps], as the result has them.
  void store() {
    Scalar o = outputs_ > 1 ? builder_.begin_for(LoopKind::serial, outputs_)[0] : builder_.index(0);
    Scalar from = builder_.scaled(o, row_elements_);
    uint32_t buffer = sums_;
    if (taps_ > 1 && channels_ > 1) {
      buffer = builder_.scratch("ordered", DType::f32, taps_ * channels_);
      builder_.transpose({.rows = taps_,
                          .columns = channels_,
                          .from_buffer = sums_,
                          .to_buffer = buffer,
                          .from_step = channels_,
                          .to_step = taps_},
                         from, builder_.index(0));
      from = builder_.index(0);
    }
    Dims dims = {channels_};
    for (const WindowAxis& axis : pixels_.phase.axes)
      dims.push_back(axis.taps);
    Scalar j = builder_.begin_for(LoopKind::vector, taps_ * channels_)[0];
    std::vector<Scalar> at = unravel(builder_, j, dims);
    std::vector<Scalar> loops(nest_.result_loops, builder_.index(0));
    loops[pixels_.output_loop] = builder_.add(first_output_, o);
    if (pixels_.channels > 1)
      loops[pixels_.channel_loop] = builder_.add(first_channel_, at[0]);
    for (size_t i = 0; i < pixels_.phase.axes.size(); ++i)
      if (const WindowAxis& axis = pixels_.phase.axes[i]; axis.tap_loop)
        loops[*axis.tap_loop] = builder_.add(builder_.index(axis.first_tap),
                                             builder_.scaled(at[i + 1], axis.tap_period));
    store_results(values_, nest_, loops, builder_.load(buffer, builder_.add(from, j)));
    builder_.end_for();
    if (outputs_ > 1)
      builder_.end_for();
  }

  loop::Kernel kernel_;
  loop::Builder builder_;
  KernelValues values_;
  ContractionNest nest_;
  ContractSchedule s_;
  MatrixPixels pixels_;
  int threads_;
  size_t gradient_;  // operand
  int64_t taps_;

  // Of the open task:
  Scalar first_output_, first_channel_;
  int64_t outputs_ = 1, channels_ = 1;
  int64_t row_elements_ = 0;  // of the sums of an output
  uint32_t sums_ = 0;
};

}  // namespace

loop::Kernel lower_contract_pixels(const Function& kernel, int threads) {
  return PixelLowering(kernel, threads).run();
}

}  // namespace gradc
