#include "compiler/lower/fetch_ahead.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "ir/integer_math.h"

namespace gradc {
namespace {

using loop::Scalar;

// Neighbouring elements, at a constant distance from row to row.
struct MemoryRows {
  int64_t first = 0, rows = 1, step = 0, columns = 1;
};

std::optional<MemoryRows> rows_in_memory(const std::vector<int64_t>& steps,
                                         const std::vector<int64_t>& sizes) {
  MemoryRows memory;
  std::vector<std::pair<int64_t, int64_t>> loops;  // steps and sizes, nearest elements first
  for (size_t l = 0; l < steps.size(); ++l) {
    if (sizes[l] == 1 || steps[l] == 0)
      continue;
    loops.push_back({std::abs(steps[l]), sizes[l]});
    memory.first += std::min<int64_t>(0, steps[l] * (sizes[l] - 1));
  }
  std::sort(loops.begin(), loops.end());
  for (auto [step, size] : loops)
    if (memory.rows == 1 && step == memory.columns) {
      memory.columns *= size;
    } else if (memory.rows == 1) {
      memory.step = step;
      memory.rows = size;
    } else if (step == memory.rows * memory.step) {
      memory.rows *= size;
    } else {
      return std::nullopt;
    }
  return memory;
}

}  // namespace

bool pays_to_fetch(const KernelValues& values, const ContractionNest& nest, size_t operand) {
  constexpr int64_t kLargeBytes = 256 << 10;
  return nest.types[operand].bytes() > kLargeBytes &&
         nest.types[operand].dtype == nest.sum_dtype() &&
         values.buffer_of(nest.operands[operand]).has_value();
}

std::optional<AheadPart> part_ahead(loop::Builder& b, const OperandAccess& block,
                                    const std::vector<int64_t>& sizes, const Part& part) {
  constexpr int64_t kLine = 16;
  std::optional<MemoryRows> memory = rows_in_memory(block.step, sizes);
  if (!memory)
    return std::nullopt;
  Scalar start = b.add(block.base, b.index(memory->first));
  if (memory->rows >= part.count) {
    int64_t rows = ceil_div(memory->rows, part.count);
    start = b.add(start, b.scaled(part.number, rows * memory->step));
    return AheadPart{{block.buffer, rows, memory->step, memory->columns}, start};
  }
  int64_t of_row = part.count / memory->rows;
  int64_t columns = round_up(ceil_div(memory->columns, of_row), kLine);
  Scalar row = b.div(part.number, b.index(of_row)), i = b.rem(part.number, b.index(of_row));
  start = b.add(start, b.add(b.scaled(row, memory->step), b.scaled(i, columns)));
  return AheadPart{{block.buffer, 1, memory->step, columns}, start};
}

}  // namespace gradc
