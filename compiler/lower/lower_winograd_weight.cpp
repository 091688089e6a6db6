// Weight gradients by Winograd's tiles (winograd.h):
//
//   task over a block of inputs and a block of outputs {
//     serial over blocks of tiles {
//       image: [36][tiles][inputs], gradient of the result: [36][tiles][outputs] in scratch
//       sums [36][inputs][outputs] += image * gradient, over the tiles
//     }
//     sums -> taps
//   }
//
// With `image_once` both are transformed for all tiles before, in blocks of the channels that a
// task reads.
#include "compiler/lower/contract_results.h"
#include "compiler/lower/lower_contract.h"
#include "compiler/lower/segments.h"
#include "compiler/lower/winograd_blocks.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

using loop::LoopKind;
using loop::Scalar;

constexpr int64_t kTaps = kWinogradTaps * kWinogradTaps;
constexpr int64_t kStoredInputs = 16;  // whose taps are brought into the weight's order at once

class WinogradWeightLowering : WinogradKernel {
 public:
  WinogradWeightLowering(const Function& function, const Target& target, int threads)
      : WinogradKernel(function, target, threads) {}

  loop::Kernel run() {
    std::vector<Side> inputs = sides(segments(shape_.inputs, ceil_div(shape_.inputs, s_.inputs)));
    std::vector<Side> outputs = sides(vector_panels(shape_.outputs, lanes_, s_.outputs / lanes_));
    if (s_.image_once) {
      OpenRange tiles{b_.index(0), shape_.all_tiles()};
      transform_all(inputs, "image", [&](const WinogradBlock& to, const OpenRange& channels) {
        blocks_.image_tiles(to, nest_.operands[0], tiles, channels);
      });
      transform_all(outputs, "gradient", [&](const WinogradBlock& to, const OpenRange& channels) {
        blocks_.result_tiles(to, nest_.operands[1], tiles, channels);
      });
    }
    for (const Side& in : inputs)
      for (const Side& out : outputs)
        lower_tasks(in, out);
    return std::move(kernel_);
  }

 private:
  // Blocks of channels of one of both images and, with `image_once`, their tiles.
  struct Side {
    Segment channels;
    WinogradBlock tiles;
  };

  static std::vector<Side> sides(const std::vector<Segment>& segments) {
    std::vector<Side> sides;
    for (const Segment& channels : segments)
      sides.push_back({channels, {}});
    return sides;
  }

  template <typename Transform>
  void transform_all(std::vector<Side>& sides, const std::string& name, Transform transform) {
    for (Side& side : sides) {
      const Segment& channels = side.channels;
      side.tiles = blocks_.shared_blocks(name, shape_.all_tiles(), channels.size, channels.count);
      for_parts(
          b_, channels,
          [&](Scalar start, Scalar number) {
            transform(blocks_.numbered(side.tiles, number), OpenRange{start, channels.size});
          },
          parallel_ ? LoopKind::parallel : LoopKind::serial, "task");
    }
  }

  Scalar start_of(const Segment& part, Scalar i) {
    return b_.add(b_.index(part.start), b_.scaled(i, part.size));
  }

  void lower_tasks(const Side& in, const Side& out) {
    const Segment &inputs = in.channels, &outputs = out.channels;
    int64_t tasks = inputs.count * outputs.count;
    std::vector<Scalar> at(2, b_.index(0));
    if (tasks > 1)
      at = unravel(
          b_,
          b_.begin_for(parallel_ ? LoopKind::parallel : LoopKind::serial, tasks, {}, {}, "task")[0],
          {inputs.count, outputs.count});
    inputs_ = {start_of(inputs, at[0]), inputs.size};
    outputs_ = {start_of(outputs, at[1]), outputs.size};
    sums_ = blocks_.block("sums", inputs_.size, outputs_.size);
    if (s_.image_once)
      blocks_.multiply(blocks_.numbered(in.tiles, at[0]), blocks_.numbered(out.tiles, at[1]), sums_,
                       s_.rows, true, false);
    else
      sum_tiles();
    store_taps();
    if (tasks > 1)
      b_.end_for();
  }

  void sum_tiles() {
    std::vector<Segment> parts =
        segments(shape_.all_tiles(), ceil_div(shape_.all_tiles(), s_.tiles));
    bool many = parts.size() > 1 || parts[0].count > 1;
    if (many)
      blocks_.clear(sums_);
    for (const Segment& part : parts) {
      for_parts(b_, part, [&](Scalar start, Scalar) {
        OpenRange tiles{start, part.size};
        WinogradBlock image = blocks_.block("image", tiles.size, inputs_.size);
        WinogradBlock gradient = blocks_.block("gradient", tiles.size, outputs_.size);
        blocks_.image_tiles(image, nest_.operands[0], tiles, inputs_);
        blocks_.result_tiles(gradient, nest_.operands[1], tiles, outputs_);
        blocks_.multiply(image, gradient, sums_, s_.rows, true, many);
      });
    }
  }

  // The result's rows run over taps, the sums' over outputs.
  void store_taps() {
    int64_t step = sums_.row_step;
    for (const Segment& part : segments(inputs_.size, ceil_div(inputs_.size, kStoredInputs))) {
      for_parts(b_, part, [&](Scalar first, Scalar) {
        uint32_t taps = b_.scratch("taps", DType::f32, part.size * kTaps * step);
        Scalar input = b_.begin_for(LoopKind::serial, part.size)[0];
        Scalar output = b_.begin_for(LoopKind::vector, outputs_.size)[0];
        std::vector<Scalar> square = along_both_axes(
            b_, winograd_weight_adjoint, blocks_.elements(sums_, b_.add(first, input), output));
        for (int64_t k = 0; k < kTaps; ++k) {
          Scalar row = b_.add(b_.scaled(input, kTaps), b_.index(k));
          b_.store(taps, b_.add(b_.scaled(row, step), output), square[static_cast<size_t>(k)]);
        }
        b_.end_for();
        b_.end_for();
        NestBlock block{{outputs_.start, b_.add(inputs_.start, first), b_.index(0), b_.index(0)},
                        {outputs_.size, part.size, kWinogradTaps, kWinogradTaps}};
        OperandAccess sums{taps, b_.index(0), {1, kTaps * step, kWinogradTaps * step, step}};
        store_sums(values_, nest_, 0, block, sums,
                   [this](const std::string& name, int64_t elements) {
                     return b_.scratch(name, DType::f32, elements);
                   });
      });
    }
  }

  OpenRange inputs_, outputs_;  // of the open task
  WinogradBlock sums_;
};

}  // namespace

loop::Kernel lower_winograd_weight_gradient(const Function& kernel, const Target& target,
                                            int threads) {
  return WinogradWeightLowering(kernel, target, threads).run();
}

}  // namespace gradc
