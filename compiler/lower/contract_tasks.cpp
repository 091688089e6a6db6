#include "compiler/lower/contract_tasks.h"

#include "ir/integer_math.h"

namespace gradc {

using loop::LoopKind;
using loop::Scalar;

bool pays_in_parallel(const ContractionNest& nest, int64_t lanes, int threads) {
  constexpr int64_t kSteps = 8000;  // of a vector multiplication, that a fork and a join cost
  int64_t steps = element_count(nest.contraction.result_dims) / lanes *
                  element_count(nest.contraction.summed_dims);
  return threads > 1 && steps > kSteps;
}

std::vector<Segment> row_segments(const ContractionNest& nest, const ContractSchedule& schedule,
                                  const Segment& columns, int threads) {
  if (schedule.row_loop < 0)
    return {{0, 1, 1}};
  int64_t rows = nest.loops[static_cast<size_t>(schedule.row_loop)].extent, others = columns.count;
  for (size_t l = 0; l < nest.result_loops; ++l)
    if (auto loop = static_cast<int64_t>(l);
        loop != schedule.row_loop && loop != schedule.vector_loop)
      others *= nest.loops[l].extent / schedule.blocks[l];
  auto time = [&](const std::vector<Segment>& parts) {
    int64_t sum = 0;
    for (const Segment& part : parts)
      sum += ceil_div(part.count * others, int64_t{threads}) * part.size;
    return sum;
  };
  std::vector<Segment> nearly_equal = segments(rows, schedule.row_parts);
  std::vector<Segment> equal = blocks_of(rows, rows / schedule.row_parts);
  return time(equal) < time(nearly_equal) ? equal : nearly_equal;
}

ContractTask begin_tasks(loop::Builder& b, const ContractionNest& nest,
                         const ContractSchedule& schedule, const Segment& columns,
                         const Segment& rows, bool parallel) {
  auto part_of = [&](size_t l) {
    auto loop = static_cast<int64_t>(l);
    int64_t size = schedule.blocks[l];
    return loop == schedule.vector_loop ? columns
           : loop == schedule.row_loop  ? rows
                                        : Segment{0, size, nest.loops[l].extent / size};
  };
  Dims counts;
  for (size_t l = 0; l < nest.result_loops; ++l)
    counts.push_back(part_of(l).count);
  ContractTask task{element_count(counts),
                    {std::vector<Scalar>(nest.loops.size(), b.index(0)), schedule.blocks}};
  Scalar number = b.index(0);
  if (task.tasks > 1)
    number = b.begin_for(parallel ? LoopKind::parallel : LoopKind::serial, task.tasks, {}, {},
                         "task")[0];
  std::vector<Scalar> numbers = unravel(b, number, counts);
  for (size_t l = 0; l < nest.result_loops; ++l) {
    Segment part = part_of(l);
    task.block.size[l] = part.size;
    task.block.start[l] = b.add(b.index(part.start), b.scaled(numbers[l], part.size));
  }
  return task;
}

void end_tasks(loop::Builder& builder, const ContractTask& task) {
  if (task.tasks > 1)
    builder.end_for();
}

}  // namespace gradc
