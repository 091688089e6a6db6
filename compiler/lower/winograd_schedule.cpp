#include <algorithm>

#include "compiler/lower/winograd.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

// Cycles that the transforms of a vector take for one tile, or pair of channels, measured with
// blocks in the second level cache, and with small ones, which stay in the first for the most part.
struct TransformCycles {
  double image, weight, result;
};
constexpr TransformCycles kFar{300, 300, 200}, kNear{220, 200, 150};
constexpr double kFarSumCycles = 4, kNearSumCycles = 1.5;  // to load and store a vector once more
// To read a line of the other block beside the products; from the third level cache a share of what
// that takes alone.
constexpr double kLineCycles = 0.35, kFarLineShare = 0.4;

// Of a block that is small: of the image or the sums, and of a row of planes of the weight, which
// has taps, sums and tiles beside it.
constexpr double kSmallBlock = 64 << 10, kSmallRow = 12 << 10, kMostOfRow = 48 << 10;

// Bytes of an image with `image_once`. Of 9 MiB it is slower than transforming again, of 18 by
// half.
constexpr double kMostOnce = 5 << 20;

struct Axis {
  int64_t all = 0, block = 0;
  int64_t blocks() const { return ceil_div(all, block); }
};

class Chooser {
 public:
  Chooser(const WinogradShape& shape, const Target& target, int threads, bool may_use_workspace)
      : shape_(shape),
        target_(target),
        threads_(threads),
        may_use_workspace_(may_use_workspace),
        lanes_(target.lanes_f32()) {}

  WinogradSchedule choose(int64_t most_tiles, int64_t most_inputs) {
    // Blocks of all inputs are the large ones.
    bool may_keep = most_inputs >= std::min<int64_t>(shape_.inputs, 64);
    bool may_be_once = may_use_workspace_ && bytes_of_image() <= kMostOnce;
    for (int64_t vectors = 1; vectors <= 4; ++vectors) {
      int64_t outputs = std::min(vectors, ceil_div(shape_.outputs, lanes_)) * lanes_;
      for (int64_t inputs : sizes(shape_.inputs, std::min<int64_t>(most_inputs, 256), lanes_)) {
        if (is_weight_gradient() && may_be_once)
          consider({.tiles = shape_.all_tiles(),
                    .inputs = inputs,
                    .outputs = outputs,
                    .rows = rows_of_tile(inputs, outputs / lanes_),
                    .image_once = true});
        for (int64_t tiles : sizes(shape_.all_tiles(), std::min<int64_t>(most_tiles, 256), 1)) {
          WinogradSchedule s{.tiles = tiles, .inputs = inputs, .outputs = outputs};
          s.rows = rows_of_tile(is_weight_gradient() ? inputs : tiles, outputs / lanes_);
          consider(s);
          if (is_weight_gradient())
            continue;
          s.outputs_outside = true;
          consider(s);
          if (!may_keep)
            continue;
          s.keeps = true;
          consider(s);
          if (may_be_once) {
            s.image_once = true;
            consider(s);
            s.image_once = false;
          }
          s.outputs_outside = false;
          if (4 * product(inputs, outputs, kWinogradPoints) <= kMostOfRow)
            consider(s);
        }
      }
    }
    return best_;
  }

 private:
  // Even parts of an axis, of at most `most`; of whole units, unless there is no more than one.
  static std::vector<int64_t> sizes(int64_t all, int64_t most, int64_t unit) {
    std::vector<int64_t> sizes;
    for (int64_t parts = ceil_div(all, most); parts <= all; ++parts)
      if (int64_t size = ceil_div(all, parts); size % unit == 0 || parts == 1 || size <= unit)
        if (sizes.empty() || size < sizes.back())
          sizes.push_back(size);
    return sizes;
  }

  int64_t rows_of_tile(int64_t all, int64_t vectors) const {
    int64_t registers = target_.vector_registers >= 32 ? 29 : target_.vector_registers - 1;
    int64_t rows = std::min<int64_t>((registers - 1 - vectors) / vectors, 16);
    return ceil_div(all, ceil_div(all, rows));
  }

  static double product(int64_t x, int64_t y, int64_t z = 1) {
    return static_cast<double>(x) * static_cast<double>(y) * static_cast<double>(z);
  }

  bool is_weight_gradient() const { return shape_.form == WinogradForm::weight_gradient; }

  // Of the image's tiles; of a weight gradient, of the larger image's.
  double bytes_of_image() const {
    int64_t channels =
        is_weight_gradient() ? std::max(shape_.inputs, shape_.outputs) : shape_.inputs;
    return 4 * product(shape_.all_tiles(), channels, kWinogradPlanes);
  }

  static bool by_rows(const WinogradSchedule& s) { return s.keeps && !s.outputs_outside; }

  double bytes_of(const WinogradSchedule& s) const {
    if (s.image_once && is_weight_gradient())
      return 4 * product(s.inputs, s.outputs, kWinogradPlanes);
    double image =
        s.image_once ? 0 : product(s.tiles, by_rows(s) ? shape_.inputs : s.inputs, kWinogradPlanes);
    // Taps, and those that are fetched meanwhile.
    double weight = by_rows(s)
                        ? product(s.outputs, shape_.inputs, 2 * kWinogradTaps * kWinogradTaps) +
                              product(s.inputs, s.outputs, kWinogradPoints)
                        : product(s.outputs, s.keeps ? shape_.inputs : s.inputs, kWinogradPlanes);
    return 4 * (image + weight + product(s.tiles, s.outputs, kWinogradPlanes));
  }

  void consider(WinogradSchedule s) {
    double cycles = cycles_of(s) * (1 + beyond_the_cache(s));
    if (best_.rows > 0 && cycles >= cycles_)
      return;
    cycles_ = cycles;
    best_ = s;
  }

  // What else is read and written pushes a part of the blocks out of the second level cache. A
  // weight gradient's task goes through its blocks in order, which the third level cache serves
  // nearly as well: fewer tasks, which transform less, are worth it.
  double beyond_the_cache(const WinogradSchedule& s) const {
    double share = bytes_of(s) / static_cast<double>(target_.l2_bytes);
    double beyond = std::max(0.0, share - 0.5);
    if (is_weight_gradient())
      return 0.08 * beyond;
    return by_rows(s) ? 0.25 * beyond : 0.5 * beyond + (share > 0.85 ? 1 : 0);
  }

  // On all threads; sets how many parts tasks make of the inner loop.
  double cycles_of(WinogradSchedule& s) const {
    int64_t columns = ceil_div(shape_.outputs, lanes_);
    auto r = static_cast<double>(s.rows),
         v = static_cast<double>(s.outputs) / static_cast<double>(lanes_);
    double step = (std::max({r * v, r / 2 + v, 4.0}) + 0.15 * r + 0.25 * v) / (2 * r * v);
    double cycles = kWinogradPlanes * product(shape_.all_tiles(), shape_.inputs, columns) * step;
    Axis tiles{shape_.all_tiles(), s.tiles}, inputs{shape_.inputs, s.inputs};
    Axis outputs{shape_.outputs, s.outputs};
    int64_t tasks = 0;
    if (is_weight_gradient()) {
      tasks = inputs.blocks() * outputs.blocks();
      cycles += beside_weight_gradient(s.image_once, tiles, inputs, outputs);
    } else {
      const Axis &outer = s.outputs_outside ? outputs : tiles,
                 &inner = s.outputs_outside ? tiles : outputs;
      s.parts = parts_of(outer.blocks(), inner);
      tasks = outer.blocks() * s.parts;
      cycles += beside_products(s, tiles, inputs, outputs);
    }
    return cycles * static_cast<double>(ceil_div(tasks, threads_)) / static_cast<double>(tasks);
  }

  double beside_weight_gradient(bool once, const Axis& tiles, const Axis& inputs,
                                const Axis& outputs) const {
    int64_t columns = ceil_div(shape_.outputs, lanes_), rows = ceil_div(shape_.inputs, lanes_);
    double image = product(tiles.all, rows, outputs.blocks()),
           gradient = product(tiles.all, columns, inputs.blocks());
    double read = far_line_cycles() * kWinogradPlanes * (image + gradient);
    double both = once ? read + kFar.image * product(tiles.all, rows) +
                             kFar.result * product(tiles.all, columns)
                       : kFar.image * image + kFar.result * gradient;
    return both + kFar.weight * product(inputs.all, columns) +
           kFarSumCycles * sums(tiles.blocks(), product(inputs.all, columns));
  }

  double beside_products(const WinogradSchedule& s, const Axis& tiles, const Axis& inputs,
                         const Axis& outputs) const {
    int64_t columns = ceil_div(shape_.outputs, lanes_), rows = ceil_div(shape_.inputs, lanes_);
    bool near_image = !by_rows(s) && !s.image_once && is_small(s.tiles, s.inputs);
    bool near_weight = by_rows(s) && is_small_row(s.inputs, s.outputs);
    bool near_result = is_small(s.tiles, s.outputs);
    bool near_sums = by_rows(s) && is_small_row(s.tiles, s.outputs);
    int64_t of_image = s.image_once ? 1 : by_rows(s) ? s.parts : outputs.blocks();
    int64_t of_weight = s.keeps && s.outputs_outside ? s.parts : tiles.blocks();
    double of_images = product(tiles.all, rows, outputs.blocks());
    double lines = by_rows(s) ? of_images : product(inputs.all, columns, tiles.blocks());
    double far_lines = s.image_once ? of_images : 0;
    return (near_image ? kNear : kFar).image * product(tiles.all, rows, of_image) +
           (near_weight ? kNear : kFar).weight * product(inputs.all, columns, of_weight) +
           (near_result ? kNear : kFar).result * product(tiles.all, columns) +
           (near_sums ? kNearSumCycles : kFarSumCycles) *
               sums(inputs.blocks(), product(tiles.all, columns)) +
           kWinogradPlanes * (kLineCycles * lines + far_line_cycles() * far_lines);
  }

  double far_line_cycles() const { return kFarLineShare * target_.l3_line_cycles; }

  static bool is_small(int64_t rows, int64_t columns) {
    return 4 * product(rows, columns, kWinogradPlanes) <= kSmallBlock;
  }

  static bool is_small_row(int64_t rows, int64_t columns) {
    return 4 * product(rows, columns, kWinogradPoints) <= kSmallRow;
  }

  // Vectors of sums that are loaded and stored once more.
  static double sums(int64_t passes, double vectors) {
    return passes == 1 ? 0 : kWinogradPlanes * static_cast<double>(passes) * vectors;
  }

  // Enough for all threads, of whole blocks.
  int64_t parts_of(int64_t outer, const Axis& inner) const {
    if (threads_ == 1 || inner.all % inner.block != 0)
      return 1;
    int64_t parts = 1;
    while (outer * parts < 2 * threads_ && parts < inner.blocks()) {
      ++parts;
      while (inner.blocks() % parts != 0)
        ++parts;
    }
    return parts;
  }

  const WinogradShape& shape_;
  const Target& target_;
  int threads_;
  bool may_use_workspace_;
  int64_t lanes_;
  WinogradSchedule best_;
  double cycles_ = 0;
};

std::array<int64_t, 2> spatial_of(const Type& image) {
  return {image.dims[1], image.dims[2]};
}

}  // namespace

WinogradShape winograd_shape(const ContractionNest& nest) {
  WinogradShape s;
  const std::vector<int64_t>& low = nest.op.attrs.integers("low");
  const Type& weight =
      nest.op.code == Opcode::conv_weight_gradient ? nest.result_type : nest.types[1];
  s.images = nest.types[0].dims[0];
  s.inputs = weight.dims[1];
  s.outputs = weight.dims[0];
  s.in = spatial_of(nest.types[0]);
  s.low = {low[0], low[1]};
  if (nest.op.code == Opcode::conv_weight_gradient) {
    s.form = WinogradForm::weight_gradient;
    s.out = spatial_of(nest.types[1]);
  } else {
    s.out = spatial_of(nest.result_type);
  }
  if (nest.op.code == Opcode::conv_data_gradient) {
    s.form = WinogradForm::data_gradient;
    std::swap(s.inputs, s.outputs);
    for (int64_t& pixels : s.low)
      pixels = kWinogradTaps - 1 - pixels;
  }
  for (size_t axis = 0; axis < 2; ++axis)
    s.tiles[axis] = ceil_div(s.out[axis], kWinogradTile);
  return s;
}

WinogradSchedule choose_winograd_schedule(const WinogradShape& shape, const Target& target,
                                          int threads, int64_t most_tiles, int64_t most_inputs,
                                          bool may_use_workspace) {
  return Chooser(shape, target, threads, may_use_workspace).choose(most_tiles, most_inputs);
}

}  // namespace gradc
