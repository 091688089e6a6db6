#pragma once
// The subcommands of gradc, one file each. add_X gives `app` the subcommand X, which runs as its
// callback and throws what goes wrong; main() turns that into a message and an exit code.
#include <CLI/CLI.hpp>

namespace gradc {

void add_bench(CLI::App& app);
void add_cache(CLI::App& app);
void add_check(CLI::App& app);
void add_compile(CLI::App& app);
void add_completion(CLI::App& app);
void add_dump(CLI::App& app);
void add_grad(CLI::App& app);
void add_info(CLI::App& app);
void add_man(CLI::App& app);
void add_ops(CLI::App& app);
void add_opt(CLI::App& app);
void add_pack(CLI::App& app);
void add_plan(CLI::App& app);
void add_report(CLI::App& app);
void add_run(CLI::App& app);
void add_train(CLI::App& app);
void add_verify(CLI::App& app);

}  // namespace gradc
