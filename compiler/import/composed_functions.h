#pragma once
// Functions of one float that are no ops but made of them, for both importers. Their error is a few
// units of the last place everywhere, and their gradients follow from those of the ops
// (tests/unit/composed_functions_test.cpp measures both).
#include <string_view>

#include "ir/builder.h"

namespace gradc {

struct ComposedFunction {
  std::string_view name;
  ValueId (*make)(Builder& b, ValueId x);
};

namespace composed {
extern const ComposedFunction acos, acosh, asin, asinh, atanh, cosh, sinh, tan;
}

// Of each element of x; narrow floats are computed in f32.
ValueId compose(const ComposedFunction& function, Builder& b, ValueId x);
// Of one number, in double precision.
double value_at(const ComposedFunction& function, double x);

}  // namespace gradc
