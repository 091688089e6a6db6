// Contract kernels without register tiles, for what has no operand that a tile could broadcast:
// depthwise convolutions, products with a vector, few columns. Operands are read where they lie.
//
// direct: parallel task over the outer result loops {
//           vector along the last one { serial summed loops { sum = fma(x, y, sum) } store } },
//         for some rows and columns of other loops at once
// lanes:  parallel task { serial outer summed loops {
//           vector along the innermost summed loop { sums = fma(x, y, sums) } folded over lanes }
//           },
//         for some rows and columns at once
#include "compiler/lower/contract_results.h"
#include "compiler/lower/contract_schedule.h"
#include "compiler/lower/lower_contract.h"
#include "compiler/lower/present_taps.h"
#include "compiler/lower/segments.h"
#include "ir/diagnostic.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

using loop::Code;
using loop::LoopKind;
using loop::Scalar;

constexpr int64_t kTasks = 64;  // enough for a fair share for each of many threads
constexpr int64_t kParallelProducts = 20000;  // a fork and a join cost about as much
constexpr double kLatency = 8;  // of an fma, in issued ones

class DirectLowering {
 public:
  DirectLowering(const Function& function, const Target& target, int threads)
      : kernel_{.name = function.name},
        b_(kernel_),
        values_(function, b_),
        nest_(with_joined_loops(contraction_nest(function))),
        loops_(nest_.loops.size(), b_.index(0)),
        lanes_(target.lanes_f32()),
        most_sums_(target.vector_registers >= 32 ? 20 : 10) {
    for (int64_t extent : nest_.extents())
      ranges_.push_back({0, extent});
    int64_t products =
        element_count(nest_.contraction.result_dims) * element_count(nest_.contraction.summed_dims);
    parallel_ = threads > 1 && products / (target.vector_bytes / 4) > kParallelProducts;
  }

  loop::Kernel run_direct() {
    size_t last = last_longer_loop(0, nest_.result_loops);
    rows_ = loop_like(last, false);
    columns_ = loop_like(last, true);
    choose_block();
    open_tasks(last);
    for_indices(rows_, most_rows_, [&](const std::vector<Scalar>& rows) {
      in_parts(columns_, 1, [&] {
        for_indices(columns_, most_columns_, [&](const std::vector<Scalar>& columns) {
          in_parts(last, lanes_, [&] { sum_along(last, places_of(rows, columns)); });
        });
      });
    });
    close_all();
    return std::move(kernel_);
  }

  loop::Kernel run_lanes() {
    columns_ = last_longer_loop(0, nest_.result_loops);
    rows_ = row_loop();
    choose_block();
    open_tasks(std::min(rows_, columns_));
    for_indices(rows_, most_rows_, [&](const std::vector<Scalar>& rows) {
      for_indices(columns_, most_columns_, [&](const std::vector<Scalar>& columns) {
        Places places = places_of(rows, columns);
        store(places, sums_in_lanes(nest_.result_loops, places, zeros(places)));
      });
    });
    close_all();
    return std::move(kernel_);
  }

 private:
  using Places = std::vector<std::pair<Scalar, Scalar>>;  // row, column

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

  // Vectors along result loop l, if there is one.
  void sum_along(size_t l, const Places& places) {
    bool is_loop = l < nest_.result_loops;
    if (is_loop)
      loops_[l] =
          b_.add(b_.index(ranges_[l].begin), b_.begin_for(LoopKind::vector, ranges_[l].size())[0]);
    store(places, sums_over(nest_.result_loops, places, zeros(places)));
    if (is_loop)
      b_.end_for();
  }

  // Calls f with ranges_[l] set to one part of result loop l after the other: its edges, which are
  // rounded up to a multiple of `step`, and what lies between them, where no window leaves the
  // image and no load asks whether it does.
  void in_parts(size_t l, int64_t step, const std::function<void()>& f) {
    Range inner = inner_range(l), all{0, extent(l)};
    inner.begin = round_up(inner.begin, step);
    inner.end = all.end - round_up(all.end - inner.end, step);
    if (inner.size() <= 0)
      inner = all;
    for (Range part : {Range{0, inner.begin}, inner, Range{inner.end, all.end}})
      if (part.size() > 0) {
        if (l < nest_.result_loops)
          ranges_[l] = part;
        f();
      }
    if (l < nest_.result_loops)
      ranges_[l] = all;
  }

  Range inner_range(size_t l) const {
    for (size_t side : {0, 1}) {
      if (l == nest_.result_loops || !nest_.has_padding(side))
        continue;
      for (const TapAxis& axis : tap_axes(nest_, side).value_or(std::vector<TapAxis>{}))
        if (axis.result_loop == l &&
            nest_.contraction.operand_indices[side][axis.axis].divisor == 1)
          return inner_positions(nest_, side, axis);
    }
    return {0, extent(l)};
  }

  // The innermost loop before `last` that moves what that one moves and nothing else, or the other
  // operand and nothing else; none: result_loops.
  size_t loop_like(size_t last, bool same) const {
    for (size_t l = std::min(last, nest_.result_loops); l-- > 0;) {
      const auto &moves = nest_.loops[l].moves, &its = nest_.loops[last].moves;
      if (nest_.loops[l].extent > 1 && moves[0] != moves[1] && its[0] != its[1] &&
          (moves == its) == same)
        return l;
    }
    return nest_.result_loops;
  }

  // The result loops before `end`, but for rows and columns: the outer ones are tasks, the others
  // serial.
  void open_tasks(size_t end) {
    std::vector<size_t> loops;
    for (size_t l = 0; l < std::min(end, nest_.result_loops); ++l)
      if (nest_.loops[l].extent > 1 && l != rows_ && l != columns_)
        loops.push_back(l);
    Dims task_dims;
    size_t tasks = 0;
    while (parallel_ && tasks < loops.size() && element_count(task_dims) < kTasks)
      task_dims.push_back(nest_.loops[loops[tasks++]].extent);
    if (tasks > 0) {
      std::vector<Scalar> indices =
          unravel(b_, b_.begin_for(LoopKind::parallel, element_count(task_dims), {}, {}, "task")[0],
                  task_dims);
      for (size_t i = 0; i < tasks; ++i)
        loops_[loops[i]] = indices[i];
    }
    for (; tasks < loops.size(); ++tasks)
      loops_[loops[tasks]] = b_.begin_for(LoopKind::serial, nest_.loops[loops[tasks]].extent)[0];
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
        index = b_.add(index, b_.scaled(loops[static_cast<size_t>(l)], coefficient));
      if (indices[axis].divisor != 1) {
        Scalar divisor = b_.index(indices[axis].divisor);
        require(b_.compare(Code::equal, b_.rem(index, divisor), b_.index(0)));
        index = b_.div(index, divisor);
      }
      Range range = numerators_of(indices[axis], ranges_);
      int64_t size = nest_.types[side].dims[axis];
      if (range.begin < 0)
        require(b_.compare(Code::less_equal, b_.index(0), index));
      if (range.end > size * indices[axis].divisor)
        require(b_.compare(Code::less, index, b_.index(size)));
      position.indices.push_back(index);
    }
    return operand_element(values_, nest_, side, std::move(position), nest_.sum_dtype());
  }

  std::vector<Scalar> multiply_add(const Places& places, std::vector<Scalar> sums) {
    for (size_t i = 0; i < sums.size(); ++i) {
      select(places[i]);
      Scalar x = operand(0, loops_), y = operand(1, loops_);
      sums[i] = is_float(sums[i].dtype) ? b_.fma(x, y, sums[i]) : b_.add(b_.mul(x, y), sums[i]);
    }
    return sums;
  }

  // One fma after the other at each place.
  std::vector<Scalar> sums_over(size_t l, const Places& places, std::vector<Scalar> sums) {
    if (l == nest_.loops.size())
      return multiply_add(places, std::move(sums));
    if (nest_.loops[l].extent == 1)
      return sums_over(l + 1, places, std::move(sums));
    std::vector<Scalar> inside = b_.begin_for(LoopKind::serial, nest_.loops[l].extent, sums);
    loops_[l] = inside[0];
    return b_.end_for(sums_over(l + 1, places, {inside.begin() + 1, inside.end()}));
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

  int64_t extent(size_t l) const { return l < nest_.result_loops ? nest_.loops[l].extent : 1; }

  // The loop before the columns' that moves the operand which that one leaves alone; none:
  // result_loops.
  size_t row_loop() const {
    size_t row = columns_ < nest_.result_loops ? last_longer_loop(0, columns_) : columns_;
    if (row == columns_)
      return nest_.result_loops;
    const auto &r = nest_.loops[row].moves, &c = nest_.loops[columns_].moves;
    return r[0] != r[1] && r[0] == c[1] && r[1] == c[0] ? row : nest_.result_loops;
  }

  // Rows and columns that are summed at once: what they load beside their products is least.
  void choose_block() {
    double best = 1e9;
    for (int64_t columns = 1; columns <= std::min(extent(columns_), most_sums_); ++columns)
      for (int64_t rows = 1; rows <= std::min(extent(rows_), most_sums_ / columns); ++rows) {
        auto size = [](int64_t all, int64_t part) {
          return static_cast<double>(all) / static_cast<double>((all + part - 1) / part);
        };
        double r = size(extent(rows_), rows), c = size(extent(columns_), columns);
        double cost = (std::max(r * c, kLatency) + 0.15 * (r + c)) / (r * c);
        if (cost < best) {
          best = cost;
          most_rows_ = rows;
          most_columns_ = columns;
        }
      }
  }

  // Runs f on the indices of each part of loop l's range, of `most` at once; parts are tasks if no
  // loop is open.
  template <typename F>
  void for_indices(size_t l, int64_t most, F f) {
    Range range = l < nest_.result_loops ? ranges_[l] : Range{0, 1};
    for (Segment part : segments(range.size(), ceil_div(range.size(), most))) {
      part.start += range.begin;
      bool is_task = parallel_ && b_.depth() == 0;
      for_parts(
          b_, part,
          [&](Scalar start, Scalar) {
            std::vector<Scalar> indices;
            for (int64_t j = 0; j < part.size; ++j)
              indices.push_back(b_.add(start, b_.index(j)));
            f(std::move(indices));
          },
          is_task ? LoopKind::parallel : LoopKind::serial);
    }
  }

  Places places_of(const std::vector<Scalar>& rows, const std::vector<Scalar>& columns) const {
    Places places;
    for (Scalar row : rows)
      for (Scalar column : columns)
        places.emplace_back(row, column);
    return places;
  }

  std::vector<Scalar> zeros(const Places& places) {
    return std::vector<Scalar>(places.size(), b_.constant(nest_.sum_dtype(), 0));
  }

  void store(const Places& places, const std::vector<Scalar>& sums) {
    for (size_t i = 0; i < places.size(); ++i) {
      select(places[i]);
      store_results(values_, nest_, result_loops(), sums[i]);
    }
  }

  void select(const std::pair<Scalar, Scalar>& place) {
    if (rows_ < nest_.result_loops)
      loops_[rows_] = place.first;
    if (columns_ < nest_.result_loops)
      loops_[columns_] = place.second;
  }

  // By lanes along the innermost summed loops.
  std::vector<Scalar> sums_in_lanes(size_t l, const Places& places, std::vector<Scalar> sums) {
    auto [first, run] = vector_run();
    if (l == first)
      return sums_of_lanes(first, run, places, std::move(sums));
    if (nest_.loops[l].extent == 1)
      return sums_in_lanes(l + 1, places, std::move(sums));
    std::vector<Scalar> inside = b_.begin_for(LoopKind::serial, nest_.loops[l].extent, sums);
    loops_[l] = inside[0];
    return b_.end_for(sums_in_lanes(l + 1, places, {inside.begin() + 1, inside.end()}));
  }

  std::vector<Scalar> sums_of_lanes(size_t first, int64_t run, const Places& places,
                                    std::vector<Scalar> sums) {
    std::vector<Scalar> inside = b_.begin_for(LoopKind::vector, run, zeros(places),
                                              std::vector<Code>(sums.size(), Code::add), "i", 1);
    Dims dims;
    for (size_t l = first; l < nest_.loops.size(); ++l)
      dims.push_back(nest_.loops[l].extent);
    std::vector<Scalar> indices = unravel(b_, inside[0], dims);
    std::copy(indices.begin(), indices.end(), loops_.begin() + static_cast<std::ptrdiff_t>(first));
    std::vector<Scalar> folded =
        b_.end_for(multiply_add(places, {inside.begin() + 1, inside.end()}));
    for (size_t i = 0; i < sums.size(); ++i)
      sums[i] = b_.add(sums[i], folded[i]);
    return sums;
  }

  loop::Kernel kernel_;
  loop::Builder b_;
  KernelValues values_;
  ContractionNest nest_;
  std::vector<Scalar> loops_;  // the current index of each loop of the nest
  std::vector<Range> ranges_;  // in which it is
  int64_t lanes_;
  bool parallel_ = false;
  int64_t most_sums_;  // at once: they stay in registers
  size_t rows_ = 0, columns_ = 0;  // the loops whose neighbours are summed at once
  int64_t most_rows_ = 1, most_columns_ = 1;
};

}  // namespace

loop::Kernel lower_contract_direct(const Function& kernel, const Target& target, int threads) {
  return DirectLowering(kernel, target, threads).run_direct();
}

loop::Kernel lower_contract_lanes(const Function& kernel, const Target& target, int threads) {
  return DirectLowering(kernel, target, threads).run_lanes();
}

}  // namespace gradc
