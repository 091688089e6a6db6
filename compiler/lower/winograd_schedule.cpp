#include <algorithm>

#include "compiler/lower/winograd.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

// Cycles that the transforms of a vector take for one tile, or pair of channels, measured with the
// blocks in the second level cache.
constexpr double kImageCycles = 300, kWeightCycles = 300, kResultCycles = 200;
constexpr double kSumCycles = 3;  // to load and store a vector of sums once more

struct Axis {
  int64_t all = 0, block = 0;
  int64_t blocks() const { return ceil_div(all, block); }
};

class Chooser {
 public:
  Chooser(const WinogradShape& shape, const Target& target, int threads)
      : shape_(shape), target_(target), threads_(threads), lanes_(target.lanes_f32()) {}

  WinogradSchedule choose(int64_t most_tiles, int64_t most_inputs) {
    bool weight = shape_.form == WinogradForm::weight_gradient;
    for (int64_t vectors = 1; vectors <= 4; ++vectors) {
      int64_t outputs = std::min(vectors, ceil_div(shape_.outputs, lanes_)) * lanes_;
      for (int64_t inputs : sizes(shape_.inputs, std::min<int64_t>(most_inputs, 256), lanes_))
        for (int64_t tiles : sizes(shape_.all_tiles(), std::min<int64_t>(most_tiles, 256), 1)) {
          WinogradSchedule s{.tiles = tiles, .inputs = inputs, .outputs = outputs};
          s.rows = rows_of_tile(weight ? inputs : tiles, outputs / lanes_);
          consider(s);
          s.outputs_outside = true;
          if (!weight)
            consider(s);
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
    int64_t rows = std::min<int64_t>((registers - 1 - vectors) / vectors, 14);
    return ceil_div(all, ceil_div(all, rows));
  }

  static double product(int64_t x, int64_t y, int64_t z = 1) {
    return static_cast<double>(x) * static_cast<double>(y) * static_cast<double>(z);
  }

  void consider(WinogradSchedule s) {
    double bytes =
        4.0 * kWinogradPlanes *
        (product(s.tiles, s.inputs) + product(s.inputs, s.outputs) + product(s.tiles, s.outputs));
    // What else is read and written pushes a part of the blocks out.
    double share = bytes / static_cast<double>(target_.l2_bytes);
    double cycles = cycles_of(s) * (1 + 0.5 * std::max(0.0, share - 0.5) + (share > 0.85 ? 1 : 0));
    if (best_.rows > 0 && cycles >= cycles_)
      return;
    cycles_ = cycles;
    best_ = s;
  }

  // On all threads; sets how many parts tasks make of the inner loop.
  double cycles_of(WinogradSchedule& s) const {
    Axis tiles{shape_.all_tiles(), s.tiles}, inputs{shape_.inputs, s.inputs};
    Axis outputs{shape_.outputs, s.outputs};
    int64_t columns = ceil_div(shape_.outputs, lanes_), rows = ceil_div(shape_.inputs, lanes_);
    auto r = static_cast<double>(s.rows),
         v = static_cast<double>(s.outputs) / static_cast<double>(lanes_);
    double step = (std::max({r * v, r / 2 + v, 4.0}) + 0.15 * r + 0.25 * v) / (2 * r * v);
    double cycles = kWinogradPlanes * product(tiles.all, inputs.all, columns) * step;
    bool weight = shape_.form == WinogradForm::weight_gradient;
    int64_t tasks = 0;
    if (weight) {
      cycles += kImageCycles * product(tiles.all, rows, outputs.blocks());
      cycles += kResultCycles * product(tiles.all, columns, inputs.blocks());
      cycles += kWeightCycles * product(inputs.all, columns);
      cycles += sums(tiles.blocks(), product(inputs.all, columns));
      tasks = inputs.blocks() * outputs.blocks();
    } else {
      bool whole = inputs.blocks() == 1;
      const Axis &outer = s.outputs_outside ? outputs : tiles,
                 &inner = s.outputs_outside ? tiles : outputs;
      s.parts = parts_of(outer.blocks(), inner);
      tasks = outer.blocks() * s.parts;
      cycles += kImageCycles * product(tiles.all, rows) *
                static_cast<double>(whole && !s.outputs_outside ? s.parts : outputs.blocks());
      cycles += kWeightCycles * product(inputs.all, columns) *
                static_cast<double>(whole && s.outputs_outside ? s.parts : tiles.blocks());
      cycles += kResultCycles * product(tiles.all, columns);
      cycles += sums(inputs.blocks(), product(tiles.all, columns));
    }
    return cycles * static_cast<double>(ceil_div(tasks, threads_)) / static_cast<double>(tasks);
  }

  static double sums(int64_t passes, double vectors) {
    return passes == 1 ? 0 : kSumCycles * kWinogradPlanes * static_cast<double>(passes) * vectors;
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
                                          int threads, int64_t most_tiles, int64_t most_inputs) {
  return Chooser(shape, target, threads).choose(most_tiles, most_inputs);
}

}  // namespace gradc
