// Orders of inference beside the best that a search over all of them finds:
//   gradc dump MODEL --threads 1 --after schedule > MODEL.ir
//   order_bench [--beam STATES] MODEL.ir...
// For each entry `infer`: kernels, the peak and the arena of the planner's order, the least peak of
// any order of these kernels ("exact", or the best of a beam search), its arena, and their ratio.
#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "bench/least_peak.h"
#include "compiler/entries.h"
#include "compiler/plan/core/offsets.h"
#include "compiler/plan/core/order.h"
#include "compiler/plan/entry_problem.h"
#include "compiler/plan/views.h"
#include "ir/diagnostic.h"
#include "ir/parse.h"

using namespace gradc;

namespace {

int64_t arena_of(const Problem& problem, const Schedule& order) {
  return place_buffers(buffers_of(problem, order).buffers).bytes;
}

void compare(const std::string& path, size_t beam) {
  std::ifstream file(path);
  if (!file)
    throw UserError("", fmt::format("cannot read {}", path), Fault::command_line);
  std::stringstream text;
  text << file.rdbuf();
  Module module = parse_module(text.str(), path);
  const Attr *cpu = module.attrs.find("cpu"), *threads = module.attrs.find("threads");
  if (!cpu || !threads)
    throw UserError(path, "the module has not been through `schedule`");
  Options options;
  options.cpu = std::get<std::string>(*cpu);
  options.threads = static_cast<int>(std::get<int64_t>(*threads));
  EntryProblem problem =
      make_problem(module, with_views(module, module.function(kInfer), options), options);
  Schedule ours = order_kernels(problem);
  bench::LeastPeak least = bench::least_peak(problem, beam);
  int64_t arena = arena_of(problem, ours), least_arena = arena_of(problem, least.order);
  fmt::print("| {} | {} | {} | {} | {} ({}, {} states) | {} | {:.4f} |\n", module.name,
             problem.kernel_count(), evaluate(problem, ours).peak, arena, least.peak,
             least.exact ? "exact" : "beam", least.states, least_arena,
             static_cast<double>(arena) / static_cast<double>(least_arena));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  size_t beam = 20000;
  try {
    if (arguments.size() >= 2 && arguments[0] == "--beam") {
      beam = std::stoul(arguments[1]);
      arguments.erase(arguments.begin(), arguments.begin() + 2);
    }
    fmt::print(
        "| model | kernels | peak | arena | least peak | its arena | ratio |\n"
        "|---|---|---|---|---|---|---|\n");
    for (const std::string& path : arguments)
      compare(path, beam);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
