#pragma once
// Trades time for bytes: the cheapest schedule found within a budget.
#include <cstdint>
#include <optional>

#include "compiler/plan/core/schedule.h"

namespace gradc {

// `order` runs every kernel once. Several starts, each cut to the budget and rid of needless
// recomputations; the same on every machine. nullopt when none fits.
std::optional<Schedule> fit_into(const Problem& problem, const Schedule& order, int64_t budget);

}  // namespace gradc
