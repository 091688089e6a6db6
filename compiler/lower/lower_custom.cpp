// Custom kernels: one op each, whose elements depend on each other in an order of their own.
#include <algorithm>

#include "compiler/lower/iteration_space.h"
#include "compiler/lower/lower.h"
#include "compiler/lower/segments.h"
#include "compiler/lower/split.h"
#include "ir/diagnostic.h"
#include "ir/op_def.h"

namespace gradc {
namespace {

using loop::LoopKind;
using loop::Scalar;

// The sums run along the axis; lanes are the inner elements. Where there are none they are the
// rows, of which squares are transposed into scratch, and back.
class CumulativeSum {
 public:
  CumulativeSum(const Function& function, int threads)
      : op_(function.ops.at(0)),
        kernel_{.name = function.name},
        b_(kernel_),
        values_(function, b_),
        dtype_(function.type(op_.result()).dtype),
        sum_dtype_(is_float(dtype_) && byte_size(dtype_) < 4 ? DType::f32 : dtype_) {
    auto axis = static_cast<size_t>(op_.attrs.integer("axis"));
    const Type& type = function.type(op_.operand(0));
    split_ = split_at(type.dims, axis, axis + 1);
    parallel_ = threads > 1 && static_cast<double>(type.elements()) > kParallelNanoseconds;
  }

  loop::Kernel run() {
    if (split_.inner == 1 && split_.outer > 1)
      run_rows();
    else
      run_inner();
    return std::move(kernel_);
  }

 private:
  static constexpr int64_t kLanes = 16, kColumns = 64;

  bool is_reverse() const { return op_.attrs.flag("reverse"); }

  void run_inner() {
    Scalar outer = begin_parts(b_, split_.outer, parallel_);
    Scalar inner = lane(split_.inner);
    add_up(split_.axis, b_.constant(sum_dtype_, 0), 0, 1, [&](Scalar i) {
      return ravel(b_, std::array{outer, i, inner}, {split_.outer, split_.axis, split_.inner});
    });
    while (b_.depth() > 0)
      b_.end_for();
  }

  void run_rows() {
    uint32_t sums = b_.scratch("sums", sum_dtype_, kLanes);
    uint32_t in = b_.scratch("in", dtype_, kLanes * kColumns);
    uint32_t out = b_.scratch("out", dtype_, kLanes * kColumns);
    std::vector<Segment> columns = blocks_of(split_.axis, kColumns);
    if (is_reverse())
      std::ranges::reverse(columns);
    for (const Segment& rows : blocks_of(split_.outer, kLanes)) {
      Scalar first = b_.add(b_.index(rows.start),
                            b_.scaled(begin_parts(b_, rows.count, parallel_), rows.size));
      Scalar clear = lane(rows.size);
      b_.store(sums, clear, b_.constant(sum_dtype_, 0));
      close_lane(rows.size);
      for (const Segment& part : columns)
        for_parts(b_, part, [&](Scalar start, Scalar) {
          if (is_reverse())
            start = b_.sub(b_.index(2 * part.start + (part.count - 1) * part.size), start);
          Scalar at = b_.add(b_.scaled(first, split_.axis), start);
          b_.transpose({.rows = rows.size,
                        .columns = part.size,
                        .from_buffer = 0,
                        .to_buffer = in,
                        .from_step = split_.axis,
                        .to_step = kLanes},
                       at, b_.index(0));
          Scalar row = lane(rows.size);
          Scalar sum = add_up(part.size, b_.load(sums, row), in, out,
                              [&](Scalar i) { return b_.add(b_.scaled(i, kLanes), row); });
          b_.store(sums, row, sum);
          close_lane(rows.size);
          b_.transpose({.rows = part.size,
                        .columns = rows.size,
                        .from_buffer = out,
                        .to_buffer = 1,
                        .from_step = kLanes,
                        .to_step = split_.axis},
                       b_.index(0), at);
        });
      while (b_.depth() > 0)
        b_.end_for();
    }
  }

  // Goes on from `sum` over `count` elements, at(i) in both buffers; gives the last sum.
  template <typename At>
  Scalar add_up(int64_t count, Scalar sum, uint32_t from, uint32_t to, At at) {
    std::vector<Scalar> current = b_.begin_for(LoopKind::serial, count, {&sum, 1});
    Scalar i = is_reverse() ? b_.sub(b_.index(count - 1), current[0]) : current[0];
    Scalar place = at(i);
    Scalar next = b_.add(current[1], b_.convert(b_.load(from, place), sum_dtype_));
    b_.store(to, place, b_.convert(op_.attrs.flag("exclusive") ? current[1] : next, dtype_));
    return b_.end_for({&next, 1}).at(0);
  }

  Scalar lane(int64_t extent) {
    return extent == 1 ? b_.index(0) : b_.begin_for(LoopKind::vector, extent, {}, {}, "j")[0];
  }

  void close_lane(int64_t extent) {
    if (extent > 1)
      b_.end_for();
  }

  const Op& op_;
  loop::Kernel kernel_;
  loop::Builder b_;
  KernelValues values_;
  DType dtype_, sum_dtype_;
  Split split_;
  bool parallel_ = false;
};

loop::Kernel lower_cumulative_sum(const Function& function, const Target&, int threads) {
  return CumulativeSum(function, threads).run();
}

struct CustomLowering {
  Opcode code;
  loop::Kernel (*lower)(const Function& kernel, const Target& target, int threads);
};

constexpr CustomLowering kLowerings[] = {
    {Opcode::attention_backward, lower_attention_backward},
    {Opcode::attention_forward, lower_attention_forward},
    {Opcode::cumulative_sum, lower_cumulative_sum},
    {Opcode::scatter, lower_scatter},
    {Opcode::scatter_add, lower_scatter},
    {Opcode::scatter_elements, lower_scatter},
    {Opcode::top_k, lower_top_k},
};

}  // namespace

loop::Kernel lower_custom(const Function& function, const Target& target, int threads) {
  const Op& op = function.ops.at(0);
  for (const CustomLowering& lowering : kLowerings)
    if (lowering.code == op.code)
      return lowering.lower(function, target, threads);
  internal_error(__FILE__, __LINE__, "a custom op with a lowering",
                 fmt::format("@{} is `{}`", function.name, def(op).name));
}

}  // namespace gradc
