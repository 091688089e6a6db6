#pragma once
// How much scratch kernels may take before scratch is what makes an arena large.
#include <cstdint>
#include <string>
#include <unordered_map>

#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

// By kernel: bytes that all threads together may take. Kernels that no entry calls are missing.
using ScratchLimits = std::unordered_map<std::string, int64_t>;

// Which of the two hold is settled for all entries at once, which share kernels: within any two
// budgets that ask for recomputation kernels are the same, and what is enough for them.
struct ScratchRoom {
  // What an arena is measured by is the most that is live at once in the planner's first order,
  // without scratch, or what one call reads and writes where that is more: there inputs and outputs
  // count, and bytes that are written over once. Scratch may fill up what is not live while a
  // kernel runs, and a sixteenth more.
  ScratchLimits beside_live;
  // A budget below that moves values about, so that only a kernel's own are known to be live. Then
  // the measure is the most demanding call alone.
  ScratchLimits beside_own;
  bool fits = true;  // whether every entry's measure of the first kind is within its budget
};

// For a module after `fuse`.
ScratchRoom scratch_room(const Module& module, const Options& options);

// Whether no entry of a scheduled module has to compute anything again.
bool fits_as_it_is(const Module& scheduled, const Options& options);

}  // namespace gradc
