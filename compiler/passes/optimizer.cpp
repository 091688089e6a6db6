#include "compiler/passes/optimizer.h"

#include <algorithm>
#include <map>
#include <optional>

#include "compiler/entries.h"
#include "compiler/passes/update_rules.h"
#include "ir/diagnostic.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

// A parameter of the model with its gradient in train_step.
struct Trainable {
  const StateTensor* state = nullptr;
  ValueId value;  // the function's parameter bound to it
  ValueId gradient;
};

std::string optimizer_state_name(const StateTensor& parameter, std::string_view suffix) {
  return parameter.name + "." + std::string(suffix);
}

bool is_gradient(const Result& result) {
  return result.name.starts_with(kGradientPrefix);
}

std::vector<Trainable> trainables(const Module& module, const Function& step) {
  std::vector<Trainable> found;
  for (const Result& result : step.results) {
    if (!is_gradient(result))
      continue;
    const StateTensor* state = module.find_state(result.name.substr(kGradientPrefix.size()));
    auto bound = std::find_if(step.parameters.begin(), step.parameters.end(),
                              [&](const Parameter& p) { return state && p.state == state->name; });
    GRADC_CHECK(bound != step.parameters.end(), "`{}` is the gradient of no bound parameter",
                result.name);
    found.push_back({state, bound->value, result.value});
  }
  return found;
}

// For each op of `step`, the trainables to update behind it: the op that completes the gradient or
// the last that reads the parameter, whichever is later. Key -1: before all ops.
std::multimap<int64_t, const Trainable*> update_places(const Function& step,
                                                       const std::vector<Trainable>& trainables) {
  std::vector<int64_t> last_touch(step.values.size(), -1);  // definition or last read
  std::vector<int64_t> definition(step.values.size(), -1);
  for (size_t i = 0; i < step.ops.size(); ++i) {
    for (ValueId operand : step.ops[i].operands)
      last_touch[operand.index] = static_cast<int64_t>(i);
    for (ValueId result : step.ops[i].results)
      definition[result.index] = static_cast<int64_t>(i);
  }
  std::multimap<int64_t, const Trainable*> places;
  for (const Trainable& each : trainables)
    places.emplace(std::max(definition[each.gradient.index], last_touch[each.value.index]), &each);
  return places;
}

// Writes the new train_step.
class Updates {
 public:
  Updates(const Function& step, const Options& options)
      : options_(options.optimizer),
        health_(options.health),
        rule_(update_rule(options_.kind)),
        rewrite_(step) {}

  Function run(const std::vector<Trainable>& trainables) {
    const Function& step = rewrite_.from();
    auto places = update_places(step, trainables);
    for (int64_t i = -1; i < static_cast<int64_t>(step.ops.size()); ++i) {
      if (i >= 0)
        rewrite_.copy(step.ops[static_cast<size_t>(i)]);
      auto [begin, end] = places.equal_range(i);
      for (auto place = begin; place != end; ++place)
        gradient_is_ready(*place->second);
    }
    update_clipped();
    Function updated = rewrite_.finish();
    if (!health_)
      std::erase_if(updated.results, is_gradient);
    updated.results.insert(updated.results.end(), results_.begin(), results_.end());
    return updated;
  }

 private:
  Expr expr(ValueId value) { return {&rewrite_.builder(), value}; }

  // A scalar input of train_step as f32.
  Expr input(std::string_view name) {
    const Parameter* parameter = rewrite_.from().find_parameter(name);
    if (!parameter)
      throw UserError("", fmt::format("@{} has no input %{}, which the optimizer reads",
                                      rewrite_.from().name, name));
    return cast(expr(rewrite_(parameter->value)), DType::f32);
  }

  // What all updates share, appended before the first.
  const std::vector<Expr>& scalars() {
    if (scalars_.empty()) {
      rewrite_.builder().loc.clear();
      Expr step = input(kStep);
      Expr learning_rate = scheduled(input(kLearningRate), step, input(kTotalSteps), options_);
      scalars_ = rule_.scalars(learning_rate, step + 1, options_);
    }
    return scalars_;
  }

  void gradient_is_ready(const Trainable& trainable) {
    Builder& builder = rewrite_.builder();
    builder.phase = Phase::update;
    builder.loc = trainable.state->loc;
    Expr gradient = expr(rewrite_(trainable.gradient));
    if (options_.clip_value > 0)
      gradient = max(min(gradient, options_.clip_value), -options_.clip_value);
    if (options_.clip_norm > 0) {
      Expr squares = sum_of_squares(cast(gradient, DType::f32));
      sum_of_squares_ = sum_of_squares_ ? *sum_of_squares_ + squares : squares;
      waiting_.push_back({&trainable, gradient});
    } else {
      update(trainable, gradient);
    }
  }

  // Scales the gradients by min(1, clip_norm / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_.
  void update_clipped() {
    if (waiting_.empty())
      return;
    rewrite_.builder().loc.clear();
    Expr norm = sqrt(*sum_of_squares_);
    Expr scale = min(number(norm, options_.clip_norm) / (norm + 1e-6), 1);
    for (const auto& [trainable, gradient] : waiting_)
      update(*trainable, cast(scale, gradient.type().dtype) * gradient);
  }

  void update(const Trainable& trainable, Expr gradient) {
    Builder& builder = rewrite_.builder();
    UpdateInput in{expr(rewrite_(trainable.value)), gradient, {}, {}};
    for (Expr scalar : scalars())
      in.scalars.push_back(cast(scalar, trainable.state->type.dtype));
    builder.loc = trainable.state->loc;
    std::vector<std::string> names;
    for (std::string_view suffix : rule_.state(options_)) {
      names.push_back(optimizer_state_name(*trainable.state, suffix));
      in.state.push_back(
          expr(builder.parameter(trainable.state->type, names.back(), names.back())));
    }
    size_t first_new = rewrite_.to().values.size();
    UpdateOutput out = rule_.update(in, options_);
    for (size_t i = first_new; i < rewrite_.to().values.size(); ++i)
      rewrite_.to().values[i].name.insert(0, trainable.state->name + ".");
    tie(out.parameter, trainable.state->name);
    if (health_)
      results_.push_back({out.step.id, std::string(kWatchUpdate) + trainable.state->name, ""});
    for (size_t i = 0; i < names.size(); ++i)
      tie(out.state[i], names[i]);
  }

  void tie(Expr value, const std::string& state) {
    rewrite_.builder().set_name(value.id, state + ".next");
    results_.push_back({value.id, "", state});
  }

  const OptimizerOptions& options_;
  bool health_;  // gradients and steps stay results, for `health` to measure
  const UpdateRule& rule_;
  Rewrite rewrite_;
  std::vector<Expr> scalars_;
  std::optional<Expr> sum_of_squares_;
  std::vector<std::pair<const Trainable*, Expr>> waiting_;  // for the global norm
  std::vector<Result> results_;
};

// Declares the optimizer's state and makes `init` set it to zero.
void add_optimizer_state(Module& module, const std::vector<Trainable>& trainables,
                         const OptimizerOptions& options) {
  Function* init = module.find_function(kInit);
  if (!init) {
    module.functions.insert(module.functions.begin(), Function{.name = std::string(kInit)});
    init = &module.functions.front();
  }
  Builder builder(*init);
  for (const Trainable& each : trainables)
    for (std::string_view suffix : update_rule(options.kind).state(options)) {
      std::string name = optimizer_state_name(*each.state, suffix);
      module.states.push_back({name, each.state->type, Role::optimizer, {}, each.state->loc});
      ValueId zero = builder.constant(each.state->type, 0.0);
      builder.set_name(zero, name);
      builder.result(zero, "", name);
    }
}

}  // namespace

Module optimizer(const Module& module, const Options& options) {
  const Function* step = module.find_function(kTrainStep);
  if (!step || !options.train || !options.update)
    return module;
  check_optimizer_options(options.optimizer);
  std::vector<Trainable> all = trainables(module, *step);
  if (all.empty())
    throw UserError("", fmt::format("`{}` has no trainable parameter", module.name))
        .with_help("every parameter is frozen, or the model has none");
  Module result = module;
  *result.find_function(kTrainStep) = Updates(*step, options).run(all);
  add_optimizer_state(result, all, options.optimizer);
  return result;
}

}  // namespace gradc
