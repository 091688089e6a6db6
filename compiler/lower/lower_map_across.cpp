// Map kernels that read operands across: where the result's neighbours lie far apart, and
// neighbours of the operand along another axis. Squares of the operand are transposed into scratch,
// and read from there:
//
//   parallel task over the other axes, blocks of columns and of rows {
//     transpose: [rows][columns] of the operand -> [columns][rows] in scratch
//     serial c in columns { vector r in rows { ... } }
//   }
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "compiler/lower/iteration_space.h"
#include "compiler/lower/lower.h"
#include "compiler/lower/moved_source.h"
#include "compiler/lower/segments.h"
#include "compiler/lower/split.h"

namespace gradc {
namespace {

using loop::LoopKind;
using loop::Scalar;

// A vector of each row's neighbours; rows so that the squares of some operands stay in the first
// level cache.
constexpr int64_t kColumns = 16, kRows = 64;

// A value that is read so, with its steps in the operand per group of axes.
struct Across {
  ValueId value;
  MovedSource source;
  std::vector<int64_t> steps;
  uint32_t scratch = 0;
};

class AcrossLowering {
 public:
  AcrossLowering(const Function& function, const IterationSpace& space, const Target& target,
                 int threads)
      : kernel_{.name = function.name},
        b_(kernel_),
        values_(function, b_),
        groups_(space.groups),
        parallel_(threads > 1 && space.nanoseconds >= kParallelNanoseconds) {
    if (groups_.size() > 1 && groups_.back().extent() >= target.lanes_f32() / 2)
      find(function, function.type(function.results.at(0).value).dims);
  }

  std::optional<loop::Kernel> run() {
    if (across_.empty())
      return std::nullopt;
    for (size_t i = 0; i < across_.size(); ++i) {
      Across& across = across_[i];
      across.scratch = b_.scratch(fmt::format("across_{}", i),
                                  values_.function().type(across.value).dtype, kColumns * kRows);
      values_.define(across.value, [this, &across](const Position& position) {
        return element(across, position);
      });
    }
    for (const Segment& columns : blocks_of(groups_[column_].extent(), kColumns))
      for (const Segment& rows : blocks_of(groups_.back().extent(), kRows))
        lower_blocks(columns, rows);
    return strayed_ ? std::nullopt : std::optional(std::move(kernel_));
  }

 private:
  // Values of the space's dims; those that lie along the first one's axis.
  void find(const Function& function, const Dims& dims) {
    std::vector<std::optional<OpId>> definitions = defining_ops(function);
    auto only_moves_on = [&](ValueId value) {
      return std::ranges::all_of(function.ops, [&](const Op& reader) {
        return std::ranges::count(reader.operands, value) == 0 ||
               moved_source(function, definitions, reader.result());
      });
    };
    for (const Op& op : function.ops) {
      if (op.results.size() != 1 || function.type(op.result()).dims != dims ||
          (only_moves_on(op.result()) &&
           std::ranges::count(function.results, op.result(), &Result::value) == 0))
        continue;
      std::optional<MovedSource> source = moved_source(function, definitions, op.result());
      if (!source)
        continue;
      std::vector<int64_t> steps;
      size_t axis = 0;
      for (const AxisGroup& group : groups_)
        steps.push_back(source->steps[(axis += group.dims.size()) - 1]);
      auto column = std::ranges::find(steps, 1);
      if (column == steps.end() || steps.back() <= 1)
        continue;
      auto place = static_cast<size_t>(column - steps.begin());
      if (groups_[place].extent() == 1 || (!across_.empty() && place != column_))
        continue;
      column_ = place;
      across_.push_back({op.result(), *source, steps});
    }
  }

  Scalar element(const Across& across, const Position& position) {
    strayed_ |= !is_at(position, point_);
    return b_.load(across.scratch, b_.add(b_.scaled(in_block_[0], rows_), in_block_[1]));
  }

  void lower_blocks(const Segment& columns, const Segment& rows) {
    Dims tasks;
    for (size_t i = 0; i + 1 < groups_.size(); ++i)
      tasks.push_back(i == column_ ? columns.count : groups_[i].extent());
    tasks.push_back(rows.count);
    std::vector<Scalar> numbers = begin_parts(b_, tasks, parallel_);
    for (auto [number, segment] :
         {std::pair(&numbers[column_], columns), std::pair(&numbers.back(), rows)})
      *number = b_.add(b_.index(segment.start), b_.scaled(*number, segment.size));
    rows_ = rows.size;
    for (const Across& across : across_) {
      Scalar from = b_.index(across.source.offset);
      for (size_t i = 0; i < numbers.size(); ++i)
        from = b_.add(from, b_.scaled(numbers[i], across.steps[i]));
      b_.transpose({.rows = rows.size,
                    .columns = columns.size,
                    .from_buffer = *values_.buffer_of(across.source.parameter),
                    .to_buffer = across.scratch,
                    .from_step = across.steps.back(),
                    .to_step = rows.size},
                   from, b_.index(0));
    }
    Scalar column = b_.begin_for(LoopKind::serial, columns.size)[0];
    numbers[column_] = b_.add(numbers[column_], column);
    Scalar row = b_.begin_for(LoopKind::vector, rows.size)[0];
    numbers.back() = b_.add(numbers.back(), row);
    in_block_ = {column, row};
    point_ = axis_indices(b_, groups_, numbers);
    lower_point(values_, point_);
    while (b_.depth() > 0)
      b_.end_for();
  }

  loop::Kernel kernel_;
  loop::Builder b_;
  KernelValues values_;
  std::vector<AxisGroup> groups_;
  bool parallel_;
  std::vector<Across> across_;
  size_t column_ = 0;  // the group that is innermost in these operands
  // Of the open block: the point that is being lowered, as indices and in the block.
  int64_t rows_ = 0;
  std::vector<Scalar> point_;
  std::array<Scalar, 2> in_block_;
  bool strayed_ = false;  // a value was asked for elsewhere
};

}  // namespace

std::optional<loop::Kernel> lower_map_across(const Function& function, const IterationSpace& space,
                                             const Target& target, int threads) {
  return AcrossLowering(function, space, target, threads).run();
}

}  // namespace gradc
