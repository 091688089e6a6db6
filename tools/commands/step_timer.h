#pragma once
// How long an entry takes, for commands that measure.
#include <cstddef>

#include "tools/session.h"

namespace gradc {

class KernelClock;

struct StepTimes {
  double min = 0, median = 0;  // milliseconds
  size_t runs = 0;
};

// Inputs that any model takes: small random floats, and 0 or 1 where a class or an index is wanted.
void fill_inputs(EntryCall& call);

// Two runs to warm up, then runs for so many seconds, five at least. `clock` may be null.
StepTimes time_steps(EntryCall& call, double seconds, KernelClock* clock);

}  // namespace gradc
