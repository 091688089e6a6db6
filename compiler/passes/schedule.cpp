#include "compiler/passes/schedule.h"

#include <algorithm>

#include "compiler/kernel.h"
#include "compiler/lower/contract_choices.h"
#include "compiler/lower/lower.h"
#include "compiler/plan/scratch_limits.h"
#include "ir/diagnostic.h"

namespace gradc {
namespace {

// What the schedule is for; kept in Module::attrs.
Attrs machine(const Options& options) {
  return {{"cpu", options.target.cpu},
          {"threads", int64_t{options.threads}},
          {"vector_bytes", int64_t{options.target.vector_bytes}}};
}

// From the fastest on. A product of 512 columns on one thread (AVX-512) slows down by 3 % with
// passes of 256 or 128, by 6 % with passes of 64; by 3 to 4 % where vectors run along the result's
// rows though down its columns is better; by 5 to 8 % with 128 rows, for which b is brought into
// order four times.
constexpr ContractLimits kContractLimits[] = {
    {},
    {.stage_once = false},
    {.stage_once = false, .panels = false},
    {.pass_elements = 256, .stage_once = false, .panels = false},
    {.pass_elements = 128, .stage_once = false, .panels = false},
    {.pass_elements = 128, .rows = 512, .stage_once = false, .panels = false},
    {.pass_elements = 64, .rows = 512, .stage_once = false, .panels = false},
    {.pass_elements = 64, .rows = 256, .stage_once = false, .panels = false},
    {.pass_elements = 128, .rows = 256, .result_rows = true, .stage_once = false, .panels = false},
    {.pass_elements = 64, .rows = 128, .result_rows = true, .stage_once = false, .panels = false},
};

void set_bytes(Function& kernel, const loop::Kernel& loops) {
  kernel.attrs.set("workspace", loop::space_bytes(loops, loop::Space::workspace));
  kernel.attrs.set("scratch", loop::space_bytes(loops, loop::Space::scratch));
}

Function scheduled_contraction(const Function& kernel, const Options& options,
                               const ContractLimits& limits) {
  Function scheduled = kernel;
  set_attributes(scheduled,
                 choose_contract_schedule(kernel, options.target, options.threads, limits));
  set_bytes(scheduled, lower(scheduled, options.target, options.threads));
  return scheduled;
}

const ContractChoice* measured_choice(const Function& kernel, const Options& options) {
  if (!options.schedule_all.empty())
    return find_contract_choice(options.schedule_all);
  if (options.tuned.empty())
    return nullptr;
  auto found = options.tuned.find(tuning_key(kernel, options.threads));
  return found == options.tuned.end() ? nullptr : find_contract_choice(found->second);
}

// The fastest whose scratch is within `limit`, else the one with the least.
Function schedule_contraction(const Function& kernel, const Options& options, int64_t limit) {
  std::optional<Function> best;
  if (const ContractChoice* choice = measured_choice(kernel, options)) {
    Function tried = scheduled_contraction(kernel, options, choice->limits);
    if (scratch_bytes(tried, options.threads) <= limit)
      return tried;
  }
  for (const ContractLimits& limits : kContractLimits) {
    Function tried = scheduled_contraction(kernel, options, limits);
    if (!best || scratch_bytes(tried, options.threads) < scratch_bytes(*best, options.threads))
      best = std::move(tried);
    if (scratch_bytes(*best, options.threads) <= limit)
      break;
  }
  return *best;
}

// Whether a kernel's attributes are those of a schedule that this file makes. Which one of a
// contraction's depends on the whole module and on the budget.
bool is_scheduled(const Function& kernel, const Options& options) {
  if (kernel_class(kernel) == "contract") {
    auto is_made_by = [&](const ContractLimits& limits) {
      return scheduled_contraction(kernel, options, limits).attrs == kernel.attrs;
    };
    return std::ranges::any_of(kContractLimits, is_made_by) ||
           std::ranges::any_of(contract_choices(), is_made_by, &ContractChoice::limits);
  }
  Function anew = kernel;
  set_bytes(anew, lower(anew, options.target, options.threads));
  return anew.attrs == kernel.attrs;
}

Module scheduled_within(const Module& module, const Options& options, const ScratchLimits& limits) {
  Module scheduled = module;
  for (Function& function : scheduled.functions) {
    if (function.kind != FunctionKind::kernel)
      continue;
    if (kernel_class(function) != "contract") {
      set_bytes(function, lower(function, options.target, options.threads));
      continue;
    }
    const Attr* recipe = function.attrs.find("recipe_of");
    auto limit = limits.find(recipe ? std::get<std::string>(*recipe) : function.name);
    function =
        schedule_contraction(function, options, limit == limits.end() ? INT64_MAX : limit->second);
  }
  for (const auto& [key, value] : machine(options))
    scheduled.attrs.set(key, value);
  return scheduled;
}

}  // namespace

Module schedule(const Module& module, const Options& options) {
  ScratchRoom room = scratch_room(module, options);
  if (room.fits) {
    Module scheduled = scheduled_within(module, options, room.beside_live);
    if (options.has_no_budget() || fits_as_it_is(scheduled, options))
      return scheduled;
  }
  return scheduled_within(module, options, room.beside_own);
}

void check_schedule(const Module& module, const Options& options) {
  Attrs given, wanted = machine(options);
  for (const auto& [key, value] : wanted)
    if (const Attr* attr = module.attrs.find(key))
      given.set(key, *attr);
  if (!given.empty() && given != wanted)
    throw UserError("",
                    fmt::format("module @{} is scheduled for {}, not for {}", module.name,
                                to_string(given), to_string(wanted)),
                    Fault::command_line)
        .with_help("pass the same --cpu and --threads, or begin with a stage before `schedule`");
}

void check_scheduled_kernels(const Module& module, const Options& options) {
  for (const Function& kernel : module.functions)
    if (kernel.kind == FunctionKind::kernel && !is_scheduled(kernel, options))
      throw UserError(
          "", fmt::format("kernel @{} is scheduled as {}, which no schedule for {} is", kernel.name,
                          to_string(kernel.attrs), to_string(machine(options))))
          .with_help("begin with a stage before `schedule`");
}

}  // namespace gradc
