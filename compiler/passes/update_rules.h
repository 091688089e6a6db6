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
  std::vector<Expr> scalars;  // what UpdateRule::scalars gave
};

struct UpdateOutput {
  Expr parameter;
  std::vector<Expr> state;
  Expr step;  // what the parameter loses: for `health`
};

struct UpdateRule {
  std::string_view name;
  std::string_view doc;
  // Suffixes of the state tensors beside each parameter, of its type, zero before the first step.
  std::vector<std::string_view> (*state)(const OptimizerOptions& options);
  // What all parameters share, from the learning rate with its schedule's factor and the step's
  // number t = 1, 2, ..., all f32[].
  std::vector<Expr> (*scalars)(Expr learning_rate, Expr t, const OptimizerOptions& options);
  UpdateOutput (*update)(const UpdateInput& input, const OptimizerOptions& options);
};

const UpdateRule& update_rule(OptimizerKind kind);
std::span<const UpdateRule> update_rules();  // in the order of OptimizerKind

// The factor on the learning rate at `step` (from 0) of `total_steps`, all f32[]: rises linearly
// to 1 at the last of the warm-up steps, and by the cosine schedule falls from 1 behind them
// towards 0 at the end (Loshchilov & Hutter 2017, without restarts).
Expr scheduled(Expr learning_rate, Expr step, Expr total_steps, const OptimizerOptions& options);

// Fails when an option is out of its range.
void check_optimizer_options(const OptimizerOptions& options);

}  // namespace gradc
