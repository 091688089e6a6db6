#include "compiler/passes/update_rules.h"

#include "ir/diagnostic.h"

namespace gradc {
namespace {

// The formulas and the order of their operations are those of torch.optim.

std::vector<std::string_view> sgd_state(const OptimizerOptions& options) {
  return options.momentum != 0 ? std::vector<std::string_view>{"momentum"}
                               : std::vector<std::string_view>{};
}

// v' = momentum * v + g;  p' = p - lr * v', or with Nesterov p - lr * (g + momentum * v')
UpdateOutput sgd(const UpdateInput& in, const OptimizerOptions& options) {
  Expr direction = in.gradient;
  if (options.weight_decay != 0)
    direction = direction + options.weight_decay * in.parameter;
  UpdateOutput out;
  if (options.momentum != 0) {
    Expr velocity = options.momentum * in.state[0] + direction;
    direction = options.nesterov ? direction + options.momentum * velocity : velocity;
    out.state = {velocity};
  }
  out.parameter = in.parameter - in.learning_rate * direction;
  return out;
}

constexpr UpdateRule kRules[] = {
    {"sgd", "Stochastic gradient descent with optional momentum and Nesterov's correction.",
     sgd_state, sgd},
};

}  // namespace

std::span<const UpdateRule> update_rules() {
  return kRules;
}

const UpdateRule& update_rule(OptimizerKind kind) {
  return kRules[static_cast<size_t>(kind)];
}

}  // namespace gradc
