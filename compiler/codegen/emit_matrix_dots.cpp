// Products of narrow matrices by dot products of pairs (AVX512-BF16): each lane of a register tile
// is a column, to which one instruction adds two products.
#include <llvm/IR/IntrinsicsX86.h>

#include <algorithm>
#include <span>
#include <vector>

#include "compiler/codegen/counted_loop.h"
#include "compiler/codegen/emit_tile.h"
#include "compiler/lower/segments.h"
#include "ir/integer_math.h"

namespace gradc::codegen {
namespace {

using llvm::Value;

constexpr int64_t kLanes = loop::kMatrixColumns;
constexpr int64_t kMostPanels = 4, kMostRows = 14;
// What a tile's sums, its vectors of b and one pair of a may take of 32, as in tiles of f32.
constexpr int64_t kRegisters = 29;
constexpr int64_t kUnrolledPairs = 4;  // divides kMatrixDepth / 2

class MatrixDots {
 public:
  MatrixDots(llvm::IRBuilder<>& builder, const loop::Matrix& matrix, const MatrixPointers& at)
      : b_(builder),
        m_(matrix),
        at_(at),
        sums_type_(llvm::FixedVectorType::get(builder.getFloatTy(), kLanes)),
        pairs_type_(llvm::FixedVectorType::get(builder.getBFloatTy(), 2 * kLanes)) {}

  // Groups of panels of b outside, so that a group stays in the caches while the rows go by.
  void emit() {
    int64_t panels = m_.columns / kLanes;
    for (const Segment& group : segments(panels, ceil_div(panels, kMostPanels)))
      each(group, [&](Value* panel) {
        int64_t rows = std::min(kMostRows, (kRegisters - 1 - group.size) / group.size);
        for (const Segment& block : segments(m_.rows, ceil_div(m_.rows, rows)))
          each(block, [&](Value* row) {
            tile(bytes_from(at_.a, row, 2 * m_.a_step), bytes_from(at_.b, panel, panel_bytes()),
                 bytes_from(bytes_from(at_.c, row, 4 * m_.c_step), panel, 4 * kLanes), block.size,
                 group.size);
          });
      });
  }

 private:
  int64_t panel_bytes() const { return 2 * kLanes * m_.depth; }

  // Calls body(first element) for each part.
  template <typename Body>
  void each(const Segment& part, Body body) {
    emit_counted_loop(b_, part.count, 1, {}, [&](Value* i, std::span<Value* const>) {
      body(b_.CreateAdd(number(part.start), b_.CreateMul(i, number(part.size))));
      return std::vector<Value*>{};
    });
  }

  Value* number(int64_t value) { return b_.getInt64(static_cast<uint64_t>(value)); }

  Value* bytes_from(Value* base, Value* i, int64_t step) {
    return b_.CreateInBoundsGEP(b_.getInt8Ty(), base, b_.CreateMul(i, number(step)));
  }
  Value* bytes_from(Value* base, int64_t bytes) {
    return b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), base, static_cast<uint64_t>(bytes));
  }

  // The sums of some rows and panels, over the whole depth.
  void tile(Value* a, Value* b, Value* c, int64_t rows, int64_t panels) {
    auto address_of_sums = [&](int64_t row, int64_t panel) {
      return bytes_from(c, 4 * (row * m_.c_step + panel * kLanes));
    };
    std::vector<Value*> state(static_cast<size_t>(rows * panels),
                              llvm::Constant::getNullValue(sums_type_));
    for (int64_t i = 0; m_.accumulate && i < rows * panels; ++i)
      state[static_cast<size_t>(i)] =
          b_.CreateAlignedLoad(sums_type_, address_of_sums(i / panels, i % panels), llvm::Align(4));
    state.insert(state.end(), {a, b});
    state = emit_counted_loop(b_, m_.depth / 2 / kUnrolledPairs, 1, std::move(state),
                              [&](Value*, std::span<Value* const> carries) {
                                std::vector<Value*> next(carries.begin(), carries.end());
                                for (int64_t pair = 0; pair < kUnrolledPairs; ++pair)
                                  step(next, rows, panels);
                                return next;
                              });
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t panel = 0; panel < panels; ++panel)
        b_.CreateAlignedStore(state[static_cast<size_t>(row * panels + panel)],
                              address_of_sums(row, panel), llvm::Align(4));
  }

  // Two neighbours along the depth. state: the sums, then addresses in a and b, which move on.
  void step(std::vector<Value*>& state, int64_t rows, int64_t panels) {
    Value *&b = state[state.size() - 1], *&a = state[state.size() - 2];
    std::vector<Value*> columns;
    for (int64_t panel = 0; panel < panels; ++panel)
      columns.push_back(
          b_.CreateAlignedLoad(pairs_type_, bytes_from(b, panel * panel_bytes()), llvm::Align(2)));
    for (int64_t row = 0; row < rows; ++row) {
      Value* pair =
          b_.CreateAlignedLoad(b_.getInt32Ty(), bytes_from(a, 2 * row * m_.a_step), llvm::Align(2));
      Value* pairs = b_.CreateBitCast(b_.CreateVectorSplat(kLanes, pair), pairs_type_);
      for (int64_t panel = 0; panel < panels; ++panel) {
        Value*& sums = state[static_cast<size_t>(row * panels + panel)];
        sums = b_.CreateIntrinsic(llvm::Intrinsic::x86_avx512bf16_dpbf16ps_512, {},
                                  {sums, pairs, columns[static_cast<size_t>(panel)]});
      }
    }
    a = bytes_from(a, 4);
    b = bytes_from(b, 4 * kLanes);
  }

  llvm::IRBuilder<>& b_;
  const loop::Matrix& m_;
  MatrixPointers at_;
  llvm::FixedVectorType *sums_type_, *pairs_type_;
};

}  // namespace

void emit_matrix_dots(llvm::IRBuilder<>& builder, const loop::Matrix& matrix,
                      const MatrixPointers& pointers) {
  MatrixDots(builder, matrix, pointers).emit();
}

}  // namespace gradc::codegen
