// Map kernels: every point of the iteration space on its own. The last group of axes is the vector
// loop, the groups before it are rows:
//
//   parallel p in 0..tasks { serial r in 0..rows_of_a_task { vector j in 0..row { ... } } }
//
// Where there are few rows, a row is cut into pieces, and threads share the pieces. Where vectors
// would ask which operand to read, there is a vector loop for each part of a row (row_parts.h);
// where rows would, these loops are there once for each operand (map_pieces.h).
#include <algorithm>

#include "compiler/lower/iteration_space.h"
#include "compiler/lower/lower.h"
#include "compiler/lower/map_pieces.h"
#include "compiler/lower/row_parts.h"
#include "compiler/lower/split.h"
#include "ir/diagnostic.h"

namespace gradc {
namespace {

using loop::LoopKind;
using loop::Scalar;

class MapLowering {
 public:
  MapLowering(KernelValues& values, MapPiece piece, const Target& target, int threads)
      : b_(values.builder()),
        values_(values),
        body_(std::move(piece.body)),
        groups_(std::move(piece.space.groups)),
        parallel_(threads > 1 && piece.space.nanoseconds >= kParallelNanoseconds),
        lanes_(target.lanes_f32()) {
    join_short_rows(lanes_);
  }

  void run() {
    int64_t row = groups_.back().extent(), piece = row;
    if (parallel_ && rows() < kTasks) {
      int64_t pieces = kTasks / rows();
      int64_t step = 16 * lanes_;  // pieces start at vectors, unrolled ones too
      piece = std::min(row, (row / pieces + step - 1) / step * step);
    }
    int64_t whole = row / piece;
    lower_pieces(0, whole, piece);
    if (row % piece)
      lower_pieces(whole * piece, 1, row % piece);
  }

 private:
  // Enough for a fair share for each of many threads.
  static constexpr int64_t kTasks = 32;

  int64_t rows() const {
    int64_t count = 1;
    for (size_t i = 0; i + 1 < groups_.size(); ++i)
      count *= groups_[i].extent();
    return count;
  }

  // A row that leaves most of a vector empty is run together with the axes before it.
  void join_short_rows(int64_t lanes) {
    while (groups_.size() > 1 && 2 * groups_.back().extent() < lanes) {
      Dims inner = std::move(groups_.back().dims);
      groups_.pop_back();
      groups_.back().dims.insert(groups_.back().dims.end(), inner.begin(), inner.end());
    }
  }

  // Pieces `begin`, begin + piece, ... of all rows. Leading groups become tasks until there are
  // enough, the others are serial loops.
  void lower_pieces(int64_t begin, int64_t pieces, int64_t piece) {
    std::vector<Scalar> numbers(groups_.size());
    Dims task_dims;
    size_t outer = 0;
    while (parallel_ && outer + 1 < groups_.size() && element_count(task_dims) < kTasks)
      task_dims.push_back(groups_[outer++].extent());
    if (pieces > 1)
      task_dims.push_back(pieces);
    std::vector<Scalar> task_indices = begin_parts(b_, task_dims, parallel_);
    std::copy_n(task_indices.begin(), outer, numbers.begin());
    for (size_t i = outer; i + 1 < groups_.size(); ++i)
      numbers[i] = b_.begin_for(LoopKind::serial, groups_[i].extent())[0];
    Scalar start = b_.index(begin);
    if (pieces > 1)
      start = b_.add(start, b_.scaled(task_indices.back(), piece));
    std::vector<Segment> parts = {{0, piece, 1}};
    if (piece == groups_.back().extent())
      parts = row_parts(values_.function(), groups_, body_, lanes_);
    for (const Segment& part : parts) {
      numbers.back() = b_.add(start, b_.index(part.start));
      if (part.size > 1)
        numbers.back() =
            b_.add(numbers.back(), b_.begin_for(LoopKind::vector, part.size, {}, {}, "j")[0]);
      body_(values_, axis_indices(b_, groups_, numbers));
      if (part.size > 1)
        b_.end_for();
    }
    while (b_.depth() > 0)
      b_.end_for();
  }

  loop::Builder& b_;
  KernelValues& values_;
  PointBody body_;
  std::vector<AxisGroup> groups_;
  bool parallel_;
  int64_t lanes_;
};

}  // namespace

loop::Kernel lower_map(const Function& function, const Target& target, int threads) {
  if (std::optional<loop::Kernel> move = lower_move(function, threads))
    return std::move(*move);
  IterationSpace whole =
      analyse(function, function.type(function.results.at(0).value).dims, lower_point);
  if (std::optional<loop::Kernel> across = lower_map_across(function, whole, target, threads))
    return std::move(*across);
  loop::Kernel kernel{.name = function.name};
  loop::Builder builder(kernel);
  KernelValues values(function, builder);
  for (MapPiece& piece : map_pieces(function, std::move(whole)))
    MapLowering(values, std::move(piece), target, threads).run();
  return kernel;
}

}  // namespace gradc
