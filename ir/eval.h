#pragma once
// The evaluator: runs a function in double precision, op by op, by the records' naive `eval`. It
// shares no code with lowering: it is the judge of everything else.
#include <map>
#include <span>
#include <string>
#include <vector>

#include "ir/eval_types.h"
#include "ir/module.h"

namespace gradc {

using State = std::map<std::string, Tensor>;  // by name of the state tensor

// Runs `function` of `module`. `arguments` are the parameters that are not bound to state, in
// order; bound ones read `state`. Returns all results in order; tied ones also become the new
// content of `state`.
std::vector<Tensor> eval(const Module& module, const Function& function,
                         std::span<const Tensor> arguments, State& state);

// The function's results for all of its parameters as arguments, bound ones included.
std::vector<Tensor> eval_closed(const Module& module, const Function& function,
                                std::span<const Tensor> arguments);

// One op, for tests. Control ops need the module.
std::vector<Tensor> eval_op(const Module& module, const Op& op, std::span<const Tensor> operands,
                            std::span<const Type> results);

}  // namespace gradc
