#include "compiler/passes/autodiff.h"

#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "compiler/entries.h"
#include "compiler/passes/reverse.h"
#include "compiler/passes/sink.h"
#include "ir/op_def.h"
#include "ir/print.h"

namespace gradc {
namespace {

void check_frozen_patterns(const Module& module, const Options& options) {
  for (const std::string& pattern : options.frozen) {
    bool known =
        std::any_of(module.states.begin(), module.states.end(), [&](const StateTensor& state) {
          return state.role == Role::parameter &&
                 fnmatch(pattern.c_str(), state.name.c_str(), 0) == 0;
        });
    if (!known)
      throw UserError("", fmt::format("no parameter of `{}` is named `{}`, which is to be frozen",
                                      module.name, pattern));
  }
}

// A value that a gradient is asked for, and the name of the result that it becomes.
struct Wanted {
  ValueId value;
  std::string result;
};

std::vector<Wanted> wanted_gradients(const Module& module, const Function& function,
                                     const Options& options) {
  std::vector<Wanted> wanted;
  for (const Parameter& parameter : function.parameters) {
    const std::string& name = function[parameter.value].name;
    if (!parameter.state.empty()) {
      if (is_trainable(*module.find_state(parameter.state), options))
        wanted.push_back({parameter.value, std::string(kGradientPrefix) + parameter.state});
    } else if (options.input_gradients && is_float(function.type(parameter.value).dtype) &&
               !is_control_input(name)) {
      wanted.push_back({parameter.value, std::string(kInputGradientPrefix) + name});
    }
  }
  return wanted;
}

// What `health` measures of the backward pass: the gradients of the values that `watch` named.
std::vector<Wanted> watched_gradients(const Function& function,
                                      std::span<const Wanted> parameters) {
  std::vector<ValueId> inputs;
  for (const Wanted& parameter : parameters)
    inputs.push_back(parameter.value);
  std::vector<bool> active = active_values(function, inputs);
  std::vector<Wanted> wanted;
  for (const Result& result : function.results)
    if (result.name.starts_with(kWatchInput) && active[result.value.index])
      wanted.push_back(
          {result.value, std::string(kWatchGradient) + result.name.substr(kWatchInput.size())});
  return wanted;
}

// Adds d(sum of `of`)/d(value) as a result for each wanted value of a function that is
// ready_for_reverse, and for each `passed` one, which depends on wanted ones. The module gets the
// bodies of backward loops. What passes through them is `scale` times as large, so that f16 can
// hold it.
void append_gradients(Module& module, Function& function, ValueId of,
                      std::span<const Wanted> wanted, std::span<const Wanted> passed = {},
                      double scale = 1) {
  std::vector<ValueId> inputs;
  for (const Wanted& each : wanted)
    inputs.push_back(each.value);
  Reverse reverse(function, inputs, prepare_scans(module, function, inputs));
  Builder builder(function);
  builder.phase = Phase::backward;
  ValueId one = builder.constant(function.type(of), scale);
  builder.set_name(one, "d." + function[of].name);
  reverse.add(of, one);
  reverse.run();
  for (std::span<const Wanted> values : {wanted, passed})
    for (const Wanted& each : values) {
      ValueId gradient = reverse.gradient(each.value);
      builder.result(scale == 1 ? gradient : builder.scale(gradient, 1 / scale), each.result);
    }
}

ValueId loss_of(const Function& function) {
  const Result* loss = function.find_result(kLoss);
  if (!loss)
    throw UserError("", fmt::format("@{} has no result named `{}`; training minimises it",
                                    function.name, kLoss));
  const Type& type = function.type(loss->value);
  if (!is_float(type.dtype) || type.rank() != 0)
    throw UserError("", fmt::format("`{}` is {}; it must be a floating point scalar, such as the "
                                    "mean over the batch",
                                    kLoss, to_string(type)));
  return loss->value;
}

[[noreturn]] void fail_unknown(const Function& function, const std::string& name) {
  std::vector<std::string> names = unique_names(function);
  std::erase(names, "");
  for (const Result& result : function.results)
    if (!result.name.empty())
      names.push_back(result.name);
  for (const Parameter& parameter : function.parameters)
    if (!parameter.state.empty())
      names.push_back(parameter.state);
  std::string nearest = nearest_name(name, names);
  throw UserError("",
                  fmt::format("@{} has no value named `{}`{}", function.name, name,
                              nearest.empty() ? "" : "; did you mean `" + nearest + "`?"),
                  Fault::command_line);
}

// The value that `name` means: a result, bound state, or a value as the printer names it.
std::optional<ValueId> find_value(const Function& function, const std::string& name) {
  if (const Result* result = name.empty() ? nullptr : function.find_result(name))
    return result->value;
  for (const Parameter& parameter : function.parameters)
    if (!name.empty() && parameter.state == name)
      return parameter.value;
  std::vector<std::string> names = unique_names(function);
  auto found = std::find(names.begin(), names.end(), name);
  if (name.empty() || found == names.end())
    return std::nullopt;
  return ValueId{static_cast<uint32_t>(found - names.begin())};
}

// The same; the nearest name where there is none, and an error where no gradient is possible.
ValueId float_value(const Function& function, const std::string& name) {
  std::optional<ValueId> value = find_value(function, name);
  if (!value)
    fail_unknown(function, name);
  if (!is_float(function.type(*value).dtype))
    throw UserError("",
                    fmt::format("`{}` is {}; only floating point values have gradients", name,
                                to_string(function.type(*value))),
                    Fault::command_line);
  return *value;
}

// `function` with the gradients of `of` by `wanted` as its last results. Making it ready renumbers
// values, so `of` and `wanted` pass as results that are taken away afterwards.
Function differentiated(Module& module, const Function& function, ValueId of,
                        std::vector<Wanted> wanted) {
  Function marked = function;
  marked.results.push_back({of, "", ""});
  for (const Wanted& each : wanted)
    marked.results.push_back({each.value, "", ""});
  Function ready = ready_for_reverse(module, marked);
  size_t first = function.results.size();
  of = ready.results[first].value;
  for (size_t i = 0; i < wanted.size(); ++i)
    wanted[i].value = ready.results[first + 1 + i].value;
  ready.results.resize(first);
  append_gradients(module, ready, of, wanted);
  return ready;
}

// Does to train_step what the pipeline does in front of autodiff, as far as the bits of gradients
// depend on it. `value` and `wanted` pass as results, so they stay where they are.
void move_rows(Module& module, Function& step, ValueId& value, std::vector<Wanted>& wanted) {
  size_t first = step.results.size();
  step.results.push_back({value, "", ""});
  for (const Wanted& each : wanted)
    step.results.push_back({each.value, "", ""});
  *module.find_function(kTrainStep) = step;
  module = sink(module, Options{});
  step = module.function(kTrainStep);
  value = step.results[first].value;
  for (size_t i = 0; i < wanted.size(); ++i)
    wanted[i].value = step.results[first + 1 + i].value;
  step.results.resize(first);
}

// What of the loss `name` is the gradient by, as autodiff names its results: grad/dense_1.w or
// grad_image.
std::optional<std::string> gradient_by(const std::string& name) {
  for (std::string_view prefix : {kGradientPrefix, kInputGradientPrefix})
    if (name.starts_with(prefix))
      return name.substr(prefix.size());
  return std::nullopt;
}

// As autodiff names it: by what the value is, not by how it was asked for.
std::string gradient_result(const Function& function, ValueId value, const std::string& name) {
  for (const Parameter& parameter : function.parameters)
    if (parameter.value == value && !parameter.state.empty())
      return std::string(kGradientPrefix) + parameter.state;
  return std::string(kInputGradientPrefix) + name;
}

}  // namespace

bool is_trainable(const StateTensor& state, const Options& options) {
  if (state.role != Role::parameter || !is_float(state.type.dtype) || state.attrs.flag(kFrozen))
    return false;
  return std::none_of(options.frozen.begin(), options.frozen.end(),
                      [&](const std::string& pattern) {
                        return fnmatch(pattern.c_str(), state.name.c_str(), 0) == 0;
                      });
}

Module autodiff(const Module& module, const Options& options) {
  Module result = module;
  if (!options.train) {
    std::erase_if(result.functions, [](const Function& f) { return f.name == kTrainStep; });
    return result;
  }
  check_frozen_patterns(module, options);
  if (!module.find_function(kTrainStep))
    throw UserError("", fmt::format("`{}` has no entry @{}", module.name, kTrainStep));
  Function step = ready_for_reverse(module, module.function(kTrainStep), options.expand_all);
  std::vector<Wanted> wanted = wanted_gradients(module, step, options);
  append_gradients(result, step, loss_of(step), wanted, watched_gradients(step, wanted),
                   options.loss_scale);
  *result.find_function(kTrainStep) = std::move(step);
  return result;
}

Module gradient(const Module& module, std::string_view entry, std::string_view of,
                std::span<const std::string> wrt) {
  Module result = module;
  const Function& function = module.function(entry);
  std::string prefix(kGradientPrefix);
  if (of != kLoss)
    prefix += std::string(of) + "/";
  std::vector<Wanted> wanted;
  for (const std::string& name : wrt)
    wanted.push_back({float_value(function, name), prefix + name});
  ValueId value = float_value(function, std::string(of));
  *result.find_function(entry) = differentiated(result, function, value, wanted);
  return result;
}

Module gradients_by_name(const Module& module, const std::string& of,
                         std::span<const std::string> wrt, const Options& options) {
  Module result = module;
  Function step = module.function(kTrainStep);
  size_t results = step.results.size();
  std::vector<Wanted> wanted;
  for (const std::string& name : std::set<std::string>(wrt.begin(), wrt.end())) {
    ValueId value = float_value(step, name);
    wanted.push_back({value, gradient_result(step, value, name)});
  }
  if (wanted.empty())
    wanted = wanted_gradients(module, step, options);

  std::optional<std::string> first = gradient_by(of);
  if (find_value(step, of))
    first.reset();
  ValueId value = float_value(step, first ? *first : of);
  move_rows(result, step, value, wanted);
  if (first) {
    // The gradient of the loss comes first; what is wanted passes through as results.
    for (const Wanted& each : wanted)
      step.results.push_back({each.value, "", ""});
    step = differentiated(result, step, loss_of(step), {{value, of}});
    value = step.results.back().value;
    for (size_t i = 0; i < wanted.size(); ++i)
      wanted[i].value = step.results[results + i].value;
    step.results.resize(results);
  }
  *result.find_function(kTrainStep) = differentiated(result, step, value, wanted);
  return result;
}

}  // namespace gradc
