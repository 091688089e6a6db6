#pragma once
// The order in which the kernels of an entry run when memory is free of charge.
#include "compiler/plan/core/schedule.h"

namespace gradc {

// The forward kernels as given, kernels of the backward and update phases as soon as they free what
// they take; where another list schedule has a lower peak, that one, and where all are forward
// kernels any order (forward_order.h). Kernels that overwrite state wait for its readers. Fails when
// the state's readers and writers cannot be ordered.
Schedule order_kernels(const Problem& problem);

// The kernels as given; one of the other phases runs as soon as it frees at least what it takes,
// unless a forward kernel would free more. What fractions of a budget refer to.
Schedule plain_order(const Problem& problem);

// The kernels as given; one that has to wait for a later one runs behind it.
Schedule given_order(const Problem& problem);

}  // namespace gradc
