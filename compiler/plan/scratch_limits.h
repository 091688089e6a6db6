#pragma once
// How much scratch kernels may take before scratch is what makes an arena large.
#include <cstdint>
#include <string>
#include <unordered_map>

#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

// By kernel, for a module after `fuse`: bytes that all threads together may take. What an arena is
// measured by is the most that is live at once in the planner's first order, without scratch, or
// what one call reads and writes where that is more: there inputs and outputs count, and bytes that
// are written over once.
// Scratch may fill up what is not live while a kernel runs, and a sixteenth more.
//
// A budget below that moves values about, so that only a kernel's own are known to be live. Then
// the measure is the most demanding call alone.
//
// Kernels that no entry calls are missing.
std::unordered_map<std::string, int64_t> scratch_limits(const Module& module,
                                                        const Options& options);

}  // namespace gradc
