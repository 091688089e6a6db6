// Products of narrow matrices by AMX: four sums of 16 x 16 at a time, from two tiles of a and two
// of b, so that four instructions multiply what four load.
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/Module.h>

#include <algorithm>
#include <array>

#include "compiler/codegen/arithmetic.h"
#include "compiler/codegen/counted_loop.h"
#include "compiler/codegen/emit_tile.h"

namespace gradc::codegen {
namespace {

using llvm::Value;

constexpr int64_t kTileRows = 16, kRowBytes = 64;

// The tile registers: sums of row tile i and column tile j, tiles of a and of b.
constexpr int sums_tile(int64_t i, int64_t j) {
  return static_cast<int>(2 * i + j);
}
constexpr int a_tile(int64_t i) {
  return static_cast<int>(4 + i);
}
constexpr int b_tile(int64_t j) {
  return static_cast<int>(6 + j);
}

class MatrixEmitter {
 public:
  MatrixEmitter(llvm::IRBuilder<>& builder, const loop::Matrix& matrix, const MatrixPointers& at)
      : b_(builder), m_(matrix), at_(at) {}

  void emit() {
    constexpr int64_t kBlock = 2 * kTileRows;
    int64_t blocks = m_.rows / kBlock, rest = m_.rows % kBlock;
    if (blocks > 0)
      rows(0, kBlock, blocks);
    if (rest > 0)
      rows(blocks * kBlock, rest, 1);
    intrinsic(llvm::Intrinsic::x86_tilerelease, {});
  }

 private:
  Value* number(int64_t value) { return b_.getInt64(static_cast<uint64_t>(value)); }
  Value* tile(int index) { return b_.getInt8(static_cast<uint8_t>(index)); }

  void intrinsic(llvm::Intrinsic::ID id, const std::vector<Value*>& arguments) {
    b_.CreateIntrinsic(id, {}, arguments);
  }

  Value* address(Value* base, int64_t bytes, Value* i, int64_t step) {
    Value* offset = b_.CreateAdd(number(bytes), b_.CreateMul(i, number(step)));
    return b_.CreateInBoundsGEP(b_.getInt8Ty(), base, offset);
  }

  // What Intel's manual calls the palette: the rows and the bytes per row of each tile.
  Value* configuration(int64_t first_rows, int64_t second_rows) {
    std::array<uint8_t, 64> bytes{};
    bytes[0] = 1;
    for (size_t t = 0; t < 8; ++t) {
      bool second = t == 2 || t == 3 || t == 5;
      bytes[16 + 2 * t] = kRowBytes;
      bytes[48 + t] = static_cast<uint8_t>(t >= 6 ? kTileRows : second ? second_rows : first_rows);
    }
    auto* content = llvm::ConstantDataArray::get(b_.getContext(), bytes);
    llvm::Module* module = b_.GetInsertBlock()->getModule();
    auto* global = new llvm::GlobalVariable(*module, content->getType(), true,
                                            llvm::GlobalValue::PrivateLinkage, content, "tiles");
    global->setAlignment(llvm::Align(64));
    return global;
  }

  // `count` blocks of `size` rows, from row `first` on.
  void rows(int64_t first, int64_t size, int64_t count) {
    int64_t second = std::max<int64_t>(size - kTileRows, 0);
    row_tiles_ = second > 0 ? 2 : 1;
    intrinsic(llvm::Intrinsic::x86_ldtilecfg,
              {configuration(std::min(size, kTileRows), std::max<int64_t>(second, 1))});
    int64_t panels = m_.columns / loop::kMatrixColumns;
    columns(first, size, count, 0, 2, panels / 2);
    if (panels % 2)
      columns(first, size, count, panels - 1, 1, 1);
  }

  // `count` groups of `panels` panels of b, from panel `first_panel` on. A group stays in the first
  // level cache while the rows go by.
  void columns(int64_t first, int64_t size, int64_t count, int64_t first_panel, int64_t panels,
               int64_t groups) {
    if (groups == 0)
      return;
    int64_t panel_bytes = 2 * loop::kMatrixColumns * m_.depth;
    emit_counted_loop(b_, groups, 1, {}, [&](Value* group, std::span<Value* const>) {
      Value* b = address(at_.b, first_panel * panel_bytes, group, panels * panel_bytes);
      Value* c = address(at_.c, first_panel * kRowBytes, group, panels * kRowBytes);
      emit_counted_loop(b_, count, 1, {}, [&](Value* block, std::span<Value* const>) {
        sums(address(at_.a, 2 * first * m_.a_step, block, 2 * size * m_.a_step), b,
             address(c, 4 * first * m_.c_step, block, 4 * size * m_.c_step), panels);
        return std::vector<Value*>{};
      });
      return std::vector<Value*>{};
    });
  }

  void sums(Value* a, Value* b, Value* c, int64_t panels) {
    auto address_of_sum = [&](int64_t i, int64_t j) {
      return b_.CreateConstInBoundsGEP1_64(
          b_.getInt8Ty(), c, static_cast<uint64_t>(4 * i * kTileRows * m_.c_step + j * kRowBytes));
    };
    for_each_sum(panels, [&](int64_t i, int64_t j) {
      if (m_.accumulate)
        load(sums_tile(i, j), address_of_sum(i, j), 4 * m_.c_step);
      else
        intrinsic(llvm::Intrinsic::x86_tilezero, {tile(sums_tile(i, j))});
    });
    int64_t panel_bytes = 2 * loop::kMatrixColumns * m_.depth;
    emit_counted_loop(
        b_, m_.depth / loop::kMatrixDepth, 1, {}, [&](Value* step, std::span<Value* const>) {
          for (int64_t j = 0; j < panels; ++j)
            load(b_tile(j), address(b, j * panel_bytes, step, kTileRows * kRowBytes), kRowBytes);
          for (int64_t i = 0; i < row_tiles_; ++i)
            load(a_tile(i), address(a, 2 * i * kTileRows * m_.a_step, step, kRowBytes),
                 2 * m_.a_step);
          for_each_sum(panels, [&](int64_t i, int64_t j) {
            intrinsic(llvm::Intrinsic::x86_tdpbf16ps,
                      {tile(sums_tile(i, j)), tile(a_tile(i)), tile(b_tile(j))});
          });
          return std::vector<Value*>{};
        });
    for_each_sum(panels, [&](int64_t i, int64_t j) {
      intrinsic(llvm::Intrinsic::x86_tilestored64,
                {tile(sums_tile(i, j)), address_of_sum(i, j), number(4 * m_.c_step)});
    });
  }

  void load(int to, Value* from, int64_t row_bytes) {
    intrinsic(llvm::Intrinsic::x86_tileloadd64, {tile(to), from, number(row_bytes)});
  }

  template <typename F>
  void for_each_sum(int64_t panels, F f) {
    for (int64_t i = 0; i < row_tiles_; ++i)
      for (int64_t j = 0; j < panels; ++j)
        f(i, j);
  }

  llvm::IRBuilder<>& b_;
  const loop::Matrix& m_;
  MatrixPointers at_;
  int64_t row_tiles_ = 2;
};

}  // namespace

void emit_matrix_tiles(llvm::IRBuilder<>& builder, const loop::Matrix& matrix,
                       const MatrixPointers& pointers) {
  MatrixEmitter(builder, matrix, pointers).emit();
}

void emit_pair_rows(llvm::IRBuilder<>& b, const loop::PairRows& pairs, Value* from, Value* to) {
  constexpr int64_t kColumns = 16;
  llvm::Type* element = b.getInt16Ty();
  auto* row_type = llvm::FixedVectorType::get(element, kColumns);
  auto at = [&](Value* base, int64_t offset) {
    return b.CreateConstInBoundsGEP1_64(element, base, static_cast<uint64_t>(offset));
  };
  auto walk = [&](Value* base, Value* i, int64_t step) {
    return b.CreateInBoundsGEP(element, base,
                               b.CreateMul(i, b.getInt64(static_cast<uint64_t>(step))));
  };
  std::vector<int> interleaved;
  for (int lane = 0; lane < kColumns; ++lane)
    interleaved.insert(interleaved.end(), {lane, static_cast<int>(kColumns) + lane});
  Value* zeros = llvm::Constant::getNullValue(row_type);
  auto load = [&](Value* address, int64_t columns) -> Value* {
    if (columns == kColumns)
      return b.CreateAlignedLoad(row_type, address, llvm::Align(2));
    return b.CreateMaskedLoad(row_type, address, llvm::Align(2), first_lanes(b, kColumns, columns),
                              zeros);
  };
  // Two rows, or an odd last one.
  auto pair = [&](Value* source, Value* target, int64_t rows) {
    for (int64_t column = 0; column < pairs.columns; column += kColumns) {
      int64_t columns = std::min(kColumns, pairs.columns - column);
      Value* first = load(at(source, column), columns);
      Value* second = rows == 2 ? load(at(source, pairs.from_step + column), columns) : zeros;
      Value* both = b.CreateShuffleVector(first, second, interleaved);
      if (columns == kColumns)
        b.CreateAlignedStore(both, at(target, 2 * column), llvm::Align(2));
      else
        b.CreateMaskedStore(both, at(target, 2 * column), llvm::Align(2),
                            first_lanes(b, 2 * kColumns, 2 * columns));
    }
  };
  emit_counted_loop(b, pairs.rows / 2, 1, {}, [&](Value* i, std::span<Value* const>) {
    pair(walk(from, i, 2 * pairs.from_step), walk(to, i, pairs.to_step), 2);
    return std::vector<Value*>{};
  });
  if (pairs.rows % 2)
    pair(at(from, (pairs.rows - 1) * pairs.from_step), at(to, pairs.rows / 2 * pairs.to_step), 1);
}

}  // namespace gradc::codegen
