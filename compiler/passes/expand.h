#pragma once
// Replaces composite ops by the ops that their records' `expand` builds, until none is left, so
// that later passes meet primitives only. Places and phases are those of the composite;
// what it computes on the way to %y is named %y.<op>. `stop_gradient` goes as well.
#include "compiler/options.h"
#include "ir/module.h"
#include "ir/op_def.h"

namespace gradc {

Module expand(const Module& module, const Options& options);

// The same for one function and the composites that `wanted` accepts.
Function expand_where(const Function& function, bool (*wanted)(const OpDef& op));

}  // namespace gradc
