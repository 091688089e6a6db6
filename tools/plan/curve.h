#pragma once
// What budgets cost, as a picture.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gradc {

struct CurvePoint {
  int64_t budget = 0;  // bytes
  std::optional<double> overhead;  // a share of the time without a budget; nullopt: impossible
  double bound = 0;  // no plan has less
  std::optional<double> measured;  // overhead of the measured step
};

// An SVG document: overhead in percent over the budget in MiB, or KiB. Readable on light and dark
// pages; lines differ by dashes as well as colours.
std::string curve_svg(const std::string& title, const std::vector<CurvePoint>& points);

}  // namespace gradc
