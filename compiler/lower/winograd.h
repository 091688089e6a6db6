#pragma once
// Winograd's F(4x4, 3x3): the sums of a 3x3 convolution of stride 1 in tiles of 4x4 results, from
// tiles of 6x6 of the image, of which neighbours share two rows or columns. With Y a tile of
// results, X of the image and W a weight's taps, for each pair of channels
//   Y = A' ((B' X B) * (G W G')) A        (' transposes, * multiplies element by element)
// and summed over channels the middle is 36 matrix products, 4 times fewer multiplications than the
// taps take. The data gradient is the same with the taps in reverse. The weight gradient is what
// the formula says when it is read backwards, dW = G' ((B' X B) * (A dY A')) G.
//
// A, B and G are those of polynomials evaluated at 0, +-3/4, +-3/2 and infinity: with +-1 and +-2
// errors are 4 times as large.
#include <array>
#include <functional>
#include <span>
#include <vector>

#include "compiler/lower/contraction.h"
#include "compiler/target.h"
#include "ir/loop_builder.h"

namespace gradc {

inline constexpr int64_t kWinogradTile = 4, kWinogradTaps = 3, kWinogradPoints = 6;
inline constexpr int64_t kWinogradPlanes = kWinogradPoints * kWinogradPoints;

enum class WinogradForm : uint8_t { forward, data_gradient, weight_gradient };

// A convolution of that kind. Where it is the data gradient, image and result change sides.
struct WinogradShape {
  WinogradForm form = WinogradForm::forward;
  int64_t images = 0, inputs = 0, outputs = 0;  // of the weight gradient, its rows and columns
  std::array<int64_t, 2> in{}, out{};  // spatial sizes
  std::array<int64_t, 2> low{};  // padding before the first pixel
  std::array<int64_t, 2> tiles{};  // that cover the result
  int64_t all_tiles() const { return images * tiles[0] * tiles[1]; }
};
WinogradShape winograd_shape(const ContractionNest& nest);

// How the work is cut so that the transformed blocks of image, weight and sums stay in the second
// level cache together. What is needed again is transformed again; only an image with
// `image_once` waits in the third level cache.
struct WinogradSchedule {
  // Tiles, inputs and outputs of a block.
  int64_t tiles = 0, inputs = 0, outputs = 0;
  int64_t rows = 0;  // of a register tile
  bool outputs_outside = false;  // of the loops over blocks of tiles and of outputs
  // The image's block, or with outputs outside the weight's, is transformed for all inputs in front
  // of the inner loop, whatever the `inputs` of the other one.
  bool keeps = false;
  // All tiles of the image are transformed first, by all threads, into the workspace, from where
  // the products read them: with outputs outside and a weight that is kept, or of a weight
  // gradient, together with the other image.
  bool image_once = false;
  int64_t parts = 1;  // of the inner of these loops, which are tasks of their own
};
WinogradSchedule choose_winograd_schedule(const WinogradShape& shape, const Target& target,
                                          int threads, int64_t most_tiles, int64_t most_inputs,
                                          bool may_use_workspace);

// The transforms, along one axis. Rows of A, B and G are linear in their arguments.
using WinogradTransform = std::vector<loop::Scalar> (*)(loop::Builder& builder,
                                                        std::span<const loop::Scalar> values);
std::vector<loop::Scalar> winograd_image(loop::Builder& builder,
                                         std::span<const loop::Scalar> x);  // B' X: 6 of 6
std::vector<loop::Scalar> winograd_weight(loop::Builder& builder,
                                          std::span<const loop::Scalar> w);  // G W: 6 of 3
// A row of G, whose number is a loop's.
std::array<loop::Scalar, 3> winograd_weight_row(loop::Builder& builder, loop::Scalar row);
std::vector<loop::Scalar> winograd_result(loop::Builder& builder,
                                          std::span<const loop::Scalar> m);  // A' M: 4 of 6
std::vector<loop::Scalar> winograd_result_adjoint(loop::Builder& builder,
                                                  std::span<const loop::Scalar> dy);  // 6 of 4
std::vector<loop::Scalar> winograd_weight_adjoint(loop::Builder& builder,
                                                  std::span<const loop::Scalar> m);  // 3 of 6

// Along both axes of a square of values, row-major.
std::vector<loop::Scalar> along_both_axes(loop::Builder& builder, WinogradTransform transform,
                                          const std::vector<loop::Scalar>& square);

}  // namespace gradc
