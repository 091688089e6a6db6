#include "compiler/codegen/emit_tile.h"

#include <algorithm>
#include <cstdlib>
#include <span>
#include <vector>

#include "compiler/codegen/arithmetic.h"
#include "compiler/codegen/counted_loop.h"
#include "ir/integer_math.h"

namespace gradc::codegen {
namespace {

using llvm::Value;

// Steps of the summed loop that are unrolled: enough to hide the loop's own instructions, no more:
// on Sapphire Rapids 6 x 4 vectors lose 2 % with 6 steps, 6 % with 1, against 3 or 4.
constexpr int64_t kMaxUnrolledProducts = 100;
constexpr int64_t kMaxUnroll = 8;

Value* element_address(llvm::IRBuilder<>& b, llvm::Type* element, Value* base, int64_t offset) {
  return offset == 0 ? base
                     : b.CreateConstInBoundsGEP1_64(element, base, static_cast<uint64_t>(offset));
}

class TileEmitter {
 public:
  TileEmitter(llvm::IRBuilder<>& builder, const loop::Tile& tile, const TileOperands& operands,
              llvm::Type* element, int lanes, int registers)
      : b_(builder),
        tile_(tile),
        operands_(operands),
        element_(element),
        vector_(llvm::FixedVectorType::get(element, static_cast<unsigned>(lanes))),
        align_(element->getScalarSizeInBits() / 8),
        lanes_(lanes),
        registers_(registers),
        vectors_per_group_((tile.columns * tile.depth + lanes - 1) / lanes) {}

  void emit(const std::function<void(const TileVector&)>& sink) {
    std::vector<Value*> state = {operands_.a, operands_.b};
    for_each_vector([&](const TileVector& at) {
      state.push_back(tile_.accumulate ? load(operands_.acc,
                                              at.row * tile_.acc_row_step +
                                                  at.group * tile_.acc_group_step + at.column,
                                              at.valid)
                                       : llvm::Constant::getNullValue(vector_));
    });
    sums_ = static_cast<int64_t>(state.size()) - 2;
    if (tile_.loops.size() > 1)
      state.insert(state.end(), operands_.ahead.begin(), operands_.ahead.end());
    state = nest(0, std::move(state));
    if (tile_.depth > 1) {
      for (int64_t row = 0; row < tile_.rows; ++row)
        sink({row, 0, 0, tile_.columns,
              folded({state.begin() + 2 + row * vectors_per_group_,
                      state.begin() + 2 + (row + 1) * vectors_per_group_})});
      return;
    }
    size_t next = 2;
    for_each_vector([&](TileVector at) {
      at.sums = state[next++];
      sink(at);
    });
  }

 private:
  template <typename F>
  void for_each_vector(F f) {
    for (int64_t row = 0; row < tile_.rows; ++row)
      for (int64_t group = 0; group < tile_.groups; ++group)
        for (int64_t v = 0; v < vectors_per_group_; ++v)
          f(TileVector{row, group, v * lanes_,
                       std::min<int64_t>(lanes_, tile_.columns - v * lanes_), nullptr});
  }

  Value* load(Value* base, int64_t offset, int64_t valid) {
    Value* address = element_address(b_, element_, base, offset);
    if (tile_.padded || valid == lanes_)
      return b_.CreateAlignedLoad(vector_, address, llvm::Align(align_));
    return b_.CreateMaskedLoad(vector_, address, llvm::Align(align_),
                               first_lanes(b_, lanes_, valid),
                               llvm::Constant::getNullValue(vector_));
  }

  Value* multiply_add(Value* x, Value* y, Value* sum) {
    if (element_->isFloatingPointTy())
      return b_.CreateIntrinsic(llvm::Intrinsic::fma, {vector_}, {x, y, sum});
    return b_.CreateAdd(b_.CreateMul(x, y), sum);
  }

  // The elements of a that every column wants.
  Value* broadcast(Value* address) {
    auto depth = static_cast<unsigned>(tile_.depth);
    if (depth == 1)
      return b_.CreateVectorSplat(static_cast<unsigned>(lanes_),
                                  b_.CreateAlignedLoad(element_, address, llvm::Align(align_)));
    Value* x = b_.CreateAlignedLoad(llvm::FixedVectorType::get(element_, depth), address,
                                    llvm::Align(align_));
    std::vector<int> again;
    for (int lane = 0; lane < lanes_; ++lane)
      again.push_back(lane % static_cast<int>(depth));
    return b_.CreateShuffleVector(x, again);
  }

  // A row of sums, each of which lies in `depth` neighbouring lanes; sum c goes to lane c. A round
  // makes one vector of two, as each needs half of the lanes only.
  Value* folded(std::vector<Value*> vectors) {
    for (auto width = static_cast<int>(tile_.depth) / 2; width > 0; width /= 2) {
      std::vector<int> low, high;
      for (int lane = 0; lane < lanes_; ++lane) {
        low.push_back(lane / width * 2 * width + lane % width);
        high.push_back(low.back() + width);
      }
      std::vector<Value*> next;
      for (size_t i = 0; i < vectors.size(); i += 2) {
        Value* x = vectors[i];
        Value* y = i + 1 < vectors.size() ? vectors[i + 1] : llvm::PoisonValue::get(vector_);
        next.push_back(
            b_.CreateFAdd(b_.CreateShuffleVector(x, y, low), b_.CreateShuffleVector(x, y, high)));
      }
      vectors = std::move(next);
    }
    return vectors[0];
  }

  // One index of the summed loops. state: addresses in a and b, then the sums.
  void step(std::vector<Value*>& state, int64_t a_offset, int64_t b_offset) {
    std::vector<Value*> columns;
    for (int64_t group = 0; group < tile_.groups; ++group)
      for (int64_t v = 0; v < vectors_per_group_; ++v)
        columns.push_back(load(state[1], b_offset + group * tile_.b_group_step + v * lanes_,
                               std::min<int64_t>(lanes_, tile_.columns - v * lanes_)));
    size_t sum = 2;
    for (int64_t row = 0; row < tile_.rows; ++row) {
      Value* address = element_address(b_, element_, state[0], a_offset + row * tile_.a_row_step);
      Value* x = broadcast(address);
      for (Value* y : columns) {
        state[sum] = multiply_add(x, y, state[sum]);
        ++sum;
      }
    }
  }

  void advance(std::vector<Value*>& state, int64_t a_offset, int64_t b_offset) {
    state[0] = element_address(b_, element_, state[0], a_offset);
    state[1] = element_address(b_, element_, state[1], b_offset);
  }

  std::vector<Value*> steps(std::vector<Value*> state, const loop::TileLoop& loop, int64_t count) {
    for (int64_t i = 0; i < count; ++i)
      step(state, i * loop.a_step, i * loop.b_step);
    advance(state, count * loop.a_step, count * loop.b_step);
    return state;
  }

  // The next step of the loop reads what other rows of this one have read, as taps of a
  // convolution do. LLVM keeps such elements in registers when it sees both steps.
  bool rows_share_elements(const loop::TileLoop& loop) const {
    return tile_.a_row_step != 0 && loop.a_step % tile_.a_row_step == 0 &&
           std::abs(loop.a_step / tile_.a_row_step) < tile_.rows;
  }

  std::vector<Value*> innermost(std::vector<Value*> state, const loop::TileLoop& loop) {
    int64_t unroll = std::max<int64_t>(1, std::min(kMaxUnroll, kMaxUnrolledProducts / sums_));
    if (rows_share_elements(loop) && registers_ < 32)
      unroll = 1;
    if (loop.extent <= unroll + unroll / 2)
      return steps(std::move(state), loop, loop.extent);
    int64_t whole = loop.extent / unroll;
    if (tile_.loops.size() == 1)
      whole -= steps_that_fetch(state, loop, unroll, whole);
    state = emit_counted_loop(b_, whole, 1, std::move(state),
                              [&](Value*, std::span<Value* const> carries) {
                                return steps({carries.begin(), carries.end()}, loop, unroll);
                              });
    return steps(std::move(state), loop, loop.extent % unroll);
  }

  // One loop for each entry of `ahead`, all together `most` iterations of `unroll` steps at most.
  // Returns how many they have.
  int64_t steps_that_fetch(std::vector<Value*>& state, const loop::TileLoop& loop, int64_t unroll,
                           int64_t most) {
    auto wanted = static_cast<int64_t>(tile_.ahead.size());
    int64_t done = 0;
    for (int64_t i = 0; i < wanted && wanted <= most; ++i) {
      Fetching fetching = fetching_of(tile_.ahead[static_cast<size_t>(i)], most / wanted, true);
      state.push_back(operands_.ahead[static_cast<size_t>(i)]);
      state = emit_counted_loop(
          b_, fetching.times, 1, std::move(state), [&](Value*, std::span<Value* const> row) {
            std::vector<Value*> next(row.begin(), row.end());
            Value* at = next.back();
            next = emit_counted_loop(b_, fetching.pieces, 1, std::move(next),
                                     [&](Value*, std::span<Value* const> carries) {
                                       return steps_and_fetch(carries, loop, unroll, fetching);
                                     });
            next.back() = moved(at, fetching.bytes);
            return next;
          });
      state.pop_back();
      done += fetching.times * fetching.pieces;
    }
    return done;
  }

  // A part of every entry of `ahead`, in each iteration of the loops outside of the innermost one.
  // Their places are the last elements of the state.
  void fetch_part(std::vector<Value*>& state) {
    int64_t iterations = 1;
    for (size_t l = 0; l + 1 < tile_.loops.size(); ++l)
      iterations *= tile_.loops[l].extent;
    size_t first = state.size() - tile_.ahead.size();
    for (size_t i = 0; i < tile_.ahead.size(); ++i) {
      Fetching fetching = fetching_of(tile_.ahead[i], iterations, false);
      fetch(fetching, state[first + i]);
      state[first + i] = moved(state[first + i], fetching.bytes);
    }
  }

  // Lines at these distances from a place, which moves on by `piece_bytes`; after so many pieces
  // what comes next is at a distance of `bytes` from the first.
  struct Fetching {
    int64_t times = 0, bytes = 0, pieces = 1, piece_bytes = 0;
    std::vector<int64_t> lines;
    bool written = false;
  };

  // Some rows at a time, or some lines of each row, whichever is less. In `pieces` these are spread
  // over more of the `most` iterations that there are, as many at once would wait for each other.
  Fetching fetching_of(const loop::TileAhead& wanted, int64_t most, bool pieces) const {
    constexpr int64_t kLine = 64;
    auto size = static_cast<int64_t>(align_);
    int64_t lines = (wanted.columns * size + kLine - 1) / kLine, row = wanted.row_step * size;
    bool by_rows = wanted.rows >= lines;
    int64_t outer = by_rows ? wanted.rows : lines, inner = by_rows ? lines : wanted.rows;
    int64_t outer_bytes = by_rows ? row : kLine, inner_bytes = by_rows ? kLine : row;
    int64_t at_once = ceil_div(outer, most);
    int64_t of_inner =
        pieces ? ceil_div(inner, std::min(inner, std::max<int64_t>(1, most / outer))) : inner;
    Fetching fetching{.times = ceil_div(outer, at_once),
                      .bytes = at_once * outer_bytes,
                      .pieces = ceil_div(inner, of_inner),
                      .piece_bytes = of_inner * inner_bytes,
                      .written = wanted.written};
    for (int64_t o = 0; o < at_once; ++o)
      for (int64_t i = 0; i < of_inner; ++i)
        fetching.lines.push_back(o * outer_bytes + i * inner_bytes);
    return fetching;
  }

  // The place in memory that is fetched from is the last element of the state.
  std::vector<Value*> steps_and_fetch(std::span<Value* const> carries, const loop::TileLoop& loop,
                                      int64_t unroll, const Fetching& fetching) {
    std::vector<Value*> next(carries.begin(), carries.end() - 1);
    next = steps(std::move(next), loop, unroll);
    fetch(fetching, carries.back());
    next.push_back(moved(carries.back(), fetching.piece_bytes));
    return next;
  }

  // Into the second level cache, where what is multiplied stays in the first.
  void fetch(const Fetching& fetching, Value* at) {
    constexpr int kAllCaches = 3, kSecondLevel = 2, kData = 1;
    int where = fetching.written ? kAllCaches : kSecondLevel;
    for (int64_t line : fetching.lines)
      b_.CreateIntrinsic(llvm::Intrinsic::prefetch, {b_.getPtrTy()},
                         {moved(at, line), b_.getInt32(fetching.written ? 1 : 0),
                          b_.getInt32(static_cast<uint32_t>(where)), b_.getInt32(kData)});
  }

  Value* moved(Value* at, int64_t bytes) {
    return b_.CreateConstGEP1_64(b_.getInt8Ty(), at, static_cast<uint64_t>(bytes));
  }

  Value* count_of(size_t depth) const {
    auto counted =
        std::count_if(tile_.loops.begin(), tile_.loops.begin() + static_cast<std::ptrdiff_t>(depth),
                      [](const loop::TileLoop& loop) { return loop.counted; });
    return operands_.counts[static_cast<size_t>(counted)];
  }

  // The loops from `depth` on. The addresses come back as they went in.
  std::vector<Value*> nest(size_t depth, std::vector<Value*> state) {
    if (depth == tile_.loops.size()) {
      step(state, 0, 0);
      return state;
    }
    Value *a = state[0], *b = state[1];
    const loop::TileLoop& loop = tile_.loops[depth];
    auto body = [&](Value*, std::span<Value* const> carries) {
      std::vector<Value*> next(carries.begin(), carries.end());
      if (depth + 2 == tile_.loops.size())
        fetch_part(next);
      next = nest(depth + 1, std::move(next));
      advance(next, loop.a_step, loop.b_step);
      return next;
    };
    if (loop.counted)
      state = emit_loop_if_any(b_, count_of(depth), std::move(state), body);
    else if (depth + 1 == tile_.loops.size())
      state = innermost(std::move(state), loop);
    else
      state = emit_counted_loop(b_, loop.extent, 1, std::move(state), body);
    state[0] = a;
    state[1] = b;
    return state;
  }

  llvm::IRBuilder<>& b_;
  const loop::Tile& tile_;
  const TileOperands& operands_;
  llvm::Type* element_;
  llvm::FixedVectorType* vector_;
  uint64_t align_;
  int lanes_;
  int registers_;
  int64_t vectors_per_group_;
  int64_t sums_ = 0;  // vectors of them
};

}  // namespace

void emit_tile(llvm::IRBuilder<>& builder, const loop::Tile& tile, llvm::Type* element, int lanes,
               int registers, const TileOperands& operands,
               const std::function<void(const TileVector&)>& sink) {
  TileEmitter(builder, tile, operands, element, lanes, registers).emit(sink);
}

}  // namespace gradc::codegen
