#pragma once
// How the lowerings of contractions deal out their work.
#include "compiler/lower/contract_schedule.h"
#include "compiler/lower/segments.h"
#include "compiler/lower/stage_operand.h"

namespace gradc {

// Whether a contraction in vectors of `lanes` is worth a fork and a join.
bool pays_in_parallel(const ContractionNest& nest, int64_t lanes, int threads);

// On a matrix unit a fork and a join cost about what it takes to move or multiply so much.
inline constexpr int64_t kMatrixParallelElements = 16000, kMatrixParallelProducts = 2000000;

// Opens the loop over the tasks of one shape: those that take one of `columns` of the vector loop,
// one of `rows` of the row loop, if there is one, and a block of each other result loop. What such
// a task covers: of the summed loops, as much as a pass does.
struct ContractTask {
  int64_t tasks = 1;
  NestBlock block;
};
ContractTask begin_tasks(loop::Builder& builder, const ContractionNest& nest,
                         const ContractSchedule& schedule, const Segment& columns,
                         const Segment& rows, bool parallel);
void end_tasks(loop::Builder& builder, const ContractTask& task);

}  // namespace gradc
