// Transposes of blocks in registers: `lanes` vectors are loaded, exchanged in log2(lanes) rounds of
// two-vector shuffles, and stored.
#include <algorithm>
#include <vector>

#include "compiler/codegen/arithmetic.h"
#include "compiler/codegen/counted_loop.h"
#include "compiler/codegen/emit_tile.h"

namespace gradc::codegen {
namespace {

using llvm::Value;

class TransposeEmitter {
 public:
  TransposeEmitter(llvm::IRBuilder<>& builder, const loop::Transpose& transpose,
                   llvm::Type* element, int lanes)
      : b_(builder),
        t_(transpose),
        element_(element),
        vector_(llvm::FixedVectorType::get(element, static_cast<unsigned>(lanes))),
        align_(element->getScalarSizeInBits() / 8),
        lanes_(lanes) {}

  void emit(Value* from, Value* to) {
    if (t_.to_step > t_.from_step) {
      columns_of_blocks(from, to);
      return;
    }
    rows_of_blocks(t_.rows / lanes_, lanes_, from, to);
    int64_t whole = t_.rows / lanes_ * lanes_;
    if (whole < t_.rows)
      blocks(address(from, whole * t_.from_step), address(to, whole), t_.rows - whole);
  }

 private:
  Value* address(Value* base, int64_t offset) {
    return b_.CreateConstInBoundsGEP1_64(element_, base, static_cast<uint64_t>(offset));
  }

  Value* address(Value* base, Value* i, int64_t step) {
    return b_.CreateInBoundsGEP(element_, base,
                                b_.CreateMul(i, b_.getInt64(static_cast<uint64_t>(step))));
  }

  void rows_of_blocks(int64_t count, int64_t rows, Value* from, Value* to) {
    emit_counted_loop(b_, count, 1, {}, [&](Value* i, std::span<Value* const>) {
      blocks(address(from, i, rows * t_.from_step), address(to, i, rows), rows);
      return std::vector<Value*>{};
    });
  }

  // Blocks down the columns, whose vectors are stored side by side: what is written of each of few
  // rows of the result goes on where it ended.
  void columns_of_blocks(Value* from, Value* to) {
    auto down = [&](Value* from_column, Value* to_row, int64_t columns) {
      emit_counted_loop(b_, t_.rows / lanes_, 1, {}, [&](Value* i, std::span<Value* const>) {
        block(address(from_column, i, lanes_ * t_.from_step), address(to_row, i, lanes_), lanes_,
              columns);
        return std::vector<Value*>{};
      });
      int64_t whole = t_.rows / lanes_ * lanes_;
      if (whole < t_.rows)
        block(address(from_column, whole * t_.from_step), address(to_row, whole), t_.rows - whole,
              columns);
    };
    emit_counted_loop(b_, t_.columns / lanes_, 1, {}, [&](Value* i, std::span<Value* const>) {
      down(address(from, i, lanes_), address(to, i, lanes_ * t_.to_step), lanes_);
      return std::vector<Value*>{};
    });
    int64_t whole = t_.columns / lanes_ * lanes_;
    if (whole < t_.columns)
      down(address(from, whole), address(to, whole * t_.to_step), t_.columns - whole);
  }

  // All columns of `rows` rows.
  void blocks(Value* from, Value* to, int64_t rows) {
    emit_counted_loop(b_, t_.columns / lanes_, 1, {}, [&](Value* i, std::span<Value* const>) {
      block(address(from, i, lanes_), address(to, i, lanes_ * t_.to_step), rows, lanes_);
      return std::vector<Value*>{};
    });
    int64_t whole = t_.columns / lanes_ * lanes_;
    if (whole < t_.columns)
      block(address(from, whole), address(to, whole * t_.to_step), rows, t_.columns - whole);
  }

  Value* mask(int64_t valid) { return first_lanes(b_, lanes_, valid); }

  void block(Value* from, Value* to, int64_t rows, int64_t columns) {
    std::vector<Value*> x;
    for (int64_t r = 0; r < lanes_; ++r) {
      if (r >= rows)
        x.push_back(llvm::PoisonValue::get(vector_));
      else if (columns == lanes_)
        x.push_back(
            b_.CreateAlignedLoad(vector_, address(from, r * t_.from_step), llvm::Align(align_)));
      else
        x.push_back(b_.CreateMaskedLoad(vector_, address(from, r * t_.from_step),
                                        llvm::Align(align_), mask(columns),
                                        llvm::PoisonValue::get(vector_)));
    }
    exchange(x);
    for (int64_t c = 0; c < columns; ++c) {
      Value* at = address(to, c * t_.to_step);
      if (rows == lanes_)
        b_.CreateAlignedStore(x[static_cast<size_t>(c)], at, llvm::Align(align_));
      else
        b_.CreateMaskedStore(x[static_cast<size_t>(c)], at, llvm::Align(align_), mask(rows));
    }
  }

  // In the round of `span`, element blocks [span, 2 span) of vector i and [0, span) of vector i +
  // span change places. Afterwards vector c holds what was lane c of every vector.
  void exchange(std::vector<Value*>& x) {
    for (int span = 1; span < lanes_; span *= 2) {
      std::vector<int> low, high;
      for (int lane = 0; lane < lanes_; ++lane) {
        bool first = (lane & span) == 0;
        low.push_back(first ? lane : lanes_ + lane - span);
        high.push_back(first ? lane + span : lanes_ + lane);
      }
      for (size_t i = 0; i < x.size(); ++i) {
        size_t j = i + static_cast<size_t>(span);
        if ((i & static_cast<size_t>(span)) != 0)
          continue;
        Value *a = x[i], *c = x[j];
        x[i] = b_.CreateShuffleVector(a, c, low);
        x[j] = b_.CreateShuffleVector(a, c, high);
      }
    }
  }

  llvm::IRBuilder<>& b_;
  const loop::Transpose& t_;
  llvm::Type* element_;
  llvm::FixedVectorType* vector_;
  uint64_t align_;
  int lanes_;
};

}  // namespace

void emit_transpose(llvm::IRBuilder<>& builder, const loop::Transpose& transpose,
                    llvm::Type* element, int lanes, Value* from, Value* to) {
  TransposeEmitter(builder, transpose, element, lanes).emit(from, to);
}

}  // namespace gradc::codegen
