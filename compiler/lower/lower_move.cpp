// Map kernels that only move elements, with another axis innermost: squares of the operand are
// transposed in registers.
#include <algorithm>

#include "compiler/lower/iteration_space.h"
#include "compiler/lower/lower.h"
#include "compiler/lower/moved_source.h"
#include "compiler/lower/split.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

using loop::Scalar;

// An axis of the result, or several that are as good as one.
struct MovedAxis {
  int64_t extent = 1;
  int64_t from_step = 0, to_step = 0;
};

std::vector<MovedAxis> moved_axes(const Dims& dims, const std::vector<int64_t>& from_steps) {
  std::vector<int64_t> to_steps = row_major_strides(dims);
  std::vector<MovedAxis> axes;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 1)
      continue;
    if (!axes.empty() && axes.back().from_step == dims[i] * from_steps[i])
      axes.back() = {axes.back().extent * dims[i], from_steps[i], to_steps[i]};
    else
      axes.push_back({dims[i], from_steps[i], to_steps[i]});
  }
  return axes;
}

class MoveLowering {
 public:
  MoveLowering(const Function& function, std::vector<MovedAxis> axes, size_t across, int threads)
      : kernel_{.name = function.name},
        b_(kernel_),
        values_(function, b_),
        row_(axes.back()),
        column_(axes[across]) {
    int64_t elements = function.type(function.results[0].value).elements();
    parallel_ = threads > 1 &&
                2 * kAccessNanoseconds * static_cast<double>(elements) >= kParallelNanoseconds;
    axes.pop_back();
    axes.erase(axes.begin() + static_cast<std::ptrdiff_t>(across));
    outer_ = std::move(axes);
  }

  loop::Kernel run(const MovedSource& source) {
    from_ = *values_.buffer_of(source.parameter);
    from_start_ = source.offset;
    int64_t extent = longer().extent, piece = extent;
    if (parallel_ && outer() < kTasks)
      piece = std::min(extent, round_up(ceil_div(extent, ceil_div(kTasks, outer())), kSquare));
    lower_pieces(0, extent / piece, piece);
    if (extent % piece != 0)
      lower_pieces(extent / piece * piece, 1, extent % piece);
    return std::move(kernel_);
  }

 private:
  static constexpr int64_t kTasks = 32;  // a fair share for each of many threads
  static constexpr int64_t kSquare = 16;

  MovedAxis& longer() { return row_.extent >= column_.extent ? row_ : column_; }

  int64_t outer() const {
    int64_t count = 1;
    for (const MovedAxis& axis : outer_)
      count *= axis.extent;
    return count;
  }

  // Pieces `begin`, begin + piece, ... of the longer axis, everywhere.
  void lower_pieces(int64_t begin, int64_t pieces, int64_t piece) {
    Dims tasks;
    for (const MovedAxis& axis : outer_)
      tasks.push_back(axis.extent);
    tasks.push_back(pieces);
    std::vector<Scalar> at = begin_parts(b_, tasks, parallel_);
    const MovedAxis& cut = longer();
    Scalar first = b_.add(b_.index(begin), b_.scaled(at.back(), piece));
    Scalar from = b_.add(b_.index(from_start_), b_.scaled(first, cut.from_step));
    Scalar to = b_.scaled(first, cut.to_step);
    for (size_t i = 0; i < outer_.size(); ++i) {
      from = b_.add(from, b_.scaled(at[i], outer_[i].from_step));
      to = b_.add(to, b_.scaled(at[i], outer_[i].to_step));
    }
    b_.transpose({.rows = &cut == &row_ ? piece : row_.extent,
                  .columns = &cut == &column_ ? piece : column_.extent,
                  .from_buffer = from_,
                  .to_buffer = values_.result_buffer(0),
                  .from_step = row_.from_step,
                  .to_step = column_.to_step},
                 from, to);
    while (b_.depth() > 0)
      b_.end_for();
  }

  loop::Kernel kernel_;
  loop::Builder b_;
  KernelValues values_;
  std::vector<MovedAxis> outer_;
  MovedAxis row_, column_;  // neighbours in the result, and in the operand
  uint32_t from_ = 0;
  int64_t from_start_ = 0;
  bool parallel_ = false;
};

}  // namespace

std::optional<loop::Kernel> lower_move(const Function& function, int threads) {
  if (function.results.size() != 1)
    return std::nullopt;
  ValueId result = function.results[0].value;
  std::optional<MovedSource> source = moved_source(function, defining_ops(function), result);
  if (!source)
    return std::nullopt;
  std::vector<MovedAxis> axes = moved_axes(function.type(result).dims, source->steps);
  if (axes.size() < 2 || axes.back().from_step == 1)
    return std::nullopt;
  auto across = std::ranges::find(axes, 1, &MovedAxis::from_step);
  if (across == axes.end())
    return std::nullopt;
  auto place = static_cast<size_t>(across - axes.begin());
  return MoveLowering(function, std::move(axes), place, threads).run(*source);
}

}  // namespace gradc
