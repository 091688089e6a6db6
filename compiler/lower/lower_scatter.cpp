// Writing at positions that are values: `scatter_add`, `scatter` and `scatter_elements`. First the
// result gets its content before any update, then every update goes to its place. Updates that may
// share a place belong to one task, which takes them in order.
#include <algorithm>

#include "compiler/lower/iteration_space.h"
#include "compiler/lower/lower.h"
#include "compiler/lower/split.h"
#include "ir/diagnostic.h"

namespace gradc {
namespace {

using loop::LoopKind;
using loop::Scalar;

class ScatterLowering {
 public:
  ScatterLowering(const Function& function, const Target& target, int threads)
      : op_(function.ops.at(0)),
        kernel_{.name = function.name},
        b_(kernel_),
        values_(function, b_),
        result_(function.type(op_.result())),
        has_content_(op_.operands.size() == 3),
        indices_(function.type(op_.operand(has_content_ ? 1 : 0))),
        updates_(function.type(op_.operands.back())),
        axis_(static_cast<size_t>(op_.attrs.integer("axis"))),
        step_(4 * target.lanes_f32()) {
    double work = 0.2 * static_cast<double>(updates_.elements() + result_.elements());
    parallel_ = threads > 1 && work > kParallelNanoseconds;
  }

  loop::Kernel run() {
    set_content();
    if (op_.code == Opcode::scatter_elements)
      move_elements();
    else
      move_slices();
    return std::move(kernel_);
  }

 private:
  // Calls body(i) for all i below `extent`, in vectors, in pieces that threads share.
  template <typename F>
  void in_pieces(int64_t extent, F body) {
    int64_t piece = extent;
    if (parallel_)
      piece = std::min(extent, std::max(step_, (extent / kTasks + step_ - 1) / step_ * step_));
    auto pieces = [&](int64_t begin, int64_t count, int64_t size) {
      Scalar first = b_.index(begin);
      if (count > 1)
        first = b_.add(first, b_.scaled(b_.begin_for(LoopKind::parallel, count)[0], size));
      in_columns(first, size, body);
      if (count > 1)
        b_.end_for();
    };
    pieces(0, extent / piece, piece);
    if (extent % piece)
      pieces(extent - extent % piece, 1, extent % piece);
  }

  template <typename F>
  void in_columns(Scalar first, int64_t width, F body) {
    if (width == 1)
      return body(first);
    body(b_.add(first, b_.begin_for(LoopKind::vector, width, {}, {}, "j")[0]));
    b_.end_for();
  }

  void set_content() {
    in_pieces(result_.elements(), [&](Scalar i) {
      b_.store(result(), i, has_content_ ? b_.load(0, i) : b_.constant(result_.dtype, 0));
    });
  }

  // result[o, n, i] takes in updates[o, k, i], with n = indices[k]
  void move_slices() {
    Split from = split_at(updates_.dims, axis_, axis_ + indices_.dims.size());
    int64_t block = parallel_ ? std::min(from.inner, step_) : from.inner;
    columns_of_slices(from, 0, from.inner / block, block);
    if (from.inner % block)
      columns_of_slices(from, from.inner - from.inner % block, 1, from.inner % block);
  }

  void columns_of_slices(const Split& from, int64_t begin, int64_t blocks, int64_t width) {
    Scalar part = begin_parts(b_, from.outer * blocks, parallel_);
    std::vector<Scalar> at = unravel(b_, part, {from.outer, blocks});
    Scalar column = b_.add(b_.index(begin), b_.scaled(at[1], width));
    Scalar k = b_.begin_for(LoopKind::serial, from.axis)[0];
    Scalar n = index(k);
    in_columns(column, width, [&](Scalar i) {
      take_in(ravel(b_, std::array{at[0], n, i}, {from.outer, size(), from.inner}),
              ravel(b_, std::array{at[0], k, i}, {from.outer, from.axis, from.inner}));
    });
    while (b_.depth() > 0)
      b_.end_for();
  }

  // The axes before `axis` and those behind it, of which one are lanes: neither shares a place.
  void move_elements() {
    Dims outer(updates_.dims.begin(), updates_.dims.begin() + static_cast<ptrdiff_t>(axis_));
    Dims inner(updates_.dims.begin() + static_cast<ptrdiff_t>(axis_) + 1, updates_.dims.end());
    bool lanes_are_outer = element_count(inner) == 1;
    auto lane_body = [&](Scalar outer_number, Scalar inner_number) {
      std::vector<Scalar> at = unravel(b_, outer_number, outer);
      std::vector<Scalar> behind = unravel(b_, inner_number, inner);
      Scalar k = b_.begin_for(LoopKind::serial, updates_.dims[axis_])[0];
      at.push_back(k);
      at.insert(at.end(), behind.begin(), behind.end());
      Scalar from = ravel(b_, at, updates_.dims);
      at[axis_] = index(from);
      take_in(ravel(b_, at, result_.dims), from);
      b_.end_for();
    };
    if (lanes_are_outer) {
      in_pieces(element_count(outer), [&](Scalar o) { lane_body(o, b_.index(0)); });
    } else {
      Scalar o = begin_parts(b_, element_count(outer), parallel_);
      in_columns(b_.index(0), element_count(inner), [&](Scalar i) { lane_body(o, i); });
      while (b_.depth() > 0)
        b_.end_for();
    }
  }

  int64_t size() const { return result_.dims[axis_]; }
  uint32_t result() const { return static_cast<uint32_t>(op_.operands.size()); }

  // The index at row-major number `at`, or the nearest that there is.
  Scalar index(Scalar at) {
    Scalar n = b_.convert(b_.load(has_content_ ? 1 : 0, at), DType::i64);
    return b_.max(b_.min(n, b_.index(size() - 1)), b_.index(0));
  }

  void take_in(Scalar to, Scalar from) {
    Scalar update = b_.load(result() - 1, from);
    const std::string reduction = has_content_ ? op_.attrs.string("reduction") : "add";
    if (reduction == "none")
      return b_.store(result(), to, update);
    Scalar x = b_.load(result(), to);
    if (reduction == "add")
      x = b_.add(x, update);
    else if (reduction == "mul")
      x = b_.mul(x, update);
    else
      x = reduction == "max" ? b_.max(x, update) : b_.min(x, update);
    b_.store(result(), to, x);
  }

  static constexpr int64_t kTasks = 32;

  const Op& op_;
  loop::Kernel kernel_;
  loop::Builder b_;
  KernelValues values_;
  Type result_;
  bool has_content_;
  Type indices_, updates_;
  size_t axis_;
  int64_t step_;
  bool parallel_ = false;
};

}  // namespace

loop::Kernel lower_scatter(const Function& kernel, const Target& target, int threads) {
  return ScatterLowering(kernel, target, threads).run();
}

}  // namespace gradc
