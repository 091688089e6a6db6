#include "compiler/lower/fetch_ahead.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "ir/integer_math.h"

namespace gradc {
namespace {

using loop::Scalar;

// What is less is in a near cache.
constexpr int64_t kLargeBytes = 256 << 10;

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
    } else if (step % memory.step == 0 && step <= memory.rows * memory.step) {
      memory.rows += (size - 1) * (step / memory.step);  // windows overlap, or lie side by side
    } else {
      return std::nullopt;
    }
  return memory;
}

}  // namespace

bool pays_to_fetch(const KernelValues& values, const ContractionNest& nest, size_t operand) {
  return nest.types[operand].bytes() > kLargeBytes &&
         nest.types[operand].dtype == nest.sum_dtype() &&
         values.buffer_of(nest.operands[operand]).has_value();
}

std::vector<BehindTile> behind_tile(const KernelValues& values, const ContractionNest& nest) {
  const Function& function = values.function();
  auto lies_like_sums = [&](ValueId value) {
    const Type& type = function.type(value);
    return type.elements() == nest.result_type.elements() && type.bytes() > kLargeBytes &&
           byte_size(type.dtype) == byte_size(nest.sum_dtype());
  };
  std::vector<BehindTile> behind;
  for (size_t i = 0; i < function.parameters.size(); ++i)
    if (ValueId value = function.parameters[i].value;
        lies_like_sums(value) && std::ranges::count(nest.operands, value) == 0)
      behind.push_back({values.operand_buffer(i)});
  for (size_t i = 0; i < function.results.size(); ++i)
    if (lies_like_sums(function.results[i].value))
      behind.push_back({values.result_buffer(i), true, values.is_streamed(i)});
  return behind;
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
