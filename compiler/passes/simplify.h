#pragma once
// The same module with less to do: algebraic identities and constants (the rules are listed in
// simplify_rules.h), equal ops computed once, and what no result needs removed, nor tensors without
// elements (drop_empty.h).
//
// A rule may change the sign of a zero and nothing else: no sum is reassociated, and what could be
// NaN or infinite stays. Ops keep the phase and place of their first appearance. Entries keep their
// parameters and results; functions that no entry reaches go.
//
// Runs before the plan is made, never after: it would merge recomputed values with the first ones.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

Module simplify(const Module& module, const Options& options);

}  // namespace gradc
