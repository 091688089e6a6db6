#pragma once
// Decides how each kernel runs on the target, and writes it on the kernel as attributes
// (compiler/kernel.h): the method, tile and blocks of a contraction, and for every kernel the
// bytes of workspace and of scratch per thread that its loops need, which the plan then places.
//
// What is decided here changes how long a kernel takes, never a bit of its results. The first pass
// that knows the target and the number of threads; the module remembers them in its attributes, so
// that a dump of this stage or a later one is not taken for another machine.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

Module schedule(const Module& module, const Options& options);

// Fails when `module` is scheduled for another target or number of threads than `options` say: code
// made of it would read past vectors or use scratch that nobody planned.
void check_schedule(const Module& module, const Options& options);
// Fails when the attributes that `schedule` sets are others than it would set now: lowering relies
// on what it chooses.
void check_scheduled_kernels(const Module& module, const Options& options);

}  // namespace gradc
