#pragma once
// The pages of the manual, for man(1).
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace gradc {

struct ManualPage {
  std::string file;  // gradc.1, gradc-train.1, ...
  std::string text;
};

std::vector<ManualPage> manual_pages(const CLI::App& app, const std::string& version);

}  // namespace gradc
