#pragma once
// How small a factor can be, by what it is made of, and how errors grow where it is divided by.
#include "ir/op_def.h"

namespace gradc {

// An inverse in which errors may grow more is none.
inline constexpr double kMostGrowth = 1000;

// Magnitude::least of `value` (ir/op_def.h).
double least_magnitude(const Function& function, ValueId value);

// Says so of a parameter.
void set_least_magnitude(Function& function, ValueId parameter, double magnitude);

// How many times as large the error of a quotient may be as that of what is divided by `factor`,
// each relative to the largest element; infinite where `factor` may be 0.
double growth_of_quotient(const Function& function, ValueId factor);

// OpDef::error_growth of `op`, 1 where it has none.
double error_growth(const Function& function, const Op& op);

}  // namespace gradc
