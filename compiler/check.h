#pragma once
// Whether two forms of a module compute the same, judged by the evaluator on random inputs.
#include <cstdint>
#include <optional>
#include <string>

#include "ir/eval.h"
#include "ir/module.h"

namespace gradc {

// That of sums taken in another order in double precision.
inline constexpr double kSumTolerance = 1e-9;

// The first result of an entry that `before` and `after` disagree on, with both numbers, or
// nullopt. Results are matched by name or tied state; those that only one of them has are not
// compared, nor are entries whose inputs have other types. The tolerance is relative to a result's
// largest element.
std::optional<std::string> first_difference(const Module& before, const Module& after,
                                            double tolerance = kSumTolerance, uint64_t seed = 1);

// Random content for every state tensor and for the parameters of `entry` that are not bound to
// one: floats in [-1, 1], or [0.2, 1] for buffers and optimizer state, which hold variances;
// integers 0 or 1, which are valid indices wherever there is a choice. Depends on names, not on
// order. What @prepare derives is derived.
State random_state(const Module& module, uint64_t seed);
std::vector<Tensor> random_arguments(const Function& entry, uint64_t seed);

}  // namespace gradc
