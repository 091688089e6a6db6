#include "compiler/passes/autodiff.h"

#include <fnmatch.h>

#include <algorithm>

#include "compiler/entries.h"
#include "compiler/passes/reverse.h"
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

bool is_trainable(const StateTensor& state, const Options& options) {
  if (state.role != Role::parameter || !is_float(state.type.dtype) || state.attrs.flag(kFrozen))
    return false;
  return std::none_of(options.frozen.begin(), options.frozen.end(),
                      [&](const std::string& pattern) {
                        return fnmatch(pattern.c_str(), state.name.c_str(), 0) == 0;
                      });
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

// Adds d(sum of `of`)/d(value) as a result for each wanted value of a function that is
// ready_for_reverse. The module gets the bodies of backward loops.
void append_gradients(Module& module, Function& function, ValueId of,
                      std::span<const Wanted> wanted) {
  std::vector<ValueId> inputs;
  for (const Wanted& each : wanted)
    inputs.push_back(each.value);
  Reverse reverse(function, inputs, prepare_scans(module, function, inputs));
  Builder builder(function);
  builder.phase = Phase::backward;
  ValueId one = builder.constant(function.type(of), 1.0);
  builder.set_name(one, "d." + function[of].name);
  reverse.add(of, one);
  reverse.run();
  for (const Wanted& each : wanted)
    builder.result(reverse.gradient(each.value), each.result);
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

// The value that `name` means in `function`; fails with the nearest name.
ValueId value_named(const Function& function, const std::string& name) {
  if (const Result* result = function.find_result(name))
    return result->value;
  std::vector<std::string> names = unique_names(function);
  for (const Parameter& parameter : function.parameters)
    if (parameter.state == name)
      return parameter.value;
  auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end())
    return ValueId{static_cast<uint32_t>(found - names.begin())};
  std::string nearest = nearest_name(name, names);
  fail("@{} has no value named `{}`{}", function.name, name,
       nearest.empty() ? "" : "; did you mean `" + nearest + "`?");
}

}  // namespace

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
  append_gradients(result, step, loss_of(step), wanted_gradients(module, step, options));
  *result.find_function(kTrainStep) = std::move(step);
  return result;
}

Module gradient(const Module& module, std::string_view entry, std::string_view of,
                std::span<const std::string> wrt) {
  Module result = module;
  Function function = ready_for_reverse(module, module.function(entry));
  std::string prefix(kGradientPrefix);
  if (of != kLoss)
    prefix += std::string(of) + "/";
  std::vector<Wanted> wanted;
  for (const std::string& name : wrt) {
    ValueId value = value_named(function, name);
    if (!is_float(function.type(value).dtype))
      fail("`{}` is {}; only floating point values have gradients", name,
           to_string(function.type(value)));
    wanted.push_back({value, prefix + name});
  }
  append_gradients(result, function, value_named(function, std::string(of)), wanted);
  *result.find_function(entry) = std::move(function);
  return result;
}

}  // namespace gradc
