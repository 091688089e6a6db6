#pragma once
// All that the report shows of a compilation, as one JSON object. page.h makes a page of it.
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

struct ReportRequest {
  std::string file;  // the model, as it was given
  std::string source;  // its text, or "" where it is none that ops name as their place
  std::string version;  // of gradc
  std::vector<std::pair<std::string, std::string>> settings;  // shown as they are
  Options options;
};

// Compiles the module and tells what happened. Texts are kept once, in `strings`; members named
// after a text, a line, a name or a place are indices into it.
nlohmann::ordered_json report_data(const Module& imported, const ReportRequest& request);

// Whether ops of the module come from lines of `file`, so that its text helps to read them.
bool has_places_in(const Module& module, const std::string& file);

}  // namespace gradc
