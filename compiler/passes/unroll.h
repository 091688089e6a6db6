#pragma once
// Replaces each `scan` by one copy of its body per trip, and each `call` of a function by the
// function's ops, until neither is left: later passes meet straight-line code, and the plan can
// recompute inside of what was a loop. Slices of sequences become `slice`, stacked outputs
// `concat`. Calls of kernels stay.
#include <span>
#include <vector>

#include "compiler/options.h"
#include "ir/builder.h"
#include "ir/module.h"

namespace gradc {

Module unroll(const Module& module, const Options& options);

// The same for the calls of one function alone; scans stay.
Function inline_calls(const Module& module, const Function& function);

// Appends the ops of `body` for `arguments`; returns the values of its results. The copies have the
// phase of `site`, and its place where the body's op has none.
std::vector<ValueId> inline_body(Builder& builder, const Function& body,
                                 std::span<const ValueId> arguments, const Op& site);

}  // namespace gradc
