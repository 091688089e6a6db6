#pragma once
// Wishes of the user as constraints of the plan: --keep PATTERN and --recompute PATTERN.
//
// A glob pattern matches a value of the arena by its name in a dump after `schedule`, or by that
// without the number that tells equal names apart; a view is what it views.
//
//   - What is to be kept stays from where it is made to its last reader: its kernel never runs
//     again, and no recipe makes it.
//   - What is to be made again is not held from the forward pass to those behind it: they read a
//     copy that is made behind the forward pass, by the kernel again or by a recipe that costs less
//     and gives the same bits.
#include "compiler/options.h"
#include "compiler/plan/entry_problem.h"
#include "ir/module.h"

namespace gradc {

// Fails when a pattern matches nothing, or only what it cannot be wished of, or when one value is
// matched by both kinds.
void check_wishes(const Module& module, const Options& options);

// The entry with a call more for each value that is to be made again, named as in `%h.re`.
Function with_copies(const Module& module, const Function& entry, const Options& options);

// The problem of an entry that with_copies() gave.
EntryProblem wished_problem(const Module& module, const Function& entry, const Options& options);

}  // namespace gradc
