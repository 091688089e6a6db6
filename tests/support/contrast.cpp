#include "contrast.h"

#include <algorithm>
#include <cmath>

namespace gradc_test {
namespace {

double luminance(const std::string& color) {
  bool is_short = color.size() == 4;
  const double weights[] = {0.2126, 0.7152, 0.0722};
  double sum = 0;
  for (size_t i = 0; i < 3; ++i) {
    std::string digits = is_short ? std::string(2, color[1 + i]) : color.substr(1 + 2 * i, 2);
    double level = std::stoi(digits, nullptr, 16) / 255.0;
    sum += weights[i] * (level <= 0.03928 ? level / 12.92 : std::pow((level + 0.055) / 1.055, 2.4));
  }
  return sum;
}

}  // namespace

double contrast(const std::string& a, const std::string& b) {
  double x = luminance(a), y = luminance(b);
  return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

}  // namespace gradc_test
