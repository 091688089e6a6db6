#include "compiler/passes/update_rules.h"

#include <cmath>
#include <numbers>
#include <optional>

#include "ir/diagnostic.h"

namespace gradc {
namespace {

// The formulas and the order of their operations are those of torch.optim.

std::vector<std::string_view> sgd_state(const OptimizerOptions& options) {
  return options.momentum != 0 ? std::vector<std::string_view>{"momentum"}
                               : std::vector<std::string_view>{};
}

std::vector<Expr> sgd_scalars(Expr learning_rate, Expr, const OptimizerOptions&) {
  return {learning_rate};
}

Expr with_l2_decay(const UpdateInput& in, const OptimizerOptions& options) {
  if (options.weight_decay == 0)
    return in.gradient;
  return in.gradient + options.weight_decay * in.parameter;
}

// v' = momentum * v + g;  p' = p - lr * v', or with Nesterov p - lr * (g + momentum * v')
UpdateOutput sgd(const UpdateInput& in, const OptimizerOptions& options) {
  Expr direction = with_l2_decay(in, options);
  UpdateOutput out;
  if (options.momentum != 0) {
    Expr velocity = options.momentum * in.state[0] + direction;
    direction = options.nesterov ? direction + options.momentum * velocity : velocity;
    out.state = {velocity};
  }
  out.step = in.scalars[0] * direction;
  out.parameter = in.parameter - out.step;
  return out;
}

std::vector<std::string_view> adam_state(const OptimizerOptions&) {
  return {"m", "v"};
}

// 1 - beta^t, from 0 for the first steps on without cancellation.
Expr bias_correction(double beta, Expr t) {
  if (beta == 0)
    return number(t, 1);
  return -apply(Opcode::expm1, std::log(beta) * t);
}

// lr, lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
std::vector<Expr> adam_scalars(Expr learning_rate, Expr t, const OptimizerOptions& options) {
  return {learning_rate, learning_rate / bias_correction(options.beta1, t),
          number(t, 1) / sqrt(bias_correction(options.beta2, t))};
}

// m' = m + (1 - beta1) * (g - m);  v' = beta2 * v + (1 - beta2) * g^2
// p' = p - lr / (1 - beta1^t) * m' / (sqrt(v') / sqrt(1 - beta2^t) + epsilon), where the inner
// division, the same for all elements, is a product with the reciprocal.
// `parameter` is what the step is subtracted from: where its decay, a scalar, has been taken off
// already, that is part of what the parameter loses.
UpdateOutput adam_step(const UpdateInput& in, Expr parameter, Expr gradient,
                       const OptimizerOptions& options, std::optional<Expr> decay = std::nullopt) {
  Expr m = in.state[0], v = in.state[1];
  Expr step_size = in.scalars[1], root_scale = in.scalars[2];
  m = m + (1 - options.beta1) * (gradient - m);
  v = options.beta2 * v + (1 - options.beta2) * (gradient * gradient);
  Expr denominator = sqrt(v) * root_scale + options.epsilon;
  Expr step = step_size * (m / denominator);
  // Before the parameter's next content, which waits for all that reads the old one: only so do
  // they fit into one kernel.
  Expr lost = decay ? step + *decay * in.parameter : step;
  return {parameter - step, {m, v}, lost};
}

UpdateOutput adam(const UpdateInput& in, const OptimizerOptions& options) {
  return adam_step(in, in.parameter, with_l2_decay(in, options), options);
}

// The decay acts on the parameter and not on the moments (Loshchilov & Hutter 2019).
UpdateOutput adamw(const UpdateInput& in, const OptimizerOptions& options) {
  if (options.weight_decay == 0)
    return adam_step(in, in.parameter, in.gradient, options);
  Expr decay = options.weight_decay * in.scalars[0];
  return adam_step(in, (1 - decay) * in.parameter, in.gradient, options, decay);
}

std::vector<std::string_view> rmsprop_state(const OptimizerOptions& options) {
  std::vector<std::string_view> state = {"square"};
  if (options.centered)
    state.push_back("mean");
  if (options.momentum != 0)
    state.push_back("momentum");
  return state;
}

std::vector<Expr> rmsprop_scalars(Expr learning_rate, Expr, const OptimizerOptions&) {
  return {learning_rate};
}

// s' = alpha * s + (1 - alpha) * g^2;  centered: a' = a + (1 - alpha) * (g - a), else a' = 0
// d = g / (sqrt(s' - a'^2) + epsilon);  with momentum v' = momentum * v + d, else v' = d
// p' = p - lr * v'
UpdateOutput rmsprop(const UpdateInput& in, const OptimizerOptions& options) {
  Expr gradient = with_l2_decay(in, options);
  auto state = in.state.begin();
  Expr square = options.alpha * *state++ + (1 - options.alpha) * (gradient * gradient);
  UpdateOutput out{in.parameter, {square}, {}};
  Expr variance = square;
  if (options.centered) {
    Expr mean = *state++;
    mean = mean + (1 - options.alpha) * (gradient - mean);
    out.state.push_back(mean);
    // Rounding takes the variance of a steady gradient below 0, of which there is no root.
    variance = max(square - mean * mean, 0);
  }
  Expr direction = gradient / (sqrt(variance) + options.epsilon);
  if (options.momentum != 0) {
    direction = options.momentum * *state + direction;
    out.state.push_back(direction);
  }
  out.step = in.scalars[0] * direction;
  out.parameter = in.parameter - out.step;
  return out;
}

constexpr UpdateRule kRules[] = {
    {"sgd",
     "v = momentum * v + g, p = p - lr * v; with Nesterov p = p - lr * (g + momentum * v); "
     "weight decay is added to g",
     sgd_state, sgd_scalars, sgd},
    {"adam",
     "m and v average g and g^2, p = p - lr * m' / (sqrt(v') + epsilon) with the averages "
     "corrected for their start at 0; weight decay is added to g",
     adam_state, adam_scalars, adam},
    {"adamw", "adam after p = p * (1 - lr * weight_decay)", adam_state, adam_scalars, adamw},
    {"rmsprop",
     "s averages g^2, p = p - lr * g / (sqrt(s) + epsilon); centered: sqrt(s - a^2) with a the "
     "average of g; with momentum p = p - lr * v of v = momentum * v + the quotient; weight decay "
     "is added to g",
     rmsprop_state, rmsprop_scalars, rmsprop},
};

void check_range(std::string_view option, double value, bool in_range, std::string_view rule) {
  if (!in_range)
    throw UserError("", fmt::format("{} is {}; it must be {}", option, value, rule),
                    Fault::command_line);
}

}  // namespace

std::span<const UpdateRule> update_rules() {
  return kRules;
}

const UpdateRule& update_rule(OptimizerKind kind) {
  return kRules[static_cast<size_t>(kind)];
}

Expr scheduled(Expr learning_rate, Expr step, Expr total_steps, const OptimizerOptions& options) {
  auto warmup = static_cast<double>(options.warmup_steps);
  if (options.warmup_steps > 0)
    learning_rate = learning_rate * min((1 / warmup) * (step + 1), 1);
  if (options.schedule == ScheduleKind::cosine) {
    Expr progress = max(step + -warmup, 0) / max(total_steps + -warmup, 1);
    Expr wave = apply(Opcode::cos, std::numbers::pi * min(progress, 1));
    learning_rate = learning_rate * (0.5 * (wave + 1));
  }
  return learning_rate;
}

void check_optimizer_options(const OptimizerOptions& o) {
  auto at_least_0 = [](double value) { return value >= 0 && std::isfinite(value); };
  auto decay = [](double value) { return value >= 0 && value < 1; };
  check_range("momentum", o.momentum, decay(o.momentum), "at least 0 and less than 1");
  check_range("beta1", o.beta1, decay(o.beta1), "at least 0 and less than 1");
  check_range("beta2", o.beta2, decay(o.beta2), "at least 0 and less than 1");
  check_range("alpha", o.alpha, decay(o.alpha), "at least 0 and less than 1");
  check_range("epsilon", o.epsilon, at_least_0(o.epsilon), "at least 0");
  check_range("weight decay", o.weight_decay, at_least_0(o.weight_decay), "at least 0");
  check_range("the clipping value", o.clip_value, at_least_0(o.clip_value), "at least 0");
  check_range("the clipping norm", o.clip_norm, at_least_0(o.clip_norm), "at least 0");
  check_range("the number of warm-up steps", static_cast<double>(o.warmup_steps),
              o.warmup_steps >= 0, "at least 0");
  check_range("momentum", o.momentum, !o.nesterov || o.momentum > 0,
              "above 0 for Nesterov's correction");
}

}  // namespace gradc
