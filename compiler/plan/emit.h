#pragma once
// Writes a plan into the entry: ops in the order of the schedule, copies named `x.re` where they
// are computed again and `x.inv` where an inverse gives them, offsets, scratch places and the size
// of the arena.
#include "compiler/plan/core/offsets.h"
#include "compiler/plan/core/schedule.h"
#include "compiler/plan/entry_problem.h"

namespace gradc {

Function emit_plan(const EntryProblem& problem, const Function& entry, const Schedule& schedule,
                   const Buffers& buffers, const Offsets& offsets);

}  // namespace gradc
