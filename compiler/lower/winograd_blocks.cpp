#include "compiler/lower/winograd_blocks.h"

#include "compiler/lower/contract_tasks.h"
#include "compiler/lower/segments.h"
#include "compiler/lower/stage_operand.h"
#include "ir/diagnostic.h"
#include "ir/integer_math.h"

namespace gradc {

using loop::Code;
using loop::LoopKind;
using loop::Scalar;

WinogradBlock WinogradBlocks::layout(int64_t rows, int64_t columns, int64_t planes) const {
  WinogradBlock block{
      .planes = planes, .rows = rows, .columns = columns, .row_step = round_up(columns, lanes_)};
  // A line more, so that planes do not share the sets of a cache.
  block.plane_step = rows * block.row_step + lanes_;
  return block;
}

WinogradBlock WinogradBlocks::block(const std::string& name, int64_t rows, int64_t columns,
                                    int64_t planes) {
  WinogradBlock block = layout(rows, columns, planes);
  block.buffer = b_.scratch(name, DType::f32, planes * block.plane_step);
  return block;
}

WinogradBlock WinogradBlocks::shared_blocks(const std::string& name, int64_t rows, int64_t columns,
                                            int64_t count) {
  WinogradBlock block = layout(rows, columns, kWinogradPlanes);
  block.buffer = b_.add_buffer(
      {name, loop::Space::workspace, DType::f32, count * block.planes * block.plane_step});
  return block;
}

WinogradBlock WinogradBlocks::numbered(const WinogradBlock& blocks, Scalar number) {
  WinogradBlock block = blocks;
  block.start = b_.scaled(number, block.planes * block.plane_step);
  return block;
}

Scalar WinogradBlocks::address(const WinogradBlock& block, int64_t plane, Scalar row,
                               Scalar column) {
  Scalar start = b_.add(b_.index(plane * block.plane_step), column);
  return plus_start(block, b_.add(start, b_.scaled(row, block.row_step)));
}

Scalar WinogradBlocks::plus_start(const WinogradBlock& block, Scalar at) {
  return block.start ? b_.add(*block.start, at) : at;
}

WinogradBlock WinogradBlocks::planes_of(const WinogradBlock& block, const OpenRange& planes) {
  WinogradBlock part = block;
  part.planes = planes.size;
  part.start = plus_start(block, b_.scaled(planes.start, block.plane_step));
  return part;
}

WinogradBlock WinogradBlocks::rows_of(const WinogradBlock& block, const OpenRange& rows) {
  WinogradBlock part = block;
  part.rows = rows.size;
  part.start = plus_start(block, b_.scaled(rows.start, block.row_step));
  return part;
}

WinogradBlock WinogradBlocks::columns_of(const WinogradBlock& block, const OpenRange& columns) {
  WinogradBlock part = block;
  part.columns = columns.size;
  part.start = plus_start(block, columns.start);
  return part;
}

Scalar WinogradBlocks::element(const WinogradBlock& block, int64_t plane, Scalar row,
                               Scalar column) {
  return b_.load(block.buffer, address(block, plane, row, column));
}

std::vector<Scalar> WinogradBlocks::elements(const WinogradBlock& block, Scalar row,
                                             Scalar column) {
  std::vector<Scalar> all;
  for (int64_t plane = 0; plane < block.planes; ++plane)
    all.push_back(element(block, plane, row, column));
  return all;
}

void WinogradBlocks::store(const WinogradBlock& block, Scalar row, Scalar column,
                           std::span<const Scalar> elements) {
  GRADC_CHECK(std::ssize(elements) == block.planes);
  for (int64_t plane = 0; plane < block.planes; ++plane)
    b_.store(block.buffer, address(block, plane, row, column),
             elements[static_cast<size_t>(plane)]);
}

std::array<Scalar, 3> WinogradBlocks::place_of(Scalar tile) {
  std::vector<Scalar> at = unravel(b_, tile, {shape_.images, shape_.tiles[0], shape_.tiles[1]});
  return {at[0], at[1], at[2]};
}

void WinogradBlocks::image_tiles(const WinogradBlock& to, ValueId image, const OpenRange& tiles,
                                 const OpenRange& channels) {
  tiles_of(to, {image, shape_.in, shape_.low, kWinogradPoints, winograd_image}, tiles, channels);
}

void WinogradBlocks::result_tiles(const WinogradBlock& to, ValueId result, const OpenRange& tiles,
                                  const OpenRange& channels) {
  tiles_of(to, {result, shape_.out, {0, 0}, kWinogradTile, winograd_result_adjoint}, tiles,
           channels);
}

void WinogradBlocks::tiles_of(const WinogradBlock& to, const Window& window, const OpenRange& tiles,
                              const OpenRange& channels) {
  Scalar tile = b_.begin_for(LoopKind::serial, tiles.size, {}, {}, "tile")[0];
  std::array<Scalar, 3> place = place_of(b_.add(tiles.start, tile));
  // Along each axis: where the window's pixels are, and whether they are in the image.
  std::array<std::vector<Scalar>, 2> at;
  std::array<std::vector<std::optional<Scalar>>, 2> inside;
  for (size_t axis = 0; axis < 2; ++axis)
    for (int64_t i = 0; i < window.side; ++i) {
      int64_t first = i - window.low[axis];
      int64_t last = first + kWinogradTile * (shape_.tiles[axis] - 1);
      Scalar pixel = b_.add(b_.scaled(place[axis + 1], kWinogradTile), b_.index(first));
      std::optional<Scalar> condition;
      if (first < 0)
        condition = b_.compare(Code::less_equal, b_.index(0), pixel);
      if (last >= window.size[axis]) {
        Scalar below = b_.compare(Code::less, pixel, b_.index(window.size[axis]));
        condition = condition ? b_.binary(Code::bit_and, *condition, below) : below;
      }
      at[axis].push_back(pixel);
      inside[axis].push_back(condition);
    }
  Scalar channel = b_.begin_for(LoopKind::vector, channels.size, {}, {}, "channel")[0];
  Scalar from = b_.add(channels.start, channel);
  std::vector<Scalar> square;
  for (size_t y = 0; y < at[0].size(); ++y)
    for (size_t x = 0; x < at[1].size(); ++x) {
      std::optional<Scalar> condition = inside[0][y];
      if (inside[1][x])
        condition = condition ? b_.binary(Code::bit_and, *condition, *inside[1][x]) : inside[1][x];
      Scalar pixel =
          values_.element(window.value, Position{{place[0], at[0][y], at[1][x], from}, condition});
      if (condition)
        pixel = b_.select(*condition, pixel, b_.constant(pixel.dtype, 0));
      square.push_back(pixel);
    }
  store(to, tile, channel, along_both_axes(b_, window.transform, square));
  b_.end_for();
  b_.end_for();
}

void WinogradBlocks::clear(const WinogradBlock& block) {
  clear_elements(b_, DType::f32, block.planes * block.plane_step, block.buffer,
                 plus_start(block, b_.index(0)));
}

void WinogradBlocks::multiply(const WinogradBlock& a, const WinogradBlock& b,
                              const WinogradBlock& sums, int64_t rows, bool a_down, bool accumulate,
                              const std::optional<WinogradAhead>& ahead) {
  Scalar plane = b_.begin_for(LoopKind::serial, sums.planes, {}, {}, "plane")[0];
  auto start_of = [&](const WinogradBlock& block) {
    return plus_start(block, b_.scaled(plane, block.plane_step));
  };
  int64_t depth = a_down ? a.rows : a.columns;
  int64_t a_row = a_down ? 1 : a.row_step, a_depth = a_down ? a.row_step : 1;
  int64_t panels = ceil_div(sums.rows, rows), panels_before = 0;
  for (const Segment& part : segments(sums.rows, panels)) {
    for_parts(b_, part, [&](Scalar row, Scalar panel) {
      Scalar sums_start = b_.add(start_of(sums), b_.scaled(row, sums.row_step));
      loop::Tile tile{.rows = part.size,
                      .columns = sums.row_step,
                      .loops = {{depth, a_depth, b.row_step}},
                      .a_buffer = a.buffer,
                      .b_buffer = b.buffer,
                      .a_row_step = a_row,
                      .accumulate = accumulate,
                      .acc_buffer = sums.buffer,
                      .acc_row_step = sums.row_step};
      std::vector<Scalar> starts = {b_.add(start_of(a), b_.scaled(row, a_row)), start_of(b)};
      if (accumulate)
        starts.push_back(sums_start);
      if (ahead) {
        Part part_of_plane = ahead->part.inner(b_, plane, sums.planes);
        Part share_of = part_of_plane.inner(b_, b_.add(panel, b_.index(panels_before)), panels);
        if (std::optional<AheadPart> share =
                part_ahead(b_, ahead->first, {ahead->rows, ahead->columns}, share_of)) {
          tile.ahead.push_back(share->rows);
          starts.push_back(share->start);
        }
      }
      auto [r, group, column, sum] = b_.begin_tile(tile, starts);
      b_.store(sums.buffer, b_.add(b_.add(sums_start, b_.scaled(r, sums.row_step)), column), sum);
      b_.end_tile();
    });
    panels_before += part.count;
  }
  b_.end_for();
}

WinogradKernel::WinogradKernel(const Function& function, const Target& target, int threads)
    : kernel_{.name = function.name},
      b_(kernel_),
      values_(function, b_),
      nest_(contraction_nest(function)),
      s_(contract_schedule_of(function).winograd),
      shape_(winograd_shape(nest_)),
      lanes_(target.lanes_f32()),
      blocks_(values_, shape_, lanes_),
      parallel_(pays_in_parallel(nest_, lanes_, threads)) {}

}  // namespace gradc
