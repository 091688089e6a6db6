// Contract kernels without register tiles, for what has no operand that a tile could broadcast:
// depthwise convolutions, products with a vector, few columns. Operands are read where they lie.
//
// direct: parallel task over the outer result loops {
//           vector along the last one { serial summed loops { sum = fma(x, y, sum) } store } }
// lanes:  parallel task { serial outer summed loops {
//           vector along the innermost summed loop { sums = fma(x, y, sums) } folded over lanes } }
#include "compiler/lower/contract_results.h"
#include "compiler/lower/contract_schedule.h"
#include "compiler/lower/lower_contract.h"
#include "ir/diagnostic.h"

namespace gradc {
namespace {

using loop::Code;
using loop::LoopKind;
using loop::Scalar;

constexpr int64_t kTasks = 64;  // enough for a fair share for each of many threads
constexpr int64_t kParallelProducts = 20000;  // a fork and a join cost about as much
constexpr int64_t kMaxSums = 20;  // folded over lanes at once: they stay in registers

class DirectLowering {
 public:
  DirectLowering(const Function& function, const Target& target, int threads)
      : kernel_{.name = function.name},
        b_(kernel_),
        values_(function, b_),
        nest_(contraction_nest(function)),
        loops_(nest_.loops.size(), b_.index(0)) {
    int64_t products =
        element_count(nest_.contraction.result_dims) * element_count(nest_.contraction.summed_dims);
    parallel_ = threads > 1 && products / (target.vector_bytes / 4) > kParallelProducts;
  }

  loop::Kernel run_direct() {
    size_t last = last_longer_loop(0, nest_.result_loops);
    open_tasks(last);
    if (last < nest_.result_loops)
      loops_[last] = b_.begin_for(LoopKind::vector, nest_.loops[last].extent)[0];
    store_results(values_, nest_, result_loops(), sum_over(nest_.result_loops, zero()));
    close_all();
    return std::move(kernel_);
  }

  loop::Kernel run_lanes() {
    unrolled_ = last_longer_loop(0, nest_.result_loops);
    open_tasks(unrolled_);
    if (unrolled_ == nest_.result_loops) {
      store_sums({b_.index(0)});
    } else {
      int64_t extent = nest_.loops[unrolled_].extent;
      for (const Segment& part : segments(extent, (extent + kMaxSums - 1) / kMaxSums))
        lower_part(part);
    }
    close_all();
    return std::move(kernel_);
  }

 private:
  Scalar zero() { return b_.constant(nest_.sum_dtype(), 0); }

  std::vector<Scalar> result_loops() const {
    return {loops_.begin(), loops_.begin() + static_cast<std::ptrdiff_t>(nest_.result_loops)};
  }

  // `end` if there is none.
  size_t last_longer_loop(size_t begin, size_t end) const {
    for (size_t l = end; l-- > begin;)
      if (nest_.loops[l].extent > 1)
        return l;
    return end;
  }

  // The result loops before `end`: the outer ones are tasks, the others serial.
  void open_tasks(size_t end) {
    end = std::min(end, nest_.result_loops);
    Dims task_dims;
    size_t l = 0;
    while (parallel_ && l < end && element_count(task_dims) < kTasks)
      task_dims.push_back(nest_.loops[l++].extent);
    if (element_count(task_dims) > 1) {
      std::vector<Scalar> indices =
          unravel(b_, b_.begin_for(LoopKind::parallel, element_count(task_dims), {}, {}, "task")[0],
                  task_dims);
      std::copy(indices.begin(), indices.end(), loops_.begin());
    }
    for (; l < end; ++l)
      if (nest_.loops[l].extent > 1)
        loops_[l] = b_.begin_for(LoopKind::serial, nest_.loops[l].extent)[0];
  }

  void close_all() {
    while (b_.depth() > 0)
      b_.end_for();
  }

  // An element of an operand at `loops`; zero where the index has none.
  Scalar operand(size_t side, const std::vector<Scalar>& loops) {
    Position position;
    auto require = [&](Scalar condition) {
      position.condition =
          position.condition ? b_.binary(Code::bit_and, *position.condition, condition) : condition;
    };
    const auto& indices = nest_.contraction.operand_indices[side];
    for (size_t axis = 0; axis < indices.size(); ++axis) {
      Scalar index = b_.index(indices[axis].offset);
      for (auto [l, coefficient] : indices[axis].terms)
        index = b_.add(index, b_.mul(loops[static_cast<size_t>(l)], b_.index(coefficient)));
      if (indices[axis].divisor != 1) {
        Scalar divisor = b_.index(indices[axis].divisor);
        require(b_.compare(Code::equal, b_.rem(index, divisor), b_.index(0)));
        index = b_.div(index, divisor);
      }
      Range range = nest_.numerators(side, axis, nest_.extents());
      int64_t size = nest_.types[side].dims[axis];
      if (range.begin < 0)
        require(b_.compare(Code::less_equal, b_.index(0), index));
      if (range.end > size * indices[axis].divisor)
        require(b_.compare(Code::less, index, b_.index(size)));
      position.indices.push_back(index);
    }
    Scalar element = values_.element(nest_.operands[side], position);
    if (position.condition)
      element = b_.select(*position.condition, element, b_.constant(element.dtype, 0));
    return b_.convert(element, nest_.sum_dtype());
  }

  Scalar multiply_add(Scalar x, Scalar y, Scalar sum) {
    return is_float(sum.dtype) ? b_.fma(x, y, sum) : b_.add(b_.mul(x, y), sum);
  }

  Scalar sum_over(size_t l, Scalar sum) {
    if (l == nest_.loops.size())
      return multiply_add(operand(0, loops_), operand(1, loops_), sum);
    if (nest_.loops[l].extent == 1)
      return sum_over(l + 1, sum);
    std::vector<Scalar> inside =
        b_.begin_for(LoopKind::serial, nest_.loops[l].extent, std::span(&sum, 1));
    loops_[l] = inside[0];
    Scalar next = sum_over(l + 1, inside[1]);
    return b_.end_for(std::span(&next, 1))[0];
  }

  // Innermost summed loops that walk over neighbours in both operands are one.
  std::pair<size_t, int64_t> vector_run() const {
    size_t first = nest_.loops.size() - 1;
    int64_t run = nest_.loops[first].extent;
    if (nest_.has_padding(0) || nest_.has_padding(1))
      return {first, run};
    while (first > nest_.result_loops && nest_.step(0, first - 1) == run &&
           nest_.step(1, first - 1) == run)
      run *= nest_.loops[--first].extent;
    return {first, run};
  }

  // Neighbours along the last result loop, `part.size` of them at once.
  void lower_part(const Segment& part) {
    bool is_task = parallel_ && b_.depth() == 0;
    Scalar i = b_.index(0);
    if (part.count > 1)
      i = b_.begin_for(is_task ? LoopKind::parallel : LoopKind::serial, part.count)[0];
    Scalar start = b_.add(b_.index(part.start), b_.mul(i, b_.index(part.size)));
    std::vector<Scalar> columns;
    for (int64_t j = 0; j < part.size; ++j)
      columns.push_back(b_.add(start, b_.index(j)));
    store_sums(columns);
    if (part.count > 1)
      b_.end_for();
  }

  void store_sums(const std::vector<Scalar>& columns) {
    std::vector<Scalar> sums(columns.size(), zero());
    sums = sums_over(nest_.result_loops, columns, std::move(sums));
    for (size_t i = 0; i < columns.size(); ++i) {
      select_column(columns[i]);
      store_results(values_, nest_, result_loops(), sums[i]);
    }
  }

  void select_column(Scalar column) {
    if (unrolled_ < nest_.result_loops)
      loops_[unrolled_] = column;
  }

  std::vector<Scalar> sums_over(size_t l, const std::vector<Scalar>& columns,
                                std::vector<Scalar> sums) {
    auto [first, run] = vector_run();
    if (l == first)
      return sums_of_lanes(first, run, columns, std::move(sums));
    if (nest_.loops[l].extent == 1)
      return sums_over(l + 1, columns, std::move(sums));
    std::vector<Scalar> inside = b_.begin_for(LoopKind::serial, nest_.loops[l].extent, sums);
    loops_[l] = inside[0];
    std::vector<Scalar> next = sums_over(l + 1, columns, {inside.begin() + 1, inside.end()});
    return b_.end_for(next);
  }

  std::vector<Scalar> sums_of_lanes(size_t first, int64_t run, const std::vector<Scalar>& columns,
                                    std::vector<Scalar> sums) {
    std::vector<Scalar> zeros(sums.size(), zero());
    std::vector<Scalar> inside =
        b_.begin_for(LoopKind::vector, run, zeros, std::vector<Code>(sums.size(), Code::add));
    Dims dims;
    for (size_t l = first; l < nest_.loops.size(); ++l)
      dims.push_back(nest_.loops[l].extent);
    std::vector<Scalar> indices = unravel(b_, inside[0], dims);
    std::copy(indices.begin(), indices.end(), loops_.begin() + static_cast<std::ptrdiff_t>(first));
    std::vector<Scalar> next;
    for (size_t i = 0; i < sums.size(); ++i) {
      select_column(columns[i]);
      next.push_back(multiply_add(operand(0, loops_), operand(1, loops_), inside[i + 1]));
    }
    std::vector<Scalar> folded = b_.end_for(next);
    for (size_t i = 0; i < sums.size(); ++i)
      sums[i] = b_.add(sums[i], folded[i]);
    return sums;
  }

  loop::Kernel kernel_;
  loop::Builder b_;
  KernelValues values_;
  ContractionNest nest_;
  std::vector<Scalar> loops_;  // the current index of each loop of the nest
  bool parallel_ = false;
  size_t unrolled_ = 0;  // the result loop whose neighbours are summed at once
};

}  // namespace

loop::Kernel lower_contract_direct(const Function& kernel, const Target& target, int threads) {
  return DirectLowering(kernel, target, threads).run_direct();
}

loop::Kernel lower_contract_lanes(const Function& kernel, const Target& target, int threads) {
  return DirectLowering(kernel, target, threads).run_lanes();
}

}  // namespace gradc
