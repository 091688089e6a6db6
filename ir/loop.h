#pragma once
// The loop IR: what a kernel does, as nests of loops over scalar expressions. Registers are
// assigned once. The body of a `vector` loop is written for one iteration; code generation runs as
// many iterations at once as the target has lanes, with a masked tail, so that this level is the
// same for every target.
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/module.h"
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
// elements.
struct TileLoop {
  int64_t extent = 1, a_step = 0, b_step = 0;
};

// A block of a contraction that lives in registers. With r < rows, g < groups, c < columns:
//   sum[r, g, c] = c0 + sum over the loops' indices k, outermost first and in order, of
//       a[a_start + r * a_row_step + k . a_step] * b[b_start + g * b_group_step + c + k . b_step]
// each product added by one fma. c0 is 0, or acc[acc_start + r * acc_row_step + g * acc_group_step
// + c]. a is broadcast, b is read in vectors along c, so rows * groups * ceil(columns / lanes)
// registers hold sums. Reads of b and acc stay within `columns`, unless `padded`: then they may go
// on to the next whole vector.
struct Tile {
  int64_t rows = 1, groups = 1, columns = 1;
  std::vector<TileLoop> loops;
  uint32_t a_buffer = 0, b_buffer = 0;
  int64_t a_row_step = 0, b_group_step = 0;
  bool accumulate = false;  // c0 comes from acc
  uint32_t acc_buffer = 0;
  int64_t acc_row_step = 0, acc_group_step = 0;
  bool padded = false;
};

// A block moved with its axes exchanged, by shuffles of whole vectors:
//   to[to_start + c * to_step + r] = from[from_start + r * from_step + c], r < rows, c < columns
struct Transpose {
  int64_t rows = 0, columns = 0;
  uint32_t from_buffer = 0, to_buffer = 0;
  int64_t from_step = 0, to_step = 0;
};

struct Instr {
  Code code{};
  DType dtype = DType::f32;  // of the result; of the element for load and store
  std::vector<uint32_t> operands;  // registers
  std::vector<uint32_t> results;  // registers
  double real = 0;  // constant of a float type
  int64_t integer = 0;  // constant of another type
  uint32_t buffer = 0;  // load, store: an index into Kernel::buffers

  // for: iterations 0, 1, ... extent-1. params[0] is the iteration's number; params[1..] are the
  // carried values, which start as `operands` and end as `results`; the body ends with a yield of
  // the next ones.
  LoopKind kind = LoopKind::serial;
  int64_t extent = 0;
  std::vector<uint32_t> params;
  std::vector<Code> folds;  // vector loops: how each carry is combined over lanes
  std::vector<Instr> body;

  // tile: operands are a_start, b_start and, if it accumulates, acc_start. The body runs once for
  // each sum, with params row, group, column, sum; columns are lanes, as in a vector loop.
  std::optional<Tile> tile;
  // transpose: operands are from_start, to_start.
  std::optional<Transpose> transpose;
};

struct Kernel {
  std::string name;
  std::vector<Buffer> buffers;  // the kernel function's operands, its results, then the others
  std::vector<DType> regs;  // type of each register
  std::vector<std::string> hints;  // name of each register, made unique by the printer
  std::vector<Instr> body;
};

// Appends instructions, simplifying index arithmetic on the way (constants fold; +0, *1, *0, /1
// vanish).
class Builder {
 public:
  explicit Builder(Kernel& kernel) : kernel_(kernel), blocks_{&kernel.body} {}

  Scalar constant(DType dtype, double value);
  Scalar index(int64_t value);
  Scalar emit(Code code, std::span<const Scalar> operands, DType dtype);
  Scalar unary(Code code, Scalar x) { return emit(code, std::span(&x, 1), x.dtype); }
  Scalar binary(Code code, Scalar x, Scalar y);

  Scalar add(Scalar x, Scalar y) { return binary(Code::add, x, y); }
  Scalar sub(Scalar x, Scalar y) { return binary(Code::sub, x, y); }
  Scalar mul(Scalar x, Scalar y) { return binary(Code::mul, x, y); }
  Scalar div(Scalar x, Scalar y) { return binary(Code::div, x, y); }  // integers: toward zero
  Scalar rem(Scalar x, Scalar y) { return binary(Code::rem, x, y); }
  Scalar fma(Scalar x, Scalar y, Scalar z);  // x * y + z, rounded once
  Scalar min(Scalar x, Scalar y) { return binary(Code::min, x, y); }  // NaN if one is
  Scalar max(Scalar x, Scalar y) { return binary(Code::max, x, y); }
  // equal, less, less_equal: bool
  Scalar compare(Code code, Scalar x, Scalar y);
  Scalar select(Scalar condition, Scalar if_true, Scalar if_false);
  Scalar convert(Scalar x, DType dtype);  // float to integer: toward zero; to bool: not equal to 0

  Scalar load(uint32_t buffer, Scalar index);
  // Reads only where `condition` holds; `otherwise` elsewhere.
  Scalar load_if(Scalar condition, uint32_t buffer, Scalar index, Scalar otherwise);
  void store(uint32_t buffer, Scalar index, Scalar value);

  // Opens a loop; what is appended until end_for goes into its body. Returns the iteration's
  // number, then the carried values. end_for takes the carries of the next iteration and returns
  // the final ones.
  std::vector<Scalar> begin_for(LoopKind kind, int64_t extent, std::span<const Scalar> carries = {},
                                std::vector<Code> folds = {}, std::string hint = "i");
  std::vector<Scalar> end_for(std::span<const Scalar> next = {});

  // Opens a tile; what is appended until end_tile is its body. Returns row, group, column, sum.
  // `starts`: a, b and, if it accumulates, acc.
  std::array<Scalar, 4> begin_tile(Tile tile, std::span<const Scalar> starts);
  void end_tile() { end_for(); }
  void transpose(const Transpose& transpose, Scalar from_start, Scalar to_start);

  uint32_t add_buffer(Buffer buffer);
  Kernel& kernel() { return kernel_; }
  // The constant behind a register, if it is one.
  const Instr* constant_of(Scalar x) const;

 private:
  Scalar new_reg(DType dtype, std::string hint);
  Scalar append(Instr instr, DType dtype, std::string hint);
  void open(Instr instr);  // what is appended from now on goes into its body
  Kernel& kernel_;
  std::vector<std::vector<Instr>*> blocks_;  // the open bodies, innermost last
  std::vector<Instr> open_;  // the open loops, without their bodies
  std::vector<std::vector<Instr>> bodies_;  // the bodies of the open loops
  std::vector<Instr> constants_;  // by register; code `constant` where it is one
};

// What an op's `element` rule is handed: where it is, and how to read the operands there. The
// operands may be buffers or expressions that were fused into this kernel.
class ElementContext {
 public:
  ElementContext(Builder& builder, const Op& op, size_t result)
      : b(builder), op_(op), result_(result) {}
  virtual ~ElementContext() = default;

  Builder& b;

  const Op& op() const { return op_; }
  const Attrs& attrs() const { return op_.attrs; }
  size_t result() const { return result_; }  // the result whose element is asked for
  virtual const Type& operand_type(size_t i) const = 0;
  virtual const Type& result_type() const = 0;

  // The position asked for: one index per axis of the result, or the same as one row-major number.
  virtual std::span<const Scalar> position() = 0;
  virtual Scalar linear() = 0;

  // The element of operand i at the same position (operand of the result's shape) ...
  virtual Scalar at(size_t i) = 0;
  // ... at the given indices ...
  virtual Scalar at(size_t i, std::span<const Scalar> indices) = 0;
  // ... at a row-major number ...
  virtual Scalar at_linear(size_t i, Scalar linear) = 0;
  // ... at the given indices where `condition` holds, `otherwise` elsewhere (nothing is read
  // there).
  virtual Scalar at_if(Scalar condition, size_t i, std::span<const Scalar> indices,
                       Scalar otherwise) = 0;

 private:
  const Op& op_;
  size_t result_;
};

}  // namespace gradc::loop
