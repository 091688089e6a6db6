#pragma once
// Appends instructions to a loop::Kernel. The text of a kernel is as good as its addresses, and no
// optimizer runs between here and machine code, so the builder itself
// - keeps i64 arithmetic as sums of terms: constants fold, x / c and x % c with a known range split
//   into what divides and what does not, (x / c) * c + x % c becomes x;
// - gives an expression that was computed before in an open body the same register;
// - places an instruction in the outermost body where its operands are known, so that nothing is
//   computed in a loop that does not depend on it. Instructions without effect do not trap. Loads
//   of operands move too: an operand may share its bytes with a result only where every element is
//   read before, and where, it is written.
#include <array>
#include <map>
#include <optional>
#include <span>

#include "ir/loop.h"

namespace gradc::loop {

// constant + sum of coefficient * register, sorted by register.
struct Linear {
  int64_t constant = 0;
  std::vector<std::pair<uint32_t, int64_t>> terms;
};

class Builder {
 public:
  explicit Builder(Kernel& kernel);

  // A value that an integer type cannot hold becomes the nearest that it can.
  Scalar constant(DType dtype, double value);
  Scalar index(int64_t value);
  // An instruction without effect: arithmetic, comparison, choice.
  Scalar emit(Code code, std::span<const Scalar> operands, DType dtype);
  Scalar unary(Code code, Scalar x) { return emit(code, std::span(&x, 1), x.dtype); }
  Scalar binary(Code code, Scalar x, Scalar y);

  Scalar add(Scalar x, Scalar y) { return binary(Code::add, x, y); }
  Scalar sub(Scalar x, Scalar y) { return binary(Code::sub, x, y); }
  Scalar mul(Scalar x, Scalar y) { return binary(Code::mul, x, y); }
  Scalar scaled(Scalar x, int64_t factor) { return mul(x, index(factor)); }  // of an i64
  Scalar div(Scalar x, Scalar y) { return binary(Code::div, x, y); }  // integers: toward zero
  Scalar rem(Scalar x, Scalar y) { return binary(Code::rem, x, y); }
  Scalar fma(Scalar x, Scalar y, Scalar z);  // x * y + z, rounded once
  Scalar min(Scalar x, Scalar y) { return binary(Code::min, x, y); }  // NaN if one is
  Scalar max(Scalar x, Scalar y) { return binary(Code::max, x, y); }
  Scalar compare(Code code, Scalar x, Scalar y);  // equal, less, less_equal: bool
  Scalar select(Scalar condition, Scalar if_true, Scalar if_false);
  Scalar convert(Scalar x, DType dtype);  // float to integer: toward zero; to bool: not equal to 0

  Scalar load(uint32_t buffer, Scalar index);
  // Reads only where `condition` holds; `otherwise` elsewhere.
  Scalar load_if(Scalar condition, uint32_t buffer, Scalar index, Scalar otherwise);
  void store(uint32_t buffer, Scalar index, Scalar value);
  // The same for an element that nothing reads soon, if it is one of a vector loop's that begins
  // at a line of 64 bytes.
  void store_streamed(uint32_t buffer, Scalar index, Scalar value);
  // Brings a piece of a buffer into a cache: from `index` on as many elements as it moves in an
  // iteration of the vector loop. A wish: they need not be inside of the buffer.
  void fetch(uint32_t buffer, Scalar index);
  void append(Instr instr);  // an instruction with effects, at the end of the innermost body

  // Opens a loop; what is appended until end_for goes into its body. Returns the iteration's
  // number, then the carried values. end_for takes the carries of the next iteration and returns
  // the final ones.
  std::vector<Scalar> begin_for(LoopKind kind, int64_t extent, std::span<const Scalar> carries = {},
                                std::vector<Code> folds = {}, std::string hint = "i",
                                int64_t in_flight = 0);
  std::vector<Scalar> end_for(std::span<const Scalar> next = {});
  // Opens a serial loop that runs `count` times, from 0 to `limit`. Loads of operands in its body
  // must be within their buffers even where it does not run at all.
  std::vector<Scalar> begin_counted(Scalar count, int64_t limit,
                                    std::span<const Scalar> carries = {}, std::string hint = "i");

  // Opens a tile; what is appended until end_tile is its body. Returns row, group, column, sum.
  // `operands`: where it starts in a, b and, if it accumulates, acc; then what counted loops count.
  std::array<Scalar, 4> begin_tile(Tile tile, std::span<const Scalar> operands);
  void end_tile() { end_for(); }
  void transpose(const Transpose& transpose, Scalar from_start, Scalar to_start);
  void pair_rows(const PairRows& pairs, Scalar from_start, Scalar to_start);
  void matrix(const Matrix& matrix, Scalar a_start, Scalar b_start, Scalar c_start);

  uint32_t add_buffer(Buffer buffer);
  // A scratch buffer: the one of that name and type, which becomes as large as the largest use, or
  // a new one.
  uint32_t scratch(const std::string& name, DType dtype, int64_t elements);
  Kernel& kernel() { return kernel_; }
  Scalar new_register(DType dtype, std::string hint);  // defined by an appended instruction
  std::optional<int64_t> constant_of(Scalar x) const;  // of an i64
  // The least and the greatest that an i64 can be, where that is known.
  struct Range {
    int64_t least, most;
  };
  std::optional<Range> range_of(Scalar x) const;
  size_t depth() const { return blocks_.size() - 1; }  // how many loops are open
  DType dtype(uint32_t reg) const { return kernel_.regs[reg]; }
  const Linear& linear(Scalar x) const { return definitions_[x.reg].linear; }  // of an i64
  // What was computed in a body may be used while it is open; bodies have numbers to ask.
  uint64_t innermost_body() const { return blocks_.back().number; }
  bool is_open(uint64_t body) const;

 private:
  using Key = std::vector<int64_t>;  // an instruction without effect, as numbers
  struct Block {
    Instr owner;  // the loop or tile whose body this is; unused in the kernel's
    std::vector<Instr> body;
    std::map<Key, Scalar> known;
    uint64_t number = 0;
  };
  struct Definition {
    size_t depth = 0;  // of the block it stands in
    Code code = Code::yield;  // of an instruction; else yield
    std::vector<uint32_t> operands;
    Linear linear;  // i64 only
    int64_t limit = 0;  // i64: the value is in [0, limit); 0: nothing is known
  };

  Scalar place(Instr instr, DType dtype, std::string hint);
  bool begins_at_line(const Buffer& buffer, Scalar index) const;
  std::vector<Instr>& body(size_t depth);
  void open_body();
  Scalar new_index(int64_t limit, std::string hint);

  // i64 only, in loop_builder_indices.cpp.
  Scalar index_arithmetic(Code code, Scalar x, Scalar y);
  Scalar sum(Linear linear);
  Scalar quotient(Scalar x, int64_t divisor);
  Scalar remainder(Scalar x, int64_t divisor);
  int64_t limit_of(const Linear& linear) const;
  int64_t limit_of(Code code, Scalar x, Scalar y) const;
  bool join_quotient_and_remainder(Linear& linear) const;

  Kernel& kernel_;
  std::vector<Block> blocks_;  // the kernel's own, then the open loops', innermost last
  std::vector<Definition> definitions_;  // by register
  uint64_t bodies_opened_ = 0;
};

}  // namespace gradc::loop
