#pragma once
// The report as one HTML file, which needs nothing else: styles, scripts and data are inside.
#include <nlohmann/json.hpp>
#include <string>

namespace gradc {

// Whatever names and texts `data` holds, they come out as text and never as markup.
std::string report_page(const nlohmann::ordered_json& data);

}  // namespace gradc
