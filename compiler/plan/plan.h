#pragma once
// The pass `plan` (docs/memory.md): every byte that an entry touches and does not own gets its
// place in one arena, whose size is a contract.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

// Orders the kernels of every entry, recomputes values where `--memory` or `--memory-total` ask for
// it, and gives every value and every kernel's scratch an offset. Fails with
// Fault::impossible_budget when no plan within the budget is found; UserError::enough_bytes() of
// that is an arena that has a plan.
Module plan(const Module& module, const Options& options);

// Bytes that the arena of `entry` may take; below 0 if `--memory-total` is used up without it.
int64_t budget_of(const Module& module, const Function& entry, const Options& options);

// No schedule of `entry`, which is not planned yet, is within `budget` and adds less to its time
// than this share, in whatever order and whatever it recomputes.
double least_overhead(const Module& module, const Function& entry, const Options& options,
                      int64_t budget);

// Holds a module that has its plan already, as a dump does, to the checker and to the budgets of
// `options`: a text that was changed by hand must not become code that overwrites its own values.
void check_planned(const Module& module, const Options& options);

}  // namespace gradc
