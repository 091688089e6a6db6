// Convolutions and data gradients by Winograd's tiles (winograd.h):
//
//   task over blocks of tiles, or of outputs {
//     serial over blocks of outputs, or of tiles {
//       serial over blocks of inputs {
//         image: [36][tiles][inputs], weight: [36][inputs][outputs] in scratch
//         sums [36][tiles][outputs] += image * weight
//       }
//       sums -> tiles of results
//     }
//   }
//
// With `image_once` all of the image has been transformed before. With `keeps` one of both is
// transformed for all inputs outside of the inner loop. If that is the image, the weight comes by
// rows of planes, so that what is made of it stays in the first cache:
//
//   task over blocks of tiles {
//     image: [36][tiles][all inputs]
//     serial over blocks of outputs {
//       taps: [all inputs][9][outputs]
//       serial over 6 rows of planes { serial over blocks of inputs {
//         weight: [6][inputs][outputs]
//         6 planes of sums += those of image * weight
//       } }
//       sums -> tiles of results
//     }
//   }
#include "compiler/lower/contract_results.h"
#include "compiler/lower/fetch_ahead.h"
#include "compiler/lower/lower_contract.h"
#include "compiler/lower/segments.h"
#include "compiler/lower/winograd_blocks.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

using loop::LoopKind;
using loop::Scalar;

constexpr int64_t kTaps = kWinogradTaps * kWinogradTaps;
constexpr int64_t kTransposedInputs = 16;  // of a weight, at once: they stay in the first cache

class WinogradLowering : WinogradKernel {
 public:
  WinogradLowering(const Function& function, const Target& target, int threads)
      : WinogradKernel(function, target, threads), all_inputs_{b_.index(0), shape_.inputs} {}

  loop::Kernel run() {
    std::vector<Segment> tiles =
        segments(shape_.all_tiles(), ceil_div(shape_.all_tiles(), s_.tiles));
    if (s_.image_once)
      transform_whole_image(tiles);
    std::vector<Segment> outputs = vector_panels(shape_.outputs, lanes_, s_.outputs / lanes_);
    for (const Segment& outer : s_.outputs_outside ? outputs : tiles)
      lower_tasks(outer, s_.outputs_outside ? tiles : outputs);
    return std::move(kernel_);
  }

 private:
  void transform_whole_image(const std::vector<Segment>& tiles) {
    whole_image_ = blocks_.shared_blocks("image", shape_.all_tiles(), shape_.inputs);
    for (const Segment& part : tiles)
      for_parts(
          b_, part,
          [&](Scalar start, Scalar) {
            OpenRange block{start, part.size};
            blocks_.image_tiles(blocks_.rows_of(whole_image_, block), nest_.operands[0], block,
                                all_inputs_);
          },
          parallel_ ? LoopKind::parallel : LoopKind::serial, "task");
  }

  // Each task takes a block of the outer loop, and one of the parts of the inner one.
  void lower_tasks(const Segment& outer, const std::vector<Segment>& inner) {
    int64_t tasks = outer.count * s_.parts;
    Scalar number = b_.index(0);
    if (tasks > 1)
      number =
          b_.begin_for(parallel_ ? LoopKind::parallel : LoopKind::serial, tasks, {}, {}, "task")[0];
    Scalar part = b_.rem(number, b_.index(s_.parts));
    Scalar first =
        b_.add(b_.index(outer.start), b_.scaled(b_.div(number, b_.index(s_.parts)), outer.size));
    (s_.outputs_outside ? outputs_ : tiles_) = {first, outer.size};
    if (s_.keeps && s_.outputs_outside)
      kept_ = transform_weight(all_inputs_);
    else if (s_.keeps)
      kept_ = transform_image(all_inputs_);
    for (Segment block : inner) {
      block.count /= s_.parts;
      for_parts(b_, block, [&](Scalar start, Scalar) {
        start = b_.add(start, b_.scaled(part, block.count * block.size));
        (s_.outputs_outside ? tiles_ : outputs_) = {start, block.size};
        lower_block();
      });
    }
    if (tasks > 1)
      b_.end_for();
  }

  void lower_block() {
    sums_ = blocks_.block("sums", tiles_.size, outputs_.size);
    if (s_.keeps && !s_.outputs_outside)
      multiply_by_rows_of_planes();
    else
      multiply_by_inputs();
    store_tiles();
  }

  // Calls body(inputs, whether there are more) for each block of inputs, which all add to `sums`.
  template <typename Body>
  void for_inputs(const WinogradBlock& sums, Body body) {
    bool many = shape_.inputs > s_.inputs;
    if (many)
      blocks_.clear(sums);
    for (const Segment& part : segments(shape_.inputs, ceil_div(shape_.inputs, s_.inputs)))
      for_parts(b_, part, [&](Scalar start, Scalar) { body(OpenRange{start, part.size}, many); });
  }

  void multiply_by_inputs() {
    for_inputs(sums_, [&](const OpenRange& inputs, bool many) {
      WinogradBlock image = image_of(inputs);
      WinogradBlock weight = s_.keeps ? blocks_.rows_of(kept_, inputs) : transform_weight(inputs);
      blocks_.multiply(image, weight, sums_, s_.rows, false, many);
    });
  }

  // So a part of the weight and the sums that it adds to stay in the first level cache.
  void multiply_by_rows_of_planes() {
    uint32_t taps = gather_taps(all_inputs_, "taps");
    Scalar row = b_.begin_for(LoopKind::serial, kWinogradPoints, {}, {}, "row")[0];
    OpenRange planes{b_.scaled(row, kWinogradPoints), kWinogradPoints};
    WinogradBlock sums = blocks_.planes_of(sums_, planes);
    for_inputs(sums, [&](const OpenRange& inputs, bool many) {
      WinogradBlock image = blocks_.columns_of(blocks_.planes_of(kept_, planes), inputs);
      WinogradBlock weight = blocks_.block("weight", inputs.size, outputs_.size, kWinogradPoints);
      transform_taps(weight, taps, inputs, row);
      blocks_.multiply(image, weight, sums, s_.rows, false, many, next_weight(row, inputs));
    });
    b_.end_for();
  }

  WinogradBlock image_of(const OpenRange& inputs) {
    return s_.image_once ? blocks_.columns_of(blocks_.rows_of(whole_image_, tiles_), inputs)
                         : transform_image(inputs);
  }

  WinogradBlock transform_image(const OpenRange& inputs) {
    WinogradBlock image = blocks_.block("image", tiles_.size, inputs.size);
    blocks_.image_tiles(image, nest_.operands[0], tiles_, inputs);
    return image;
  }

  WinogradBlock transform_weight(const OpenRange& inputs) {
    WinogradBlock weight = blocks_.block("weight", inputs.size, outputs_.size);
    // There are no sums yet where the weight is kept.
    const char* place = s_.keeps ? "sums" : "taps";
    for (const Segment& part : segments(inputs.size, ceil_div(inputs.size, kTransposedInputs)))
      for_parts(b_, part, [&](Scalar start, Scalar) {
        uint32_t taps = gather_taps({b_.add(inputs.start, start), part.size}, place);
        Scalar row = b_.begin_for(LoopKind::serial, kWinogradPoints, {}, {}, "row")[0];
        OpenRange planes{b_.scaled(row, kWinogradPoints), kWinogradPoints};
        OpenRange rows{start, part.size};
        transform_taps(blocks_.rows_of(blocks_.planes_of(weight, planes), rows), taps,
                       {b_.index(0), part.size}, row);
        b_.end_for();
      });
    return weight;
  }

  // A row of planes from the taps of some of the inputs that were gathered.
  void transform_taps(const WinogradBlock& to, uint32_t taps, const OpenRange& inputs, Scalar row) {
    std::array<Scalar, 3> factors = winograd_weight_row(b_, row);
    Scalar input = b_.begin_for(LoopKind::serial, inputs.size)[0];
    Scalar output = b_.begin_for(LoopKind::vector, outputs_.size)[0];
    auto tap = [&](int64_t y, int64_t x) {
      int64_t k = y * kWinogradTaps + x;
      if (shape_.form == WinogradForm::data_gradient)
        k = kTaps - 1 - k;
      Scalar at = b_.add(b_.scaled(b_.add(inputs.start, input), kTaps), b_.index(k));
      return b_.load(taps, b_.add(b_.scaled(at, to.row_step), output));
    };
    std::vector<Scalar> combined;
    for (int64_t x = 0; x < kWinogradTaps; ++x)
      combined.push_back(b_.fma(tap(2, x), factors[2],
                                b_.fma(tap(1, x), factors[1], b_.mul(tap(0, x), factors[0]))));
    blocks_.store(to, input, output, winograd_weight(b_, combined));
    b_.end_for();
    b_.end_for();
  }

  // The taps that come next, where all of a block's outputs are gathered at once: a share of them.
  std::optional<WinogradAhead> next_weight(Scalar row, const OpenRange& inputs) {
    if (!pays_to_fetch(values_, nest_, 1))
      return std::nullopt;
    Scalar output = b_.add(outputs_.start, b_.index(outputs_.size));
    bool forward = shape_.form == WinogradForm::forward;
    int64_t step = (forward ? shape_.inputs : shape_.outputs) * kTaps;
    Scalar at = b_.scaled(output, forward ? step : kTaps);
    OperandAccess first{*values_.buffer_of(nest_.operands[1]), at, {step, 1}};
    int64_t parts = shape_.inputs / inputs.size;
    Part part =
        Part{row, kWinogradPoints}.inner(b_, b_.div(inputs.start, b_.index(inputs.size)), parts);
    return forward ? WinogradAhead{first, outputs_.size, step, part}
                   : WinogradAhead{first, shape_.inputs, outputs_.size * kTaps, part};
  }

  // With the outputs side by side: [inputs][taps][outputs].
  uint32_t gather_taps(const OpenRange& inputs, const std::string& name) {
    int64_t step = round_up(outputs_.size, lanes_);
    uint32_t taps = b_.scratch(name, DType::f32, inputs.size * kTaps * step);
    gather_taps(inputs, taps, step);
    return taps;
  }

  void gather_taps(const OpenRange& inputs, uint32_t to, int64_t to_step) {
    bool forward = shape_.form == WinogradForm::forward;
    std::optional<uint32_t> from = values_.buffer_of(nest_.operands[1]);
    if (from && forward) {
      int64_t step = shape_.inputs * kTaps;
      b_.transpose({.rows = outputs_.size,
                    .columns = inputs.size * kTaps,
                    .from_buffer = *from,
                    .to_buffer = to,
                    .from_step = step,
                    .to_step = to_step},
                   b_.add(b_.scaled(outputs_.start, step), b_.scaled(inputs.start, kTaps)),
                   b_.index(0));
      return;
    }
    Scalar input = b_.begin_for(LoopKind::serial, inputs.size)[0];
    Scalar at = b_.add(inputs.start, input);
    if (from) {
      Scalar start = b_.scaled(b_.add(b_.scaled(at, shape_.outputs), outputs_.start), kTaps);
      b_.transpose({.rows = outputs_.size,
                    .columns = kTaps,
                    .from_buffer = *from,
                    .to_buffer = to,
                    .from_step = kTaps,
                    .to_step = to_step},
                   start, b_.scaled(input, kTaps * to_step));
    } else {
      Scalar output = b_.begin_for(LoopKind::vector, outputs_.size)[0];
      Scalar channel = b_.add(outputs_.start, output);
      for (int64_t k = 0; k < kTaps; ++k) {
        std::vector<Scalar> indices = {forward ? channel : at, forward ? at : channel,
                                       b_.index(k / kWinogradTaps), b_.index(k % kWinogradTaps)};
        Scalar row = b_.add(b_.scaled(input, kTaps), b_.index(k));
        b_.store(to, b_.add(b_.scaled(row, to_step), output),
                 values_.element(nest_.operands[1], indices));
      }
      b_.end_for();
    }
    b_.end_for();
  }

  // Tiles that may go beyond the result's edge wait in scratch: what is inside is copied.
  void store_tiles() {
    bool whole = shape_.out[0] % kWinogradTile == 0 && shape_.out[1] % kWinogradTile == 0;
    Scalar tile = b_.begin_for(LoopKind::serial, tiles_.size, {}, {}, "tile")[0];
    std::array<Scalar, 3> place = blocks_.place_of(b_.add(tiles_.start, tile));
    for (size_t axis : {1, 2})
      place[axis] = b_.scaled(place[axis], kWinogradTile);
    Scalar output = b_.begin_for(LoopKind::vector, outputs_.size)[0];
    std::vector<Scalar> results =
        along_both_axes(b_, winograd_result, blocks_.elements(sums_, tile, output));
    uint32_t waiting = 0;
    int64_t step = sums_.row_step;
    if (!whole)
      waiting = b_.scratch("results", DType::f32, kWinogradTile * kWinogradTile * step);
    for (int64_t i = 0; i < kWinogradTile * kWinogradTile; ++i) {
      Scalar result = results[static_cast<size_t>(i)];
      if (whole)
        store(place, b_.index(i / kWinogradTile), b_.index(i % kWinogradTile), output, result);
      else
        b_.store(waiting, b_.add(b_.index(i * step), output), result);
    }
    b_.end_for();
    if (!whole) {
      Scalar y = open_pixels(0, place[1]), x = open_pixels(1, place[2]);
      Scalar again = b_.begin_for(LoopKind::vector, outputs_.size)[0];
      Scalar at = b_.scaled(b_.add(b_.scaled(y, kWinogradTile), x), step);
      store(place, y, x, again, b_.load(waiting, b_.add(at, again)));
      for (int i = 0; i < 3; ++i)
        b_.end_for();
    }
    b_.end_for();
  }

  // Over those of a tile that are left along an axis of the result.
  Scalar open_pixels(size_t axis, Scalar first) {
    Scalar left = b_.min(b_.index(kWinogradTile), b_.sub(b_.index(shape_.out[axis]), first));
    std::optional<int64_t> known = b_.constant_of(left);
    return known ? b_.begin_for(LoopKind::serial, *known)[0]
                 : b_.begin_counted(left, kWinogradTile)[0];
  }

  void store(const std::array<Scalar, 3>& place, Scalar y, Scalar x, Scalar output, Scalar sum) {
    std::vector<Scalar> loops = {place[0], b_.add(place[1], y), b_.add(place[2], x),
                                 b_.add(outputs_.start, output)};
    store_results(values_, nest_, loops, sum);
  }

  OpenRange all_inputs_;
  OpenRange tiles_, outputs_;  // of the open block
  WinogradBlock whole_image_, kept_, sums_;
};

}  // namespace

loop::Kernel lower_contract_winograd(const Function& kernel, const Target& target, int threads) {
  if (winograd_shape(contraction_nest(kernel)).form == WinogradForm::weight_gradient)
    return lower_winograd_weight_gradient(kernel, target, threads);
  return WinogradLowering(kernel, target, threads).run();
}

}  // namespace gradc
