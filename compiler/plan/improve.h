#pragma once
// Makes a schedule with recomputations cheaper, by large-neighbourhood search.
#include "compiler/plan/core/schedule.h"

namespace gradc {

// Takes some recomputations out, cuts the peaks that this brings back with some randomness in what
// is dropped, undoes what is needless, and keeps the result if it costs no more. The budget is
// kept. Stops after a number of tries that depends on the problem's size only.
Schedule improve(const Problem& problem, Schedule schedule, int64_t budget);

}  // namespace gradc
