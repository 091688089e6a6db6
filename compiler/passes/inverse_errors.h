#pragma once
// Measures what inverses lose, for --verify-invert: the values that they stand for are held beside
// them.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

inline constexpr std::string_view kInverseErrorPrefix = "inverse_error/";

// To each planned entry, for each value that an inverse gives with rounding, a result
// inverse_error/<value>: its largest difference from the value that it stands for, over the largest
// element of that. What is computed otherwise stays the same; the arena is what all of this takes
// together, whatever the budget.
Module with_inverse_errors(const Module& planned, const Options& options);

}  // namespace gradc
