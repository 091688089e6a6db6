#pragma once
// What the Winograd lowerings (winograd.h) share: transformed blocks in scratch, and their
// products.
#include <functional>
#include <optional>
#include <string>

#include "compiler/lower/contract_schedule.h"
#include "compiler/lower/fetch_ahead.h"
#include "compiler/lower/kernel_values.h"
#include "compiler/lower/winograd.h"

namespace gradc {

// A transformed block in scratch: planes of `rows` rows of `columns` elements, which are padded to
// whole vectors.
struct WinogradBlock {
  uint32_t buffer = 0;
  int64_t planes = kWinogradPlanes, rows = 0, columns = 0;
  int64_t row_step = 0, plane_step = 0;
  std::optional<loop::Scalar> start;  // in the buffer, if not 0
};

// Some neighbouring numbers along a loop that is open.
struct OpenRange {
  loop::Scalar start;
  int64_t size = 0;
};

// Rows of an operand that will be transformed next, and what part of them is to be fetched.
struct WinogradAhead {
  OperandAccess first;  // steps over rows and columns
  int64_t rows = 0, columns = 0;
  Part part;
};

class WinogradBlocks {
 public:
  WinogradBlocks(KernelValues& values, const WinogradShape& shape, int64_t lanes)
      : values_(values), b_(values.builder()), shape_(shape), lanes_(lanes) {}

  // Large enough for blocks of so many rows and columns; one of fewer uses a part of it.
  WinogradBlock block(const std::string& name, int64_t rows, int64_t columns,
                      int64_t planes = kWinogradPlanes);
  // `count` such blocks in the workspace, for all tasks, and one of these.
  WinogradBlock shared_blocks(const std::string& name, int64_t rows, int64_t columns,
                              int64_t count = 1);
  WinogradBlock numbered(const WinogradBlock& blocks, loop::Scalar number);
  // Some of its planes, rows or columns as a block.
  WinogradBlock planes_of(const WinogradBlock& block, const OpenRange& planes);
  WinogradBlock rows_of(const WinogradBlock& block, const OpenRange& rows);
  WinogradBlock columns_of(const WinogradBlock& block, const OpenRange& columns);

  // Tiles of an image [images, height, width, channels], transformed: rows are tiles, columns
  // channels. Image tiles are 6x6, a result's are 4x4; both read zeros outside.
  void image_tiles(const WinogradBlock& to, ValueId image, const OpenRange& tiles,
                   const OpenRange& channels);
  void result_tiles(const WinogradBlock& to, ValueId result, const OpenRange& tiles,
                    const OpenRange& channels);

  // sums[row][column] += a's products with b, in each plane: of a's rows, or of its columns where
  // `a_down`, with b's columns. `rows` of the sums to a register tile. What is `ahead` is fetched
  // meanwhile.
  void multiply(const WinogradBlock& a, const WinogradBlock& b, const WinogradBlock& sums,
                int64_t rows, bool a_down, bool accumulate,
                const std::optional<WinogradAhead>& ahead = std::nullopt);
  void clear(const WinogradBlock& block);

  // Image, row and column of a tile.
  std::array<loop::Scalar, 3> place_of(loop::Scalar tile);

  loop::Scalar element(const WinogradBlock& block, int64_t plane, loop::Scalar row,
                       loop::Scalar column);
  // The elements of all planes at a place.
  std::vector<loop::Scalar> elements(const WinogradBlock& block, loop::Scalar row,
                                     loop::Scalar column);
  void store(const WinogradBlock& block, loop::Scalar row, loop::Scalar column,
             std::span<const loop::Scalar> elements);

 private:
  struct Window {
    ValueId value;
    std::array<int64_t, 2> size;  // of the image
    std::array<int64_t, 2> low;
    int64_t side = 0;
    WinogradTransform transform = nullptr;
  };
  WinogradBlock layout(int64_t rows, int64_t columns, int64_t planes) const;
  void tiles_of(const WinogradBlock& to, const Window& window, const OpenRange& tiles,
                const OpenRange& channels);
  loop::Scalar address(const WinogradBlock& block, int64_t plane, loop::Scalar row,
                       loop::Scalar column);
  loop::Scalar plus_start(const WinogradBlock& block, loop::Scalar at);

  KernelValues& values_;
  loop::Builder& b_;
  const WinogradShape& shape_;
  int64_t lanes_;
};

// A kernel while it is lowered: what convolutions and their weight gradients begin with.
class WinogradKernel {
 protected:
  WinogradKernel(const Function& function, const Target& target, int threads);

  loop::Kernel kernel_;
  loop::Builder b_;
  KernelValues values_;
  ContractionNest nest_;
  WinogradSchedule s_;
  WinogradShape shape_;
  int64_t lanes_;
  WinogradBlocks blocks_;
  bool parallel_;
};

}  // namespace gradc
