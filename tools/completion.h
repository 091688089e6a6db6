#pragma once
// Completion of gradc's command line in shells.
#include <CLI/CLI.hpp>
#include <string>

namespace gradc {

std::string bash_completion(const CLI::App& app);
std::string zsh_completion(const CLI::App& app);
std::string fish_completion(const CLI::App& app);

}  // namespace gradc
