#pragma once
// The pass table and the loop that runs it. START HERE to see what happens to a model between
// import and code generation.
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

struct Pass {
  std::string_view name;  // also the header's stem, the dump's name and what the command line takes
  Module (*run)(const Module& module, const Options& options);
  std::string_view reason;
  // Whether it takes numbers of the model, which have the digits of its element types, for those
  // that they stand for: 0.70710677 for 1 / sqrt(2).
  bool reads_numbers = false;
  // Whether it runs with these options; null: always.
  bool (Options::*when)() const = nullptr;
};

bool has_work(const Pass& pass, const Options& options);

// The rows in order. A pass may stand in more than one row.
std::span<const Pass> passes();

// Why a pass comes before another. The table is held to these when it is compiled.
struct PassOrder {
  std::string_view before, after, why;
};
std::span<const PassOrder> pass_order();

// The pass of that name; an unknown one is an error with the nearest name.
const Pass& pass_named(std::string_view name);

// A row that has run.
struct PassRun {
  const Pass& pass;
  size_t row = 0;  // in passes()
  const Module& before;
  const Module& after;
  double seconds = 0;
};

// What to watch while the pipeline runs. The default watches nothing.
struct PipelineObserver {
  std::function<void(const PassRun&)> after_pass;  // dumps, timings
  // Evaluates the entries before and after each pass on random inputs; the first pass that changes
  // an answer is an InternalError.
  bool check = false;
  std::vector<std::string> skip;  // names of passes to leave out
  std::string stop_after;  // name of the last pass to run, in its last row; "" for all
};

// The names of the passes that made this module, in order; kept in Module::attrs and in dumps.
std::vector<std::string> passes_run(const Module& module);

// Runs one pass, notes it in the module, and verifies the result: a pass that breaks the module is
// an InternalError that names it.
Module run_pass(const Pass& pass, const Module& module, const Options& options);

// Runs the rows that the module has not been through yet, so that the dump of any stage can go on.
Module run_pipeline(Module module, const Options& options, const PipelineObserver& observer = {});

// Runs these passes in this order, whatever the module has been through; `skip` and `stop_after` of
// the observer are not asked.
Module run_passes(Module module, std::span<const std::string> names, const Options& options,
                  const PipelineObserver& observer = {});

// docs/passes.md: the table, the order's reasons, the rules of simplify, the optimizers' formulas.
std::string passes_markdown();

}  // namespace gradc
