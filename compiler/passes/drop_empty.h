#pragma once
// The same function without ops on tensors that have no elements: nothing is computed from them. A
// result without elements becomes a constant; a reduction of no elements, the constant that it is;
// a concat leaves out the operand. Part of `simplify`.
#include "ir/module.h"

namespace gradc {

Function drop_empty(const Function& function);

}  // namespace gradc
