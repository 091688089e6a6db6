#pragma once
// How a contract kernel is split into tasks, passes over the summed loops, and register tiles. What
// is chosen here never changes a bit of the result: every element's products are summed in the
// order of the summed loops, one fma after the other (methods tile, panels, direct), or by lanes
// along the innermost summed loop (method lanes), or half of the lanes (method pairs), or as a
// matrix unit does (methods matrix, windows and pixels), and which of these follows from shapes and
// target.
//
//   parallel task over blocks of the result's loops
//     serial pass over blocks of the summed loops
//       stage what b reads, with the vector loop innermost; stage what a reads, with its padding,
//         unless tiles skip it
//       serial row loops, rows * vectors at a time: tile over the pass's summed loops
//     store the sums, through the epilogue
#include <vector>

#include "compiler/lower/contraction.h"
#include "compiler/lower/winograd.h"
#include "compiler/target.h"

namespace gradc {

enum class ContractMethod : uint8_t {
  tile,  // register tiles: vectors along one loop that moves one operand, the other is broadcast
  panels,  // tiles too; all columns of a task are done for some rows, then for the next
  direct,  // vectors along the last loop of the result, one sum per lane
  matrix,  // blocks of a unit that multiplies matrices of bf16
  windows,  // the same of a convolution, or its data gradient
  pixels,  // the same of a convolution's weight gradient
  pairs,  // two columns per vector, each summed by half of its lanes: where the result has few
  lanes,  // vectors along the innermost summed loop: where the result has few columns
  depthwise,  // each channel is a lane, where each is a group of its own
  winograd  // of convolutions with the attribute `winograd`: fewer products, of transformed tiles
};
std::string_view name_of(ContractMethod method);

struct ContractSchedule {
  ContractMethod method = ContractMethod::direct;
  // Methods tile, panels, pairs, matrix, windows and pixels. The last three have the vector
  // operand, the loops and the blocks only; of method windows `rows` are those of a task, at most.
  // Loops are indices into ContractionNest::loops; -1 means none.
  int64_t vector_operand = 1;  // b: the one that is read in vectors
  int64_t vector_loop = -1;
  int64_t row_loop = -1;
  int64_t rows = 1;  // of a tile, at most
  int64_t vectors = 1;  // of a tile's row, at most
  int64_t row_parts = 1;  // parts that tasks take of the row loop
  // Per loop: how many iterations a task (result loops) or a pass (summed loops) covers. Result
  // loops other than the vector and the row loop divide evenly.
  std::vector<int64_t> blocks;
  bool stage_a = false, stage_b = false;
  // b lies in panels of a tile's columns already: compiler/lower/packed_weight.h.
  bool packed = false;
  // a is staged whole, in the workspace, before the tasks.
  bool stage_a_once = false;
  // a has padding that is neither staged nor read: each tile sums over the taps that meet an
  // element only, which are the same for all of its rows.
  bool skip_padding = false;
  // Where a is staged: rows of the row loop at a time, or 0 for all of them.
  int64_t staged_rows = 0;
  // The last loops of the result that a task covers while a is staged once; those before are
  // staged one after the other.
  int64_t staged_from = 0;
  // Iterations of the last of those before that are staged together, such as rows of an image,
  // whose windows overlap. They divide the task's evenly.
  int64_t staged_together = 1;
  bool direct_store = false;  // sums go from registers through the epilogue to the results
  int64_t row_group = 0;  // method panels: panels of rows whose part of a is staged at once
  // The result of the kernel in which sums wait for the next pass; -1: in scratch, or direct_store.
  int64_t sums_in = -1;
  WinogradSchedule winograd;  // method winograd has this only
};

// What keeps scratch small, at some cost in speed; or what a measurement may find faster.
struct ContractLimits {
  int64_t pass_elements = INT64_MAX;  // of the summed loops in a pass
  int64_t rows = INT64_MAX;  // whose sums, or whose part of a, are in scratch at once
  bool result_rows = false;  // vectors run along rows of the result, which can hold the sums
  bool stage_once = true;  // where several tasks read the same of a with its padding
  bool panels = true;  // where they are faster: b is staged for many columns at once
  int64_t tile_vectors = INT64_MAX;  // of a tile's row
  int64_t pass_factor = 1;  // passes so many times as long as else
  int64_t packed_operand = -1;  // this one would be packed before the call
};

ContractSchedule choose_contract_schedule(const Function& kernel, const Target& target, int threads,
                                          const ContractLimits& limits = {});
// As printed attributes of the kernel, and back.
void set_attributes(Function& kernel, const ContractSchedule& schedule);
ContractSchedule contract_schedule_of(const Function& kernel);

}  // namespace gradc
