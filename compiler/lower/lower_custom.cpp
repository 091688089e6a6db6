// Custom kernels: one op each, whose elements depend on each other in an order of their own.
#include <algorithm>

#include "compiler/lower/iteration_space.h"
#include "compiler/lower/lower.h"
#include "ir/diagnostic.h"

namespace gradc {
namespace {

using loop::LoopKind;
using loop::Scalar;

// A tensor seen as [outer, axis, inner].
struct Split {
  int64_t outer = 1, axis = 1, inner = 1;
};

Split split_at(const Dims& dims, size_t begin, size_t end) {
  auto product = [&](size_t from, size_t to) {
    int64_t count = 1;
    for (size_t i = from; i < to; ++i)
      count *= dims[i];
    return count;
  };
  return {product(0, begin), product(begin, end), product(end, dims.size())};
}

// A loop over independent parts, parallel if the work is worth it; or none for one part.
Scalar begin_parts(loop::Builder& b, int64_t parts, bool parallel) {
  if (parts == 1)
    return b.index(0);
  return b.begin_for(parallel ? LoopKind::parallel : LoopKind::serial, parts)[0];
}

// Each part of the columns is one task, so that a number's slices are added in their order.
//   result[o, n, i] = 0;  for k in order: result[o, numbers[k], i] += updates[o, k, i]
class ScatterAdd {
 public:
  ScatterAdd(const Function& function, const Target& target, int threads)
      : op_(function.ops.at(0)),
        kernel_{.name = function.name},
        b_(kernel_),
        values_(function, b_) {
    const Type& numbers = function.type(op_.operand(0));
    const Type& updates = function.type(op_.operand(1));
    auto axis = static_cast<size_t>(op_.attrs.integer("axis"));
    split_ = split_at(updates.dims, axis, axis + numbers.dims.size());
    size_ = op_.attrs.integer("size");
    double work = 0.2 * static_cast<double>(updates.elements());
    parallel_ = threads > 1 && work > kParallelNanoseconds;
    block_ = parallel_ ? std::min<int64_t>(split_.inner, 4 * target.lanes_f32()) : split_.inner;
  }

  loop::Kernel run() {
    int64_t whole = split_.inner / block_, rest = split_.inner % block_;
    columns(0, whole, block_);
    if (rest > 0)
      columns(whole * block_, 1, rest);
    return std::move(kernel_);
  }

 private:
  static constexpr uint32_t kNumbers = 0, kUpdates = 1, kResult = 2;

  void columns(int64_t begin, int64_t blocks, int64_t width) {
    Scalar part = begin_parts(b_, split_.outer * blocks, parallel_);
    std::vector<Scalar> at = unravel(b_, part, {split_.outer, blocks});
    Scalar column = b_.add(b_.index(begin), b_.mul(at[1], b_.index(width)));
    DType dtype = kernel_.buffers[kResult].dtype;
    Scalar n = b_.begin_for(LoopKind::serial, size_)[0];
    in_columns(column, width, [&](Scalar i) {
      b_.store(kResult, place(at[0], size_, n, i), b_.constant(dtype, 0));
    });
    b_.end_for();
    Scalar k = b_.begin_for(LoopKind::serial, split_.axis)[0];
    Scalar number = b_.convert(b_.load(kNumbers, k), DType::i64);
    number = b_.max(b_.min(number, b_.index(size_ - 1)), b_.index(0));
    in_columns(column, width, [&](Scalar i) {
      Scalar to = place(at[0], size_, number, i);
      Scalar sum = b_.load(kResult, to);
      sum = b_.add(sum, b_.load(kUpdates, place(at[0], split_.axis, k, i)));
      b_.store(kResult, to, sum);
    });
    while (b_.depth() > 0)
      b_.end_for();
  }

  template <typename F>
  void in_columns(Scalar first, int64_t width, F body) {
    if (width == 1)
      return body(first);
    body(b_.add(first, b_.begin_for(LoopKind::vector, width, {}, {}, "j")[0]));
    b_.end_for();
  }

  Scalar place(Scalar outer, int64_t rows, Scalar row, Scalar column) {
    return ravel(b_, std::array{outer, row, column}, {split_.outer, rows, split_.inner});
  }

  const Op& op_;
  loop::Kernel kernel_;
  loop::Builder b_;
  KernelValues values_;
  Split split_;
  int64_t size_ = 1, block_ = 1;
  bool parallel_ = false;
};

// The sums run along the axis; lanes are the inner elements, or where there are none, the rows.
class CumulativeSum {
 public:
  CumulativeSum(const Function& function, int threads)
      : op_(function.ops.at(0)),
        kernel_{.name = function.name},
        b_(kernel_),
        values_(function, b_),
        dtype_(function.type(op_.result()).dtype) {
    auto axis = static_cast<size_t>(op_.attrs.integer("axis"));
    const Type& type = function.type(op_.operand(0));
    split_ = split_at(type.dims, axis, axis + 1);
    parallel_ = threads > 1 && static_cast<double>(type.elements()) > kParallelNanoseconds;
  }

  loop::Kernel run() {
    bool lanes_are_rows = split_.inner == 1;
    Scalar outer = lanes_are_rows ? lane(split_.outer) : begin_parts(b_, split_.outer, parallel_);
    Scalar inner = lanes_are_rows ? b_.index(0) : lane(split_.inner);
    bool is_half = is_float(dtype_) && byte_size(dtype_) < 4;
    DType sum_dtype = is_half ? DType::f32 : dtype_;
    Scalar zero = b_.constant(sum_dtype, 0);
    std::vector<Scalar> current = b_.begin_for(LoopKind::serial, split_.axis, {&zero, 1});
    Scalar i = current[0];
    if (op_.attrs.flag("reverse"))
      i = b_.sub(b_.index(split_.axis - 1), i);
    Scalar at = ravel(b_, std::array{outer, i, inner}, {split_.outer, split_.axis, split_.inner});
    Scalar sum = b_.add(current[1], b_.convert(b_.load(0, at), sum_dtype));
    b_.store(1, at, b_.convert(op_.attrs.flag("exclusive") ? current[1] : sum, dtype_));
    b_.end_for({&sum, 1});
    while (b_.depth() > 0)
      b_.end_for();
    return std::move(kernel_);
  }

 private:
  Scalar lane(int64_t extent) {
    return extent == 1 ? b_.index(0) : b_.begin_for(LoopKind::vector, extent, {}, {}, "j")[0];
  }

  const Op& op_;
  loop::Kernel kernel_;
  loop::Builder b_;
  KernelValues values_;
  DType dtype_;
  Split split_;
  bool parallel_ = false;
};

}  // namespace

loop::Kernel lower_custom(const Function& function, const Target& target, int threads) {
  const Op& op = function.ops.at(0);
  if (op.code == Opcode::scatter_add)
    return ScatterAdd(function, target, threads).run();
  GRADC_CHECK(op.code == Opcode::cumulative_sum, "@{} has no lowering", function.name);
  return CumulativeSum(function, threads).run();
}

}  // namespace gradc
