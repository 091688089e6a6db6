#include "compiler/lower/contraction.h"

#include <algorithm>

#include "ir/diagnostic.h"

namespace gradc {
namespace {

// Of a part of a weight's channels: products for a result at most, where the image has one for each
// tap, and channels at least.
constexpr int64_t kPartElements = 160, kFewestChannels = 4;

void set_loops(ContractionNest& nest) {
  nest.loops.clear();
  Dims result_steps = row_major_strides(nest.contraction.result_dims);
  for (size_t l = 0; l < result_steps.size(); ++l)
    nest.loops.push_back({nest.contraction.result_dims[l], false, result_steps[l], {}});
  nest.result_loops = nest.loops.size();
  for (int64_t extent : nest.contraction.summed_dims)
    nest.loops.push_back({extent, true, 0, {}});
  for (size_t side : {0, 1})
    for (const AffineIndex& index : nest.contraction.operand_indices[side])
      for (auto [l, coefficient] : index.terms)
        nest.loops[static_cast<size_t>(l)].moves[side] |= coefficient != 0;
}

// The axis of an operand whose index is loop l and nothing else, all of it; none if l moves
// another one, or nothing at all.
std::optional<size_t> axis_of(const ContractionNest& nest, size_t operand, size_t l) {
  std::optional<size_t> found;
  const auto& indices = nest.contraction.operand_indices[operand];
  for (size_t axis = 0; axis < indices.size(); ++axis) {
    const AffineIndex& index = indices[axis];
    auto is_l = [&](const auto& term) { return static_cast<size_t>(term.first) == l; };
    if (std::none_of(index.terms.begin(), index.terms.end(), is_l))
      continue;
    bool alone = std::all_of(index.terms.begin(), index.terms.end(), [&](const auto& term) {
      return is_l(term) ? term.second == 1
                        : nest.loops[static_cast<size_t>(term.first)].extent == 1;
    });
    if (found || !alone || index.offset != 0 || index.divisor != 1 ||
        nest.types[operand].dims[axis] != nest.loops[l].extent)
      return std::nullopt;
    found = axis;
  }
  return found;
}

// Whether loops l and l + 1 are as good as one.
bool can_join(const ContractionNest& nest, size_t l) {
  if (l + 1 == nest.result_loops)
    return false;
  for (size_t operand : {0, 1}) {
    if (!nest.loops[l].moves[operand] && !nest.loops[l + 1].moves[operand])
      continue;
    std::optional<size_t> outer = axis_of(nest, operand, l), inner = axis_of(nest, operand, l + 1);
    if (!outer || !inner || *outer + 1 != *inner)
      return false;
  }
  return true;
}

void join(ContractionNest& nest, size_t l) {
  for (size_t operand : {0, 1})
    if (std::optional<size_t> axis = axis_of(nest, operand, l)) {
      auto place = static_cast<std::ptrdiff_t>(*axis);
      Dims& dims = nest.types[operand].dims;
      dims[*axis] *= dims[*axis + 1];
      dims.erase(dims.begin() + place + 1);
      auto& indices = nest.contraction.operand_indices[operand];
      indices[*axis].terms = {{static_cast<int>(l), 1}};
      indices.erase(indices.begin() + place + 1);
    }
  for (auto& indices : nest.contraction.operand_indices)
    for (AffineIndex& index : indices)
      for (auto& term : index.terms)
        term.first -= static_cast<size_t>(term.first) > l ? 1 : 0;
  bool is_summed = l >= nest.result_loops;
  Dims& dims = is_summed ? nest.contraction.summed_dims : nest.contraction.result_dims;
  size_t at = is_summed ? l - nest.result_loops : l;
  dims[at] *= dims[at + 1];
  dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  nest.has_joined_results |= !is_summed;
  set_loops(nest);
}

// The product of the extents of the summed loops before the last one.
int64_t taps_of(const ContractionNest& nest) {
  int64_t taps = 1;
  for (size_t l = nest.result_loops; l + 1 < nest.loops.size(); ++l)
    taps *= nest.loops[l].extent;
  return taps;
}

bool moves_axis(const ContractionNest& nest, const AffineIndex& index, size_t l) {
  return nest.loops[l].extent > 1 &&
         std::any_of(index.terms.begin(), index.terms.end(),
                     [&](const auto& term) { return static_cast<size_t>(term.first) == l; });
}

// By how many positions of a window the image has one element: more than 1 in a data gradient of a
// stride.
int64_t positions_of_element(const ContractionNest& nest, size_t image) {
  int64_t positions = 1;
  for (const AffineIndex& index : nest.contraction.operand_indices[image])
    positions *= index.divisor;
  return positions;
}

// How often a weight is multiplied.
int64_t products_of_weight(const ContractionNest& nest, size_t image) {
  return nest.rows_sharing(1 - image) / positions_of_element(nest, image);
}

// Whether the taps of a weight lie inside of those channels that are summed, loop `last`; or of
// those of the result, where a data gradient multiplies it by few pixels.
bool has_taps_inside(const ContractionNest& nest, size_t image, size_t last) {
  constexpr int64_t kMostPixels = 1024;
  int64_t taps = taps_of(nest), step = nest.step(1 - image, last);
  if (step == taps)
    return true;
  if (taps == 1 || products_of_weight(nest, image) > kMostPixels)
    return false;
  for (size_t l = 0; l < nest.result_loops; ++l)
    if (nest.step(1 - image, l) == taps && step == taps * nest.loops[l].extent)
      return true;
  return false;
}

// How many rows of a tile must share their taps for padding to be skipped rather than a weight to
// be read in one piece: more where it is multiplied by few pixels in all.
int64_t fewest_shared_rows(const ContractionNest& nest, size_t image) {
  constexpr int64_t kFewPixels = 200;
  return products_of_weight(nest, image) <= kFewPixels ? 2 * kFewestSharedRows : kFewestSharedRows;
}

// Whether a loop of `fewest` iterations moves the image and no window: whether so many rows of a
// tile share their taps.
bool has_shared_rows(const ContractionNest& nest, size_t image, int64_t fewest) {
  for (size_t l = 0; l < nest.result_loops; ++l) {
    if (nest.loops[l].extent < fewest || !nest.loops[l].moves[image] ||
        nest.loops[l].moves[1 - image])
      continue;
    const auto& indices = nest.contraction.operand_indices[image];
    bool in_window = std::any_of(indices.begin(), indices.end(), [&](const AffineIndex& index) {
      return moves_axis(nest, index, l) &&
             std::any_of(index.terms.begin(), index.terms.end(), [&](const auto& term) {
               const ContractionLoop& other = nest.loops[static_cast<size_t>(term.first)];
               return other.summed && other.extent > 1;
             });
    });
    if (!in_window)
      return true;
  }
  return false;
}

}  // namespace

ContractionNest contraction_nest(const Function& kernel) {
  auto is_contract = [](const Op& op) { return def(op).kernel == KernelClass::contract; };
  auto op = std::find_if(kernel.ops.begin(), kernel.ops.end(), is_contract);
  GRADC_CHECK(op != kernel.ops.end(), "@{} has no contract op", kernel.name);
  ContractionNest nest{
      .op = *op, .result = op->result(), .operands = {op->operand(0), op->operand(1)}};
  nest.types = {kernel.type(op->operand(0)), kernel.type(op->operand(1))};
  nest.result_type = kernel.type(op->result());
  nest.contraction = def(*op).contraction(nest.types, nest.result_type, op->attrs);
  set_loops(nest);
  return nest;
}

ContractionNest with_joined_loops(ContractionNest nest) {
  for (size_t l = 0; l + 1 < nest.loops.size();)
    if (can_join(nest, l)) {
      join(nest, l);
      l = 0;  // an index may be one loop's alone now
    } else {
      ++l;
    }
  return nest;
}

ContractionNest with_channel_parts(ContractionNest nest) {
  size_t first = nest.result_loops, last = nest.loops.size() - 1, image = 0;
  if (last <= first || !nest.has_windows(image) || nest.has_windows(1 - image) ||
      nest.step(image, last) != 1 || !has_taps_inside(nest, image, last) ||
      has_shared_rows(nest, image, fewest_shared_rows(nest, image)))
    return nest;
  int64_t channels = nest.loops[last].extent, part = kFewestChannels;
  int64_t most = kPartElements * positions_of_element(nest, image);
  while (2 * part * taps_of(nest) <= most && channels % (2 * part) == 0)
    part *= 2;
  if (channels % part != 0 || part == channels)
    return nest;
  for (auto& indices : nest.contraction.operand_indices)
    for (AffineIndex& index : indices) {
      std::optional<int64_t> coefficient;
      for (auto& term : index.terms) {
        if (static_cast<size_t>(term.first) == last)
          coefficient = term.second;
        term.first += static_cast<size_t>(term.first) >= first ? 1 : 0;
      }
      if (coefficient)
        index.terms.push_back({static_cast<int>(first), *coefficient * part});
    }
  Dims& summed = nest.contraction.summed_dims;
  summed.back() = part;
  summed.insert(summed.begin(), channels / part);
  nest.has_channel_parts = true;
  set_loops(nest);
  return nest;
}

Range numerators_of(const AffineIndex& index, std::span<const Range> ranges) {
  Range range{index.offset, index.offset + 1};
  for (auto [l, coefficient] : index.terms) {
    const Range& loop = ranges[static_cast<size_t>(l)];
    int64_t first = coefficient * loop.begin, last = coefficient * (loop.end - 1);
    range.begin += std::min(first, last);
    range.end += std::max(first, last);
  }
  return range;
}

Range ContractionNest::numerators(size_t operand, size_t axis,
                                  const std::vector<int64_t>& extents) const {
  std::vector<Range> ranges;
  for (int64_t extent : extents)
    ranges.push_back({0, extent});
  return numerators_of(contraction.operand_indices[operand][axis], ranges);
}

std::vector<int64_t> ContractionNest::extents() const {
  std::vector<int64_t> sizes;
  for (const ContractionLoop& loop : loops)
    sizes.push_back(loop.extent);
  return sizes;
}

bool ContractionNest::has_padding(size_t operand) const {
  const auto& indices = contraction.operand_indices[operand];
  for (size_t axis = 0; axis < indices.size(); ++axis) {
    Range range = numerators(operand, axis, extents());
    if (indices[axis].divisor != 1 || range.begin < 0 || range.end > types[operand].dims[axis])
      return true;
  }
  return false;
}

bool ContractionNest::is_spread(size_t operand) const {
  return positions_of_element(*this, operand) > 1;
}

bool ContractionNest::has_windows(size_t operand) const {
  for (const AffineIndex& index : contraction.operand_indices[operand]) {
    int64_t rows = 0, summed = 0;
    for (const auto& term : index.terms) {
      const ContractionLoop& loop = loops[static_cast<size_t>(term.first)];
      // A loop that moves the result and both operands selects a group of channels.
      bool is_group = loop.moves[0] && loop.moves[1] && !loop.summed;
      if (loop.extent > 1 && !is_group)
        ++(loop.summed ? summed : rows);
    }
    if (rows > 1 || (rows == 1 && summed > 0))
      return true;
  }
  return false;
}

int64_t ContractionNest::rows_sharing(size_t operand) const {
  int64_t rows = 1;
  for (size_t l = 0; l < result_loops; ++l)
    if (loops[l].moves[1 - operand] && !loops[l].moves[operand])
      rows *= loops[l].extent;
  return rows;
}

int64_t ContractionNest::step(size_t operand, size_t l) const {
  const auto& indices = contraction.operand_indices[operand];
  Dims strides = row_major_strides(types[operand].dims);
  int64_t sum = 0;
  for (size_t axis = 0; axis < indices.size(); ++axis)
    for (auto [term, coefficient] : indices[axis].terms)
      if (static_cast<size_t>(term) == l)
        sum += coefficient * strides[axis];
  return sum;
}

int64_t ContractionNest::offset(size_t operand) const {
  const auto& indices = contraction.operand_indices[operand];
  Dims strides = row_major_strides(types[operand].dims);
  int64_t sum = 0;
  for (size_t axis = 0; axis < indices.size(); ++axis)
    sum += indices[axis].offset * strides[axis];
  return sum;
}

DType ContractionNest::sum_dtype() const {
  DType dtype = types[0].dtype;
  return dtype == DType::f16 || dtype == DType::bf16 ? DType::f32 : dtype;
}

void join_loops(std::vector<loop::TileLoop>& loops) {
  std::vector<loop::TileLoop> joined;
  for (const loop::TileLoop& inner : loops) {
    if (inner.extent == 1 && !inner.counted)
      continue;
    bool fixed = !joined.empty() && !joined.back().counted && !inner.counted;
    if (fixed && joined.back().a_step == inner.extent * inner.a_step &&
        joined.back().b_step == inner.extent * inner.b_step)
      joined.back() = {joined.back().extent * inner.extent, inner.a_step, inner.b_step};
    else
      joined.push_back(inner);
  }
  loops = std::move(joined);
}

}  // namespace gradc
