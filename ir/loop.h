#pragma once
// The loop IR: what a kernel does, as nests of loops over scalar expressions. Registers are
// assigned once. The body of a `vector` loop is written for one iteration; code generation runs as
// many iterations at once as the target has lanes, with a masked tail, so that this level is the
// same for every target.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/type.h"

namespace gradc::loop {

// A register and its type; indices are i64.
struct Scalar {
  uint32_t reg = UINT32_MAX;
  DType dtype = DType::f32;
};

enum class Code : uint8_t {
#define LOOP_CODE(name) name,
#include "ir/loop_codes.def"
#undef LOOP_CODE
};
std::string_view name_of(Code code);
std::optional<Code> code_named(std::string_view name);

enum class Space : uint8_t {
  operand,  // an operand of the kernel, read only
  result,  // a result of the kernel
  workspace,  // one for the call, shared by its threads
  scratch  // one per thread
};
std::string_view name_of(Space space);

struct Buffer {
  std::string name;
  Space space = Space::operand;
  DType dtype = DType::f32;
  int64_t elements = 0;
};

enum class LoopKind : uint8_t {
  serial,
  parallel,  // iterations may run at the same time; only outermost loops
  vector,  // iterations are lanes; carries are folded over lanes in a fixed tree
  unrolled  // a copy of the body per iteration
};
std::string_view name_of(LoopKind kind);

// A loop over summed indices inside of a tile: how far an iteration moves in a and in b, in
// elements. Where it is counted, an operand of the tile says how many iterations there are, from
// none to `extent`.
struct TileLoop {
  int64_t extent = 1, a_step = 0, b_step = 0;
  bool counted = false;
};

// Rows of memory that are wanted after a tile, and are fetched into the caches while it multiplies.
// No more than a wish: they need not be inside of the buffer.
struct TileAhead {
  uint32_t buffer = 0;
  int64_t rows = 1, row_step = 0, columns = 1;
  bool written = false;  // wanted for stores
};

// A block of a contraction that lives in registers. With r < rows, g < groups, c < columns:
//   sum[r, g, c] = c0 + sum over the loops' indices k, outermost first and in order, of
//       a[a_start + r * a_row_step + k . a_step] * b[b_start + g * b_group_step + c + k . b_step]
// each product added by one fma. c0 is 0, or acc[acc_start + r * acc_row_step + g * acc_group_step
// + c]. a is broadcast, b is read in vectors along c, so rows * groups * ceil(columns / lanes)
// registers hold sums. Reads of b and acc stay within `columns`, unless `padded`: then they may go
// on to the next whole vector.
//
// With a depth of half of the lanes there is one group of at most `lanes` columns and c0 is 0. Each
// index k stands for `depth` products: of neighbours in a, and in b where column c begins at c *
// depth. They add to lanes of their own, which are folded by halves in the end.
struct Tile {
  int64_t rows = 1, groups = 1, columns = 1;
  int64_t depth = 1;
  std::vector<TileLoop> loops;
  uint32_t a_buffer = 0, b_buffer = 0;
  int64_t a_row_step = 0, b_group_step = 0;
  bool accumulate = false;  // c0 comes from acc
  uint32_t acc_buffer = 0;
  int64_t acc_row_step = 0, acc_group_step = 0;
  bool padded = false;
  std::vector<TileAhead> ahead;  // each from the place that one of the last operands says
};

// A block moved with its axes exchanged, by shuffles of whole vectors:
//   to[to_start + c * to_step + r] = from[from_start + r * from_step + c], r < rows, c < columns
// With `pairs`, what moves are pairs of neighbouring two-byte elements: columns, r, c and steps
// count pairs, starts count elements.
struct Transpose {
  int64_t rows = 0, columns = 0;
  uint32_t from_buffer = 0, to_buffer = 0;
  int64_t from_step = 0, to_step = 0;
  bool pairs = false;
};

// Rows of two-byte elements, two side by side, for r < rows, c < columns; the row behind an odd
// last one reads as zeros:
//   to[to_start + r / 2 * to_step + 2 * c + r % 2] = from[from_start + r * from_step + c]
struct PairRows {
  int64_t rows = 0, columns = 0;
  uint32_t from_buffer = 0, to_buffer = 0;
  int64_t from_step = 0, to_step = 0;
};

// The columns of a panel of b, and the depth that one instruction of a matrix unit covers.
inline constexpr int64_t kMatrixColumns = 16, kMatrixDepth = 32;

// A product of bf16 matrices with f32 sums, by units that multiply whole tiles. With r < rows, n <
// columns, k < depth, columns a multiple of kMatrixColumns and depth of kMatrixDepth:
//   c[c_start + r * c_step + n] = sum over k of a[a_start + r * a_step + k] * b[b_start + at(k, n)]
//   at(k, n) = n / 16 * 16 * depth + k / 2 * 32 + n % 16 * 2 + k % 2
// with c's own elements as the first summands where it accumulates.
// In the order of Intel's TDPBF16PS (of each 32 values of k the even ones are summed, and the odd
// ones, then both added to c) or VDPBF16PS (of each 2 the odd one, then the even), no denormals.
struct Matrix {
  int64_t rows = 0, columns = 0, depth = 0;
  uint32_t a_buffer = 0, b_buffer = 0, c_buffer = 0;
  int64_t a_step = 0, c_step = 0;
  bool accumulate = false;
};

struct Instr {
  Code code{};
  DType dtype = DType::f32;  // of the result; of the element for load and store
  std::vector<uint32_t> operands;  // registers
  std::vector<uint32_t> results;  // registers
  double real = 0;  // constant of a float type
  int64_t integer = 0;  // constant of another type
  uint32_t buffer = 0;  // load, store: an index into Kernel::buffers
  // store: past the caches, where all lanes of a vector store whole lines of 64 bytes.
  bool streamed = false;

  // for: iterations 0, 1, ... extent-1. params[0] is the iteration's number; params[1..] are the
  // carried values, which start as `operands` and end as `results`; the body ends with a yield of
  // the next ones.
  LoopKind kind = LoopKind::serial;
  int64_t extent = 0;
  // Of a serial loop: a register, in [0, extent], of how many iterations run.
  std::optional<uint32_t> count;
  std::vector<uint32_t> params;
  std::vector<Code> folds;  // vector loops: how each carry is combined over lanes
  // Vector loops with carries: how many vectors of each are kept apart; 0: by the extent.
  int64_t in_flight = 0;
  std::vector<Instr> body;

  // tile: operands are a_start, b_start, if it accumulates acc_start, and for each counted loop its
  // number of iterations. The body runs once for
  // each sum, with params row, group, column, sum; columns are lanes, as in a vector loop.
  std::optional<Tile> tile;
  // transpose and pair_rows: operands are from_start, to_start.
  std::optional<Transpose> transpose;
  std::optional<PairRows> pair_rows;
  // matrix: operands are a_start, b_start, c_start.
  std::optional<Matrix> matrix;
};

bool has_effect(const Instr& instr);  // stores, fetches, or contains other instructions
bool is_block(Code code);  // tile, transpose, pair_rows, matrix: never inside of a vector loop

// A kernel as loops. Constants are instructions of the outermost body, which may stand anywhere
// before their first use; the text form writes them where they are used.
struct Kernel {
  std::string name;
  std::vector<Buffer> buffers;  // the kernel function's operands, its results, then the others
  std::vector<DType> regs;  // type of each register
  std::vector<std::string> hints;  // name of each register, made unique by the printer
  std::vector<Instr> body;
};

// The buffers of a space lie one after the other, in order, each at a multiple of 64 bytes. Where
// buffer `index` lies in its space, and the bytes of a whole space.
int64_t buffer_offset(const Kernel& kernel, size_t index);
int64_t space_bytes(const Kernel& kernel, Space space);

// Calls f(register) for all that `instr` itself reads: its operands and the count of a loop.
template <typename F>
void for_each_read(const Instr& instr, F f) {
  for (uint32_t operand : instr.operands)
    f(operand);
  if (instr.count)
    f(*instr.count);
}

// Drops instructions that nothing reads.
void remove_unused(Kernel& kernel);

}  // namespace gradc::loop
