#pragma once
// The formulas of the optimizers: how a parameter and the optimizer's state follow a gradient.
#include <span>
#include <string_view>
#include <vector>

#include "compiler/options.h"
#include "compiler/passes/expression.h"

namespace gradc {

// One parameter at one step.
struct UpdateInput {
  Expr parameter, gradient;
  std::vector<Expr> state;  // one for each of UpdateRule::state
  Expr learning_rate;  // scalar, with the schedule's factor
};

struct UpdateOutput {
  Expr parameter;
  std::vector<Expr> state;
};

struct UpdateRule {
  std::string_view name;
  std::string_view doc;
  // Suffixes of the state tensors beside each parameter, of its type, zero before the first step.
  std::vector<std::string_view> (*state)(const OptimizerOptions& options);
  UpdateOutput (*update)(const UpdateInput& input, const OptimizerOptions& options);
};

const UpdateRule& update_rule(OptimizerKind kind);
std::span<const UpdateRule> update_rules();  // in the order of OptimizerKind

}  // namespace gradc
