// Custom kernels: one op each, whose elements depend on each other in an order of their own.
#include "compiler/lower/iteration_space.h"
#include "compiler/lower/lower.h"
#include "compiler/lower/split.h"
#include "ir/diagnostic.h"
#include "ir/op_def.h"

namespace gradc {
namespace {

using loop::LoopKind;
using loop::Scalar;

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
