#include "compiler/lower/matrix_windows.h"

#include <algorithm>
#include <cstdlib>

#include "ir/integer_math.h"

namespace gradc {
namespace {

// An axis of the image before its positions are told apart.
struct AxisTerms {
  std::optional<size_t> row_loop, tap_loop;
  int64_t row_step = 1, tap_step = 1, offset = 0, divisor = 1, size = 1;
};

std::optional<AxisTerms> terms_of(const ContractionNest& nest, size_t image, size_t axis) {
  const AffineIndex& index = nest.contraction.operand_indices[image][axis];
  AxisTerms terms{
      .offset = index.offset, .divisor = index.divisor, .size = nest.types[image].dims[axis]};
  for (auto [term, factor] : index.terms) {
    auto l = static_cast<size_t>(term);
    const ContractionLoop& loop = nest.loops[l];
    if (loop.extent == 1)
      continue;
    std::optional<size_t>& place = loop.summed ? terms.tap_loop : terms.row_loop;
    if (place || factor == 0 || (!loop.summed && factor < 0))
      return std::nullopt;
    place = l;
    (loop.summed ? terms.tap_step : terms.row_step) = factor;
  }
  bool has_unit_steps = terms.row_step == 1 && std::abs(terms.tap_step) == 1;
  return terms.divisor == 1 || has_unit_steps ? std::optional(terms) : std::nullopt;
}

// The positions first, first + divisor, ...
WindowAxis axis_of(const ContractionNest& nest, const AxisTerms& terms, int64_t first) {
  int64_t extent = terms.row_loop ? nest.loops[*terms.row_loop].extent : 1;
  int64_t taps = terms.tap_loop ? nest.loops[*terms.tap_loop].extent : 1;
  int64_t divisor = terms.divisor;
  WindowAxis axis{.row_loop = terms.row_loop,
                  .tap_loop = terms.tap_loop,
                  .size = terms.size,
                  .positions = ceil_div(extent - first, divisor),
                  .first = first,
                  .period = divisor,
                  .tap_period = divisor,
                  .row_step = terms.row_step,
                  .tap_step = std::abs(terms.tap_step)};
  auto numerator = [&](int64_t tap) {
    return terms.row_step * first + (terms.tap_loop ? terms.tap_step : 0) * tap + terms.offset;
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
    int64_t extent = terms.row_loop ? nest.loops[*terms.row_loop].extent : 1;
    for (const WindowPhase& phase : phases)
      for (int64_t first = 0; first < std::min(terms.divisor, extent); ++first) {
        more.push_back(phase);
        more.back().axes.push_back(axis_of(nest, terms, first));
      }
    phases = std::move(more);
  }
  return phases;
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
  if (nest.has_windows(weight) || nest.has_padding(weight) || nest.types[image].dims.empty())
    return std::nullopt;
  std::vector<AxisTerms> axes;
  for (size_t axis = 0; axis < nest.types[image].dims.size(); ++axis) {
    std::optional<AxisTerms> terms = terms_of(nest, image, axis);
    if (!terms)
      return std::nullopt;
    axes.push_back(*terms);
  }
  AxisTerms channels = axes.back();
  axes.pop_back();
  if (channels.row_loop || channels.tap_step != 1 || channels.offset != 0 || channels.divisor != 1)
    return std::nullopt;
  // The channels are the innermost of the summed loops; one channel has none that counts.
  windows.channel_loop = channels.tap_loop ? *channels.tap_loop : nest.loops.size();
  windows.channels = channels.tap_loop ? nest.loops[*channels.tap_loop].extent : 1;
  if (channels.size != windows.channels)
    return std::nullopt;
  for (size_t l = 0; l < nest.loops.size(); ++l) {
    const ContractionLoop& loop = nest.loops[l];
    auto is_there = [&](const AxisTerms& terms) {
      return terms.row_loop == l || terms.tap_loop == l;
    };
    if (loop.extent == 1 || l == *column || l == windows.channel_loop)
      continue;
    bool is_row = !loop.summed && loop.moves[image] && !loop.moves[weight];
    bool is_tap = loop.summed && loop.moves[image] && loop.moves[weight];
    if ((!is_row && !is_tap) || std::count_if(axes.begin(), axes.end(), is_there) != 1)
      return std::nullopt;
  }
  windows.phases = phases_of(nest, axes);
  return windows;
}

}  // namespace gradc
