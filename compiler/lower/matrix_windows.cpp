#include "compiler/lower/matrix_windows.h"

#include <algorithm>
#include <cstdlib>

#include "ir/integer_math.h"

namespace gradc {
namespace {

// An axis of the image before its positions are told apart.
struct AxisTerms {
  std::optional<size_t> position_loop, tap_loop;
  int64_t position_step = 1, tap_step = 1, offset = 0, divisor = 1, size = 1;
};

// `sums_positions`: whether positions are summed, and taps are the result's, or the other way.
std::optional<AxisTerms> terms_of(const ContractionNest& nest, size_t image, size_t axis,
                                  bool sums_positions) {
  const AffineIndex& index = nest.contraction.operand_indices[image][axis];
  AxisTerms terms{
      .offset = index.offset, .divisor = index.divisor, .size = nest.types[image].dims[axis]};
  for (auto [term, factor] : index.terms) {
    auto l = static_cast<size_t>(term);
    const ContractionLoop& loop = nest.loops[l];
    if (loop.extent == 1)
      continue;
    bool is_position = loop.summed == sums_positions;
    std::optional<size_t>& place = is_position ? terms.position_loop : terms.tap_loop;
    if (place || factor == 0 || (is_position && factor < 0))
      return std::nullopt;
    place = l;
    (is_position ? terms.position_step : terms.tap_step) = factor;
  }
  bool has_unit_steps = terms.position_step == 1 && std::abs(terms.tap_step) == 1;
  return terms.divisor == 1 || has_unit_steps ? std::optional(terms) : std::nullopt;
}

// The positions first, first + divisor, ...
WindowAxis axis_of(const ContractionNest& nest, const AxisTerms& terms, int64_t first) {
  int64_t extent = terms.position_loop ? nest.loops[*terms.position_loop].extent : 1;
  int64_t taps = terms.tap_loop ? nest.loops[*terms.tap_loop].extent : 1;
  int64_t divisor = terms.divisor;
  WindowAxis axis{.position_loop = terms.position_loop,
                  .tap_loop = terms.tap_loop,
                  .size = terms.size,
                  .positions = ceil_div(extent - first, divisor),
                  .first = first,
                  .period = divisor,
                  .tap_period = divisor,
                  .position_step = terms.position_step,
                  .tap_step = std::abs(terms.tap_step)};
  auto numerator = [&](int64_t tap) {
    return terms.position_step * first + (terms.tap_loop ? terms.tap_step : 0) * tap + terms.offset;
  };
  while (axis.first_tap < taps &&
         floor_div(numerator(axis.first_tap), divisor) * divisor != numerator(axis.first_tap))
    ++axis.first_tap;
  axis.taps = axis.first_tap < taps ? ceil_div(taps - axis.first_tap, divisor) : 0;
  if (terms.tap_step < 0 && axis.taps > 0) {
    axis.first_tap += (axis.taps - 1) * divisor;
    axis.tap_period = -divisor;
  }
  axis.offset = axis.taps > 0 ? floor_div(numerator(axis.first_tap), divisor) : 0;
  return axis;
}

std::vector<WindowPhase> phases_of(const ContractionNest& nest,
                                   const std::vector<AxisTerms>& axes) {
  std::vector<WindowPhase> phases(1);
  for (const AxisTerms& terms : axes) {
    std::vector<WindowPhase> more;
    int64_t extent = terms.position_loop ? nest.loops[*terms.position_loop].extent : 1;
    for (const WindowPhase& phase : phases)
      for (int64_t first = 0; first < std::min(terms.divisor, extent); ++first) {
        more.push_back(phase);
        more.back().axes.push_back(axis_of(nest, terms, first));
      }
    phases = std::move(more);
  }
  return phases;
}

// Those of all axes; the last one's taps are the channels, all of them. One channel has no loop
// that counts.
std::optional<std::vector<AxisTerms>> image_axes(const ContractionNest& nest, size_t image,
                                                 bool sums_positions) {
  std::vector<AxisTerms> axes;
  for (size_t axis = 0; axis < nest.types[image].dims.size(); ++axis) {
    std::optional<AxisTerms> terms = terms_of(nest, image, axis, sums_positions);
    if (!terms)
      return std::nullopt;
    axes.push_back(*terms);
  }
  if (axes.empty())
    return std::nullopt;
  const AxisTerms& channels = axes.back();
  int64_t extent = channels.tap_loop ? nest.loops[*channels.tap_loop].extent : 1;
  if (channels.position_loop || channels.tap_step != 1 || channels.offset != 0 ||
      channels.divisor != 1 || channels.size != extent)
    return std::nullopt;
  return axes;
}

// How many axes a loop moves.
int64_t axes_of(const std::vector<AxisTerms>& axes, size_t l) {
  return std::ranges::count_if(axes, [&](const AxisTerms& terms) {
    return terms.position_loop == l || terms.tap_loop == l;
  });
}

}  // namespace

int64_t WindowPhase::taps() const {
  int64_t count = 1;
  for (const WindowAxis& axis : axes)
    count *= axis.taps;
  return count;
}

int64_t WindowPhase::positions() const {
  int64_t count = 1;
  for (const WindowAxis& axis : axes)
    count *= axis.positions;
  return count;
}

std::optional<MatrixWindows> matrix_windows(const ContractionNest& nest) {
  MatrixWindows windows;
  std::optional<size_t> column;
  for (size_t l = 0; l < nest.result_loops; ++l)
    if (nest.loops[l].extent > 1 && nest.loops[l].result_step == 1)
      column = l;
  if (!column || nest.loops[*column].moves[0] == nest.loops[*column].moves[1])
    return std::nullopt;
  windows.column_loop = *column;
  windows.image = nest.loops[*column].moves[0] ? 1 : 0;
  size_t image = windows.image, weight = 1 - image;
  if (nest.has_windows(weight) || nest.has_padding(weight))
    return std::nullopt;
  std::optional<std::vector<AxisTerms>> found = image_axes(nest, image, false);
  if (!found)
    return std::nullopt;
  std::vector<AxisTerms> axes = std::move(*found);
  AxisTerms channels = axes.back();
  axes.pop_back();
  windows.channel_loop = channels.tap_loop ? *channels.tap_loop : nest.loops.size();
  windows.channels = channels.size;
  for (size_t l = 0; l < nest.loops.size(); ++l) {
    const ContractionLoop& loop = nest.loops[l];
    if (loop.extent == 1 || l == *column || l == windows.channel_loop)
      continue;
    bool is_row = !loop.summed && loop.moves[image] && !loop.moves[weight];
    bool is_tap = loop.summed && loop.moves[image] && loop.moves[weight];
    if ((!is_row && !is_tap) || axes_of(axes, l) != 1)
      return std::nullopt;
  }
  windows.phases = phases_of(nest, axes);
  return windows;
}

std::optional<MatrixPixels> matrix_pixels(const ContractionNest& nest) {
  for (size_t image : {0, 1}) {
    size_t gradient = 1 - image;
    std::optional<std::vector<AxisTerms>> axes = image_axes(nest, image, true);
    if (!axes || nest.has_windows(gradient) || nest.has_padding(gradient))
      continue;
    MatrixPixels pixels{.image = image, .channels = axes->back().size};
    pixels.channel_loop = axes->back().tap_loop ? *axes->back().tap_loop : nest.loops.size();
    axes->pop_back();
    size_t output = nest.loops.size();
    bool fits = true;
    for (size_t l = 0; l < nest.loops.size() && fits; ++l) {
      const ContractionLoop& loop = nest.loops[l];
      if (loop.extent == 1 || l == pixels.channel_loop)
        continue;
      bool is_output = !loop.summed && loop.moves[gradient] && !loop.moves[image];
      fits = is_output ? output == nest.loops.size()
                       : loop.moves[image] && loop.moves[gradient] == loop.summed &&
                             axes_of(*axes, l) == 1;
      output = is_output ? l : output;
    }
    if (!fits || output == nest.loops.size() || nest.step(gradient, output) != 1)
      continue;
    pixels.output_loop = output;
    pixels.outputs = nest.loops[output].extent;
    pixels.phase = phases_of(nest, *axes).at(0);
    // Positions follow each other in the gradient.
    int64_t step = pixels.outputs;
    bool in_order = true;
    for (size_t i = axes->size(); i-- > 0; step *= pixels.phase.axes[i].positions)
      if (const WindowAxis& axis = pixels.phase.axes[i]; axis.positions > 1)
        in_order &= axis.period == 1 && nest.step(gradient, *axis.position_loop) == step;
    if (in_order && nest.offset(gradient) == 0)
      return pixels;
  }
  return std::nullopt;
}

}  // namespace gradc
