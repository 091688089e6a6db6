// `top_k`. Few of many: k times the first, in order, of what comes behind the last chosen; lanes
// are rows, or run along a long axis that lies alone in memory. Many: a merge sort of each row.
#include <array>
#include <bit>
#include <limits>

#include "compiler/lower/iteration_space.h"
#include "compiler/lower/lower.h"
#include "compiler/lower/split.h"
#include "ir/diagnostic.h"

namespace gradc {
namespace {

using loop::Code;
using loop::LoopKind;
using loop::Scalar;

class TopKLowering {
 public:
  TopKLowering(const Function& function, const Target& target, int threads)
      : op_(function.ops.at(0)),
        kernel_{.name = function.name},
        b_(kernel_),
        values_(function, b_),
        k_(op_.attrs.integer("k")),
        largest_(op_.attrs.flag("largest")),
        lanes_(target.lanes_f32()) {
    const Type& type = function.type(op_.operand(0));
    auto axis = static_cast<size_t>(op_.attrs.integer("axis"));
    split_ = split_at(type.dims, axis, axis + 1);
    double work = static_cast<double>(type.elements() * std::min(k_, passes() * kMergeCost)) / 8;
    parallel_ = threads > 1 && work > kParallelNanoseconds;
  }

  loop::Kernel run() {
    bool sorts = k_ > passes() * kMergeCost;
    bool along_axis = split_.inner == 1 && split_.axis >= 4 * lanes_;
    if (sorts || along_axis) {
      Scalar row = begin_parts(b_, split_.outer * split_.inner, parallel_);
      std::vector<Scalar> at = unravel(b_, row, {split_.outer, split_.inner});
      outer_ = at[0], inner_ = at[1];
      sorts ? merge_sort() : select_along_axis();
    } else {
      bool lanes_are_outer = split_.inner == 1;
      outer_ = lanes_are_outer ? lane(split_.outer) : begin_parts(b_, split_.outer, parallel_);
      inner_ = lanes_are_outer ? b_.index(0) : lane(split_.inner);
      select_in_lanes();
    }
    while (b_.depth() > 0)
      b_.end_for();
    return std::move(kernel_);
  }

 private:
  // A step of the merge sort takes as long as this many elements in a vector loop.
  static constexpr int64_t kMergeCost = 32;
  static constexpr uint32_t kOperand = 0;

  // Of a merge sort: ceil(log2(size)).
  int64_t passes() const { return std::bit_width(static_cast<uint64_t>(split_.axis - 1)); }

  Scalar lane(int64_t extent) {
    return extent == 1 ? b_.index(0) : b_.begin_for(LoopKind::vector, extent, {}, {}, "j")[0];
  }

  Scalar load(Scalar i) {
    return b_.load(kOperand, ravel(b_, std::array{outer_, i, inner_},
                                   {split_.outer, split_.axis, split_.inner}));
  }

  void store(Scalar rank, Scalar value, Scalar index) {
    Scalar to = ravel(b_, std::array{outer_, rank, inner_}, {split_.outer, k_, split_.inner});
    const std::vector<Result>& results = values_.function().results;
    for (size_t r = 0; r < results.size(); ++r)  // one that nobody reads is no result of the kernel
      b_.store(values_.result_buffer(r), to, results[r].value == op_.results[0] ? value : index);
  }

  Scalar both(Scalar x, Scalar y) { return b_.binary(Code::bit_and, x, y); }
  Scalar either(Scalar x, Scalar y) { return b_.binary(Code::bit_or, x, y); }
  Scalar is_not(Scalar x) { return b_.binary(Code::bit_xor, x, b_.constant(DType::boolean, 1)); }
  Scalar is_nan(Scalar x) { return is_not(b_.compare(Code::equal, x, x)); }

  // Whether x comes before y, whatever their indices.
  Scalar before(Scalar x, Scalar y) {
    Scalar less = largest_ ? b_.compare(Code::less, y, x) : b_.compare(Code::less, x, y);
    return is_float(x.dtype) ? either(less, both(is_nan(x), is_not(is_nan(y)))) : less;
  }
  Scalar ties(Scalar x, Scalar y) {
    Scalar equal = b_.compare(Code::equal, x, y);
    return is_float(x.dtype) ? either(equal, both(is_nan(x), is_nan(y))) : equal;
  }

  // What was chosen last; nothing at rank 0, where the index is -1.
  struct Chosen {
    Scalar value, index;
  };
  Scalar comes_behind(const Chosen& last, Scalar x, Scalar i) {
    Scalar behind = either(before(last.value, x),
                           both(ties(last.value, x), b_.compare(Code::less, last.index, i)));
    return either(behind, b_.compare(Code::less, last.index, b_.index(0)));
  }

  // Calls choose(last) for each rank.
  template <typename F>
  void for_each_rank(F choose) {
    std::array start{load(b_.index(0)), b_.index(-1)};
    std::vector<Scalar> at = b_.begin_for(LoopKind::serial, k_, start, {}, "rank");
    Chosen chosen = choose(Chosen{at[1], at[2]});
    store(at[0], chosen.value, chosen.index);
    b_.end_for(std::array{chosen.value, chosen.index});
  }

  void select_in_lanes() {
    for_each_rank([&](Chosen last) {
      std::array start{last.value, b_.index(-1)};
      std::vector<Scalar> at = b_.begin_for(LoopKind::serial, split_.axis, start);
      Scalar i = at[0], x = load(i), none = b_.compare(Code::less, at[2], b_.index(0));
      Scalar better = both(comes_behind(last, x, i), either(none, before(x, at[1])));
      std::vector<Scalar> best =
          b_.end_for(std::array{b_.select(better, x, at[1]), b_.select(better, i, at[2])});
      return Chosen{best[0], best[1]};
    });
  }

  // The best value of what is left, then its first index.
  void select_along_axis() {
    Code fold = largest_ ? Code::max : Code::min;
    for_each_rank([&](Chosen last) {
      double infinity = std::numeric_limits<double>::infinity();
      Scalar worst = b_.constant(last.value.dtype, largest_ ? -infinity : infinity);
      std::vector<Scalar> at = b_.begin_for(LoopKind::vector, split_.axis, {&worst, 1}, {fold});
      Scalar x = load(at[0]);
      Scalar left = b_.select(comes_behind(last, x, at[0]), x, worst);
      Scalar next = b_.binary(fold, at[1], left);
      Scalar best = b_.end_for({&next, 1})[0];
      Scalar end = b_.index(split_.axis - 1);
      at = b_.begin_for(LoopKind::vector, split_.axis, {&end, 1}, {Code::min});
      x = load(at[0]);
      Scalar is_best = both(comes_behind(last, x, at[0]), ties(x, best));
      next = b_.min(at[1], b_.select(is_best, at[0], end));
      return Chosen{best, b_.end_for({&next, 1})[0]};
    });
  }

  // Indices in order, in runs of 1, 2, 4, ... elements.
  void merge_sort() {
    uint32_t from = b_.add_buffer({"order", loop::Space::scratch, DType::i32, split_.axis});
    uint32_t to = b_.add_buffer({"merged", loop::Space::scratch, DType::i32, split_.axis});
    Scalar i = b_.begin_for(LoopKind::vector, split_.axis)[0];
    b_.store(from, i, b_.convert(i, DType::i32));
    b_.end_for();
    for (int64_t run = 1; run < split_.axis; run *= 2, std::swap(from, to))
      merge(from, to, run);
    Scalar rank = b_.begin_for(LoopKind::vector, k_)[0];
    Scalar index = b_.convert(b_.load(from, rank), DType::i64);
    store(rank, load(index), index);
    b_.end_for();
  }

  // Each two neighbouring runs of `from` become one in `to`; the left one goes first where they
  // tie.
  void merge(uint32_t from, uint32_t to, int64_t run) {
    Scalar last = b_.index(split_.axis - 1), zero = b_.index(0);
    std::vector<Scalar> at =
        b_.begin_for(LoopKind::serial, split_.axis, std::array{zero, zero}, {}, "rank");
    Scalar in_pair = b_.rem(at[0], b_.index(2 * run)), first = b_.sub(at[0], in_pair);
    Scalar begins = b_.compare(Code::equal, in_pair, zero);
    Scalar middle = b_.min(b_.add(first, b_.index(run)), b_.index(split_.axis));
    Scalar end = b_.min(b_.add(first, b_.index(2 * run)), b_.index(split_.axis));
    Scalar left = b_.select(begins, first, at[1]), right = b_.select(begins, middle, at[2]);
    auto index_at = [&](Scalar i) {
      return b_.convert(b_.load(from, b_.min(i, last)), DType::i64);
    };
    Scalar left_index = index_at(left), right_index = index_at(right);
    Scalar left_done = b_.compare(Code::less_equal, middle, left);
    Scalar right_first = either(left_done, before(load(right_index), load(left_index)));
    Scalar take_right = both(b_.compare(Code::less, right, end), right_first);
    b_.store(to, at[0], b_.convert(b_.select(take_right, right_index, left_index), DType::i32));
    Scalar one = b_.index(1);
    b_.end_for(std::array{b_.select(take_right, left, b_.add(left, one)),
                          b_.select(take_right, b_.add(right, one), right)});
  }

  const Op& op_;
  loop::Kernel kernel_;
  loop::Builder b_;
  KernelValues values_;
  int64_t k_ = 1;
  bool largest_ = true;
  int64_t lanes_ = 1;
  Split split_;
  Scalar outer_, inner_;
  bool parallel_ = false;
};

}  // namespace

loop::Kernel lower_top_k(const Function& kernel, const Target& target, int threads) {
  return TopKLowering(kernel, target, threads).run();
}

}  // namespace gradc
