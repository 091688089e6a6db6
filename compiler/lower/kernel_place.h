#pragma once
// The place in the model that a kernel stands for, in profiles and debug information.
#include <string>

#include "ir/module.h"

namespace gradc {

// That of its contraction, else of its reduction or of the op it is made of, else of the first op
// that has one; "" when none has.
std::string kernel_place(const Function& kernel);

}  // namespace gradc
