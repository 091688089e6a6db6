#pragma once
// The lowering of contract kernels as register tiles. lower_contract_tile.cpp explains it and has
// tasks and passes, tile_rows.cpp the rows of a pass and their tiles, tile_ahead.cpp what tiles
// fetch for what comes after them.
#include <array>
#include <string>
#include <vector>

#include "compiler/lower/contract_schedule.h"
#include "compiler/lower/fetch_ahead.h"
#include "compiler/lower/packed_weight.h"
#include "compiler/lower/present_taps.h"
#include "compiler/lower/segments.h"
#include "compiler/lower/stage_operand.h"
#include "compiler/target.h"

namespace gradc {

class TileLowering {
 public:
  TileLowering(const Function& function, const Target& target, int threads);
  loop::Kernel run();

 private:
  using Scalar = loop::Scalar;

  // Of axes that have padding in a's copy, the positions of a block that meet all taps, and whether
  // we are at one of the others; or, where a block has few positions, that taps are counted at each.
  struct Edge {
    TapAxis axis;
    Range inner;
    bool counted = false;
    bool open = false;

    size_t result_loop() const { return *axis.result_loop; }
    size_t summed_loop() const { return axis.summed_loop; }
  };

  bool is_row(size_t l) const {
    return l < nest_.result_loops && nest_.loops[l].moves[a_] && !nest_.loops[l].moves[b_];
  }

  // Of b, also behind its last column.
  bool has_whole_vectors() const { return s_.stage_b || s_.packed; }
  bool in_scratch() const { return !s_.direct_store && s_.sums_in < 0; }

  // ---- Tasks and passes.

  // Of axes whose padding is in the copy of a: all rows of a tile are at one position there, and
  // at the edges some taps need not be multiplied.
  void find_edges();
  // Whether skipping taps is worth a loop that is counted when it runs.
  bool pays_to_count(const TapAxis& axis, int64_t edges) const;

  // Threads that share the panels of columns; 1 where there are other tasks to share.
  int64_t column_threads() const;
  std::vector<Segment> column_panels() const;
  void stage_whole();
  void lower_tasks(const Segment& columns, const Segment& rows);
  uint32_t scratch(const std::string& name, int64_t elements);
  ScratchBuffers buffers();

  // In scratch as [row loops][columns], cleared where passes add to them, or where the result wants
  // them.
  void place_sums();

  void lower_passes();

  // The first and the last pass stand apart where sums wait in the result: the one finds none
  // there, the other goes on to the epilogue.
  std::vector<Segment> parts_of_passes(size_t l, bool first, bool last) const;

  // ---- Rows of a pass, and tiles. `at`: where the row loops are, counted from the block's start.

  void lower_pass();

  // b where it lies.
  OperandAccess columns_in_place(const NestBlock& block);
  void lower_all_rows();
  OperandAccess access_in_whole();

  // Some rows of the row loop are staged, then all tiles over them follow.
  void lower_staged_rows();
  std::vector<size_t> padded_axes() const;

  // Rows at an edge of a's copy, one after the other, with the taps that they meet; between the
  // edges all of them.
  void lower_between_edges(Edge& edge, std::vector<Scalar> at);
  // Walks over the taps that an edge meets; false: this loop has no edge here.
  bool append_edge_taps(size_t l, const std::vector<Scalar>& at, loop::Tile& tile,
                        std::vector<Scalar>& starts, std::vector<Scalar>& counts);

  // All rows of what is staged, tile by tile.
  void lower_rows();
  // Row loops from l on.
  void lower_rows(size_t l, std::vector<Scalar> at);

  // Whether each iteration gets code of its own, with a constant number of taps to sum over: where
  // a loop over so few pixels, as in a weight gradient of a small map, ends too often to be
  // predicted.
  bool fixes_taps(size_t l) const;
  void lower_row_panels(std::vector<Scalar> at);
  Scalar address(Scalar base, const std::vector<int64_t>& step, const std::vector<Scalar>& at);

  // Where summed loop l walks over taps of which some may be missing, walks over the others.
  bool append_present_taps(size_t l, const std::vector<Scalar>& at, loop::Tile& tile,
                           std::vector<Scalar>& starts, std::vector<Scalar>& counts);
  void lower_tile(const std::vector<Scalar>& at, int64_t rows);
  void store_row(const std::vector<Scalar>& at, Scalar row, Scalar column, Scalar sum);

  // ---- What tiles fetch.

  // Whether what the next pass, or the next task's first one, reads of a large operand is fetched
  // for it while the tiles of this one multiply.
  bool fetches_next_columns();

  // Summed loops that take several passes.
  int64_t split_loops() const;
  NestBlock next_block();
  // Of the tiles over what is staged, and of those `outer` ones around them: the open one.
  Part part_of_tiles(Part outer, const std::vector<Scalar>& at);
  // The part of a block of an operand, where it lies in rows.
  void fetch(loop::Tile& tile, std::vector<Scalar>& starts, const OperandAccess& access,
             const std::vector<int64_t>& sizes, const Part& part);
  void fetch_next_columns(loop::Tile& tile, std::vector<Scalar>& starts,
                          const std::vector<Scalar>& at);

  // The next rows, where they are read in place: each is too short a stream, or windows leave out
  // what lies between them, so that nothing sees them coming.
  void fetch_next_rows(loop::Tile& tile, std::vector<Scalar>& starts);

  // What will be staged of a for the next rows.
  void fetch_next_staged(loop::Tile& tile, std::vector<Scalar>& starts,
                         const std::vector<Scalar>& at);

  // What this tile's epilogue wants, while its products are summed.
  void fetch_behind(loop::Tile& tile, std::vector<Scalar>& starts, const std::vector<Scalar>& at);

  loop::Kernel kernel_;
  loop::Builder builder_;
  KernelValues values_;
  ContractionNest nest_;
  ContractSchedule s_;
  int64_t lanes_;
  int threads_;
  DType dtype_;
  size_t a_, b_;  // the broadcast operand and the one read in vectors
  size_t vector_, row_;  // loops; row_ is the number of loops if there is none
  Scalar row_panel_;  // the number of the open panel of rows
  Part outer_;  // of the open loops over rows around what is staged of a
  size_t around_;  // the innermost of them; the number of loops if there is none
  bool parallel_ = false;
  int64_t passes_ = 1;
  bool first_pass_ = true, last_pass_ = true;  // of the open one

  NestBlock block_;
  std::vector<TapAxis> tap_axes_;  // of a, where its padding is skipped
  std::vector<Edge> edges_;  // of a, where all that a tile meets of its padding is staged
  std::vector<StagedInside::Axis> staged_axes_;  // their copies, where a is staged all the same
  OperandAccess whole_a_;  // where a is staged once for all tasks
  PackedOrder packed_;  // of b, where it is
  uint32_t packed_buffer_ = 0;
  std::array<OperandAccess, 2> access_;
  OperandAccess sums_;  // those of a task
  Scalar sum_base_;  // where those of what is staged begin
  int64_t row_elements_ = 0;  // of a row of sums and of a row of staged b
};

}  // namespace gradc
