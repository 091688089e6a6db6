#include "tools/compiled.h"

#include <fmt/ranges.h>

#include "compiler/codegen/code_cache.h"
#include "ir/diagnostic.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "ir/verify.h"

namespace gradc {
namespace {

std::string text_of(const OptimizerOptions& options) {
  // All members: one more must be named here before this compiles.
  const auto& [kind, momentum, nesterov, beta1, beta2, epsilon, alpha, centered, weight_decay,
               clip_value, clip_norm, schedule, warmup_steps] = options;
  return fmt::format("{} {} {} {} {} {} {} {} {} {} {} {} {}", static_cast<int>(kind), momentum,
                     nesterov, beta1, beta2, epsilon, alpha, centered, weight_decay, clip_value,
                     clip_norm, static_cast<int>(schedule), warmup_steps);
}

std::string text_of(const Target& target) {
  const auto& [cpu, features, vector_bytes, vector_registers, matrix_bf16, l1_bytes, l2_bytes,
               l3_line_cycles] = target;
  return fmt::format("{} {} {} {} {} {} {} {}", cpu, features, vector_bytes, vector_registers,
                     matrix_bf16, l1_bytes, l2_bytes, l3_line_cycles);
}

// All that passes read. What only an importer reads is in the module that it made.
std::string text_of(const Options& options) {
  const auto& [binds, shapes, bind_lists, bind_tensors, loss, train_mode, parameters, warn, explain,
               precision, winograd, train, update, input_gradients, frozen, optimizer, loss_scale,
               accumulate, health, memory, memory_total, keep, recompute, plan_effort, plan_seconds,
               invert, cpu, target, threads, expand_all, tuned, schedule_all] = options;
  return fmt::format(
      "{} {} {} {} {} {} | {} | {} {} {} | {} {} {} {} {} {} {} | {} | {} {} | {} {}\n",
      static_cast<int>(precision), winograd, train, update, input_gradients, frozen,
      text_of(optimizer), loss_scale, accumulate, health, memory.value_or(-1),
      memory_total.value_or(-1), keep, recompute, plan_effort, plan_seconds.value_or(-1), invert,
      text_of(target), threads, expand_all, tuned, schedule_all);
}

bool is_watched(const Options& options, const PipelineObserver& observer) {
  return options.explain || observer.after_pass || observer.check || !observer.skip.empty();
}

// The text of a module leaves out what its state holds. Passes do not read that.
void take_contents(Module& module, const Module& from) {
  for (StateTensor& state : module.states)
    if (const StateTensor* source = from.find_state(state.name))
      state.content = source->content;
}

}  // namespace

Module compiled(const Module& imported, const Options& options, const std::string& folder,
                const PipelineObserver& observer) {
  std::string key;
  if (!folder.empty() && !is_watched(options, observer))
    key = cache_key("passes " + observer.stop_after + "\n" + text_of(options) + print(imported));
  if (key.empty())
    return compile(imported, options, observer);
  CodeCache cache(folder);
  if (std::optional<std::string> known = cache.find(key)) {
    Module module = parse_module(*known, key);
    verify(module);
    take_contents(module, imported);
    return module;
  }
  Module module = compile(imported, options, observer);
  cache.insert(key, print(module));
  return module;
}

}  // namespace gradc
