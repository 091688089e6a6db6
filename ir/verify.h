#pragma once
// What makes a module valid. verify() fails with a UserError that names function and op; the
// pipeline calls it after every pass (there a failure is our bug), the command line after parsing a
// file.
//
// - Names of state tensors are unique; so are names of functions.
// - Every value is defined exactly once, by a parameter or an op, before it is used.
// - Every op has the operands and attributes that its record asks for, and the result types its
// shape rule gives.
// - `call` and `scan` name a function of the module whose parameter and result types fit; callees
// do not
//   recurse, and neither bind parameters to state nor tie results.
// - A parameter bound to state, and a result tied to state, have that state tensor's type.
// - A state tensor is bound by at most one parameter and tied by at most one result of a function.
// - Only entries bind and tie. Kernels contain no control ops.
// - Values with an offset lie inside of the function's arena.
#include "ir/module.h"

namespace gradc {

void verify(const Module& module);

}  // namespace gradc
