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

// The parts of the row loop that tasks take: parts that differ by one row, or equal ones and a rest
// of a few rows, whichever `threads` are done with sooner. They share the tasks of one shape, one
// of `columns` and of the blocks of the other loops each; those of the next shape wait for them.
std::vector<Segment> row_segments(const ContractionNest& nest, const ContractSchedule& schedule,
                                  const Segment& columns, int threads);

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

// Loops over the passes of `block`, a task's: those of the summed loops from l on, of which
// parts(l, first, last) are the segments. Calls pass(first, last) in each: whether all these loops
// are in their first, their last iteration.
template <typename Parts, typename Pass>
void for_passes(loop::Builder& builder, const ContractionNest& nest, NestBlock& block, Parts parts,
                Pass pass, size_t l, bool first = true, bool last = true) {
  if (l == nest.loops.size())
    return pass(first, last);
  for (const Segment& part : parts(l, first, last)) {
    block.size[l] = part.size;
    for_parts(builder, part, [&](loop::Scalar start, loop::Scalar) {
      block.start[l] = start;
      for_passes(builder, nest, block, parts, pass, l + 1,
                 first && part.start == 0 && part.count == 1,
                 last && part.start + part.size == nest.loops[l].extent);
    });
  }
}

}  // namespace gradc
