#pragma once
// Recomputations that free bytes, as early as they can run.
#include "compiler/plan/core/schedule.h"

namespace gradc {

// A run of an optional kernel whose operands are read for the last time, and are no smaller than
// its results, moves to where nothing else reads them any more: x = y - f(z) takes the place of y,
// and of f(z), before others take more.
Schedule hastened(const Problem& problem, const Schedule& schedule);

}  // namespace gradc
