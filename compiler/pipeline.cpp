#include "compiler/pipeline.h"

#include <algorithm>
#include <chrono>
#include <sstream>

#include "compiler/check.h"
#include "compiler/kernel_check.h"
#include "compiler/passes/accumulate.h"
#include "compiler/passes/autodiff.h"
#include "compiler/passes/bands.h"
#include "compiler/passes/expand.h"
#include "compiler/passes/far_taps.h"
#include "compiler/passes/fuse.h"
#include "compiler/passes/health.h"
#include "compiler/passes/layout.h"
#include "compiler/passes/narrow_reads.h"
#include "compiler/passes/optimizer.h"
#include "compiler/passes/pack.h"
#include "compiler/passes/precision.h"
#include "compiler/passes/prepack.h"
#include "compiler/passes/raise.h"
#include "compiler/passes/recipes.h"
#include "compiler/passes/schedule.h"
#include "compiler/passes/simplify.h"
#include "compiler/passes/simplify_rules.h"
#include "compiler/passes/sink.h"
#include "compiler/passes/subpixel.h"
#include "compiler/passes/unroll.h"
#include "compiler/passes/update_rules.h"
#include "compiler/passes/watch.h"
#include "compiler/passes/winograd.h"
#include "compiler/plan/plan.h"
#include "compiler/plan/views.h"
#include "ir/diagnostic.h"
#include "ir/op_def.h"
#include "ir/verify.h"

namespace gradc {
namespace {

// Key in Module::attrs: the names of the passes that ran.
constexpr std::string_view kPassesRun = "passes";

// After import, and before lowering and code generation, which do not make a Module.
constexpr Pass kPasses[] = {
    {"simplify", simplify, "what the importer wrote carelessly costs nothing later"},
    {"raise", raise, "composites that an exporter took apart are one op again", true},
    {"sink", sink, "what makes a loop's rows moves into it: one row a trip, not all at once"},
    {"unroll", unroll, "loops become straight-line code, which every later pass knows"},
    {"precision", precision, "products and what lies between them take half of the bytes", false,
     &Options::narrows},
    {"watch", watch, "names the values of each layer that `health` is to measure", false,
     &Options::measures_health},
    {"autodiff", autodiff, "appends the backward pass: gradients are ops like all others"},
    {"narrow_reads", narrow_reads, "what the forward pass rounded is not held in f32 as well",
     false, &Options::narrows},
    {"accumulate", accumulate, "the step works through several batches, one after the other", false,
     &Options::accumulates},
    {"optimizer", optimizer, "the update of the parameters is part of the compiled step"},
    {"expand", expand, "composites become primitives, which is all that fuse knows"},
    {"layout", layout, "convolutions and what is between them become channels last"},
    {"far_taps", far_taps, "of few images, no dilated convolution multiplies its padding"},
    {"subpixel", subpixel, "no data gradient multiplies the zeros that a stride leaves"},
    {"winograd", winograd, "convolutions of 3x3 taps take fewer products, of transformed tiles",
     false, &Options::has_winograd},
    {"simplify", simplify, "removes gradients that nobody asked for and what expand repeats"},
    {"bands", bands, "of inference, a convolution and its pooling take turns, so that less waits"},
    {"health", health, "measures the layers, each value as soon as it is there", false,
     &Options::measures_health},
    {"pack", pack, "a weight that many products read is brought into their order once", false,
     &Options::has_no_budget},
    {"fuse", fuse, "groups ops into kernels: from here on entries only call kernels"},
    {"recipes", recipes, "kernels that make a value in another way than the one that made it first",
     false, &Options::makes_again},
    {"prepack", prepack, "of inference, what depends on weights alone is made before all calls",
     false, &Options::keeps_packed},
    {"schedule", schedule, "tiles and scratch bytes become part of each kernel, for the target"},
    {"plan", plan, "gives every byte its place, and recomputes what a budget has no room for"},
};

constexpr PassOrder kOrder[] = {
    {"simplify", "autodiff", "an op that is gone needs no gradient"},
    {"simplify", "raise", "a formula is written in one form"},
    {"raise", "autodiff", "the gradient of the whole is cheaper than that of its parts"},
    {"raise", "unroll", "a loop's body is read once, not once per trip"},
    {"simplify", "sink", "what the importer wrote carelessly hides what makes a row"},
    {"sink", "unroll", "behind it there is no loop to move into"},
    {"sink", "autodiff", "a weight that is the same in every trip has its gradient summed by trip"},
    {"unroll", "autodiff", "one copy per trip has its own gradient, and none of the loop's"},
    {"unroll", "precision", "what a loop carries has one type in all trips"},
    {"raise", "precision", "a norm or a softmax as a whole is computed in f32, not its parts"},
    {"precision", "watch", "what is measured is what the step computes"},
    {"precision", "autodiff", "gradients take the type of what they are by"},
    {"autodiff", "narrow_reads", "what the backward pass reads is known then"},
    {"narrow_reads", "accumulate", "in a step of several batches the passes take turns"},
    {"narrow_reads", "expand", "the gradient of a composite reads its result, not its parts"},
    {"unroll", "watch", "what is read in each trip has no one place"},
    {"watch", "autodiff", "the gradients of what is watched are measured too"},
    {"autodiff", "accumulate", "gradients are summed, so that no micro-batch waits for another"},
    {"accumulate", "optimizer", "the optimizer takes the mean gradient for the gradient"},
    {"optimizer", "health", "what a step takes from a parameter is measured too"},
    {"simplify", "health",
     "a slope that is equal to one of the backward pass would be held for it"},
    {"health", "fuse", "what measures is fused like everything else"},
    {"autodiff", "optimizer", "updates read the results grad/<parameter>"},
    {"autodiff", "expand", "a composite's own gradient rule saves memory or digits"},
    {"autodiff", "simplify", "rules compute gradients that nobody asked for"},
    {"expand", "simplify", "expansions repeat each other's work"},
    {"expand", "layout", "a norm or a pool is moved as the primitives that it is made of"},
    {"layout", "simplify", "transposes of broadcasts and constants are none"},
    {"layout", "winograd", "the tiles are of channels-last images"},
    {"autodiff", "far_taps", "a weight's gradient is one kernel, not one for each part"},
    {"layout", "far_taps", "parts have the order of axes of the whole"},
    {"far_taps", "simplify", "taps that are all of a weight are no slice"},
    {"autodiff", "subpixel", "it is the backward pass that has them"},
    {"layout", "subpixel", "a convolution that it makes has the order of axes of the whole one"},
    {"subpixel", "simplify", "taps that are all of a weight are no slice"},
    {"layout", "bands", "rows of images are bands of memory where channels are last"},
    {"winograd", "bands", "whether tiles pay is a question of the whole image"},
    {"bands", "fuse", "a band of a convolution is a kernel of its own"},
    {"winograd", "fuse", "what an op computes is settled before its kernel is made"},
    {"simplify", "pack", "products read through a transpose what it would bring into order"},
    {"pack", "fuse", "a weight in order is a value of its own, not part of each product"},
    {"expand", "fuse", "fuse knows primitives only"},
    {"simplify", "fuse", "equal ops would be computed in kernels of their own"},
    {"fuse", "schedule", "a schedule is a kernel's"},
    {"fuse", "recipes", "what is made again is what passes between kernels"},
    {"recipes", "schedule", "what makes a value again has a schedule of its own"},
    {"fuse", "prepack", "a weight has the order in which its kernel's tiles read it"},
    {"prepack", "schedule", "what is in order needs no scratch"},
    {"schedule", "plan", "scratch takes memory too"},
    {"fuse", "plan", "only what passes between kernels takes memory"},
};

// `before` has a row above the last row of `after`.
constexpr bool in_order(const PassOrder& order) {
  size_t first = std::size(kPasses), last = 0;
  for (size_t row = 0; row < std::size(kPasses); ++row) {
    if (kPasses[row].name == order.before)
      first = std::min(first, row);
    if (kPasses[row].name == order.after)
      last = row;
  }
  return first < last;
}
static_assert(std::all_of(std::begin(kOrder), std::end(kOrder), in_order),
              "kPasses breaks a row of kOrder");

// The row that follows what was done to the module already. A pass that was left out stays left
// out.
size_t next_row(const Module& module) {
  std::vector<std::string> done = passes_run(module);
  size_t row = 0;
  for (const std::string& name : done) {
    while (row < std::size(kPasses) && kPasses[row].name != name)
      ++row;
    if (row == std::size(kPasses))
      fail("module @{} has been through {}, which is not in the pipeline's order", module.name,
           fmt::join(done, ", "));
    ++row;
  }
  return row;
}

bool has_run(const Module& module, std::string_view pass) {
  std::vector<std::string> done = passes_run(module);
  return std::find(done.begin(), done.end(), pass) != done.end();
}

// Entries hold calls of kernels and views from `fuse` on, and none of these before it.
void check_entries(const Module& module, bool fused) {
  for (const Function& function : module.functions)
    for (const Op& op : function.ops) {
      bool calls_kernel =
          !op.callee.empty() && module.function(op.callee).kind == FunctionKind::kernel;
      if (!fused && calls_kernel)
        fail("@{} calls kernel @{}, but the module has not been through `fuse`", function.name,
             op.callee);
      if (fused && function.kind == FunctionKind::entry && !calls_kernel && !is_view(op))
        fail("@{} holds `{}` outside of a kernel, but the module has been through `{}`",
             function.name, def(op).name, passes_run(module).back());
    }
}

// What a dump of a late stage has settled already must hold for these options too.
void check_stage(const Module& module, const Options& options) {
  bool scheduled = has_run(module, "schedule"), planned = has_run(module, "plan");
  check_entries(module, scheduled || planned || has_run(module, "fuse"));
  check_schedule(module, options);
  if (scheduled || planned)
    check_scheduled_kernels(module, options);
  if (planned)
    check_planned(module, options);
}

size_t last_row(const PipelineObserver& observer) {
  if (observer.stop_after.empty())
    return std::size(kPasses);
  std::string_view name = pass_named(observer.stop_after).name;
  size_t row = std::size(kPasses) - 1;
  while (kPasses[row].name != name)
    --row;
  return row;
}

// How far a pass may move results, relative to the largest.
double tolerance_of(const Pass& pass, const Module& module) {
  if (!pass.reads_numbers)
    return kSumTolerance;
  double tolerance = 1e-6;
  for (const Function& function : module.functions)
    for (const Value& value : function.values)
      if (is_float(value.type.dtype) && byte_size(value.type.dtype) < 4)
        tolerance = 4e-3;
  return tolerance;
}

Module run_row(size_t row, const Module& module, const Options& options,
               const PipelineObserver& observer) {
  const Pass& pass = kPasses[row];
  auto start = std::chrono::steady_clock::now();
  Module after = run_pass(pass, module, options);
  std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  if (observer.check)
    if (auto difference = first_difference(module, after, tolerance_of(pass, module)))
      throw InternalError(fmt::format("pass `{}` changed the answer: {}", pass.name, *difference));
  if (observer.after_pass)
    observer.after_pass({pass, row, module, after, elapsed.count()});
  return after;
}

}  // namespace

std::span<const Pass> passes() {
  return kPasses;
}

std::span<const PassOrder> pass_order() {
  return kOrder;
}

bool has_work(const Pass& pass, const Options& options) {
  return !pass.when || (options.*pass.when)();
}

const Pass& pass_named(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Pass& pass : kPasses) {
    if (pass.name == name)
      return pass;
    names.push_back(pass.name);
  }
  std::string nearest = nearest_name(name, names);
  throw UserError("",
                  fmt::format("there is no pass `{}`{}", name,
                              nearest.empty() ? "" : "; did you mean `" + nearest + "`?"),
                  Fault::command_line)
      .with_help(fmt::format("the passes are {}", fmt::join(names, ", ")));
}

std::vector<std::string> passes_run(const Module& module) {
  std::vector<std::string> names;
  if (const Attr* attr = module.attrs.find(kPassesRun)) {
    if (!std::holds_alternative<std::string>(*attr))
      fail("the attribute `{}` of module @{} is no list of names", kPassesRun, module.name);
    std::istringstream text(std::get<std::string>(*attr));
    for (std::string name; text >> name;)
      names.push_back(name);
  }
  return names;
}

Module run_pass(const Pass& pass, const Module& module, const Options& options) {
  if (pass.run != schedule)
    check_schedule(module, options);
  if (pass.run == fuse)
    for (const Function& function : module.functions)
      check_not_empty(function);
  Module after = pass.run(module, options);
  std::vector<std::string> names = passes_run(module);
  names.emplace_back(pass.name);
  Attrs attrs = module.attrs;
  for (const auto& [key, value] : after.attrs)
    attrs.set(key, value);
  attrs.set(kPassesRun, fmt::format("{}", fmt::join(names, " ")));
  after.attrs = std::move(attrs);
  try {
    verify(after);
  } catch (const UserError& error) {
    throw InternalError(fmt::format("after pass `{}`: {}", pass.name, error.message()));
  }
  return after;
}

Module run_pipeline(Module module, const Options& options, const PipelineObserver& observer) {
  for (const std::string& name : observer.skip)
    pass_named(name);
  check_stage(module, options);
  size_t last = last_row(observer);
  for (size_t row = next_row(module); row < std::size(kPasses) && row <= last; ++row) {
    const std::vector<std::string>& skip = observer.skip;
    if (has_work(kPasses[row], options) &&
        std::find(skip.begin(), skip.end(), kPasses[row].name) == skip.end())
      module = run_row(row, module, options, observer);
  }
  return module;
}

Module run_passes(Module module, std::span<const std::string> names, const Options& options,
                  const PipelineObserver& observer) {
  for (const std::string& name : names)
    pass_named(name);
  for (const std::string& name : names) {
    auto row = static_cast<size_t>(&pass_named(name) - kPasses);
    module = run_row(row, module, options, observer);
  }
  return module;
}

std::string passes_markdown() {
  std::string text =
      "# Passes\n\n"
      "<!-- Written by the test of compiler/pipeline.cpp from the tables of the code. -->\n\n"
      "A pass reads a module and writes another. The rows, from an imported model to what is\n"
      "lowered to machine code:\n\n";
  for (const Pass& pass : kPasses)
    text += fmt::format("1. `{}`: {}\n", pass.name, pass.reason);
  text += "\n## Why in this order\n\n";
  for (const PassOrder& order : kOrder)
    text += fmt::format("- `{}` before `{}`: {}\n", order.before, order.after, order.why);
  text +=
      "\n## Rules of simplify\n\nA rule may change the sign of a zero and nothing else. Beside the "
      "rules, equal ops are\ncomputed once and what nobody reads is removed.\n\n";
  for (const SimplifyRule& rule : all_simplify_rules())
    text += fmt::format("- `{}`\n", rule.identity);
  text +=
      "\n## Rules of raise\n\nIn a model of 16-bit floats the numbers may have as few digits as "
      "these have.\n\n";
  for (const SimplifyRule& rule : all_raise_rules())
    if (rule.identity != kSameAsAbove)
      text += fmt::format("- `{}`\n", rule.identity);
  text += "\n## Optimizers\n\n";
  for (const UpdateRule& rule : update_rules())
    text += fmt::format("- `{}`: {}\n", rule.name, rule.doc);
  return text;
}

}  // namespace gradc
