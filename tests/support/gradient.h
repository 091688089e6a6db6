#pragma once
// Reverse-mode differentiation in its shortest form, by the rules of the op table alone, and
// derivatives by differences to compare it with.
#include <span>
#include <vector>

#include "ir/eval_types.h"
#include "ir/module.h"
#include "tests/support/feed.h"

namespace gradc::test {

// Appends the gradients of the scalar `of` with respect to `wrt`, zeros where it does not depend on
// one. All ops must have a gradient rule (see `expanded`).
std::vector<ValueId> append_gradients(Function& function, ValueId of, std::span<const ValueId> wrt);

// `function` with composites replaced by the ops that they stand for: all of them, or only those
// without a gradient rule of their own.
Function expanded(const Function& function, bool all);

// The gradients of result 0, a scalar, with respect to all parameters of float type, as results.
// Only composites without a gradient rule are expanded.
Function gradient_function(const Function& function);

// How far gradient_function is from central differences of result 0 along random directions: an
// error in any element shows in every direction.
double gradient_error(const Function& function, std::span<const Tensor> arguments, Feed& feed);

// |a - b|, relative to the larger one if that is above 1.
double difference(double a, double b);

}  // namespace gradc::test
