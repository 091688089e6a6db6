#include "compiler/codegen/gelu_table.h"

#include <cmath>
#include <numbers>
#include <vector>

#include "ir/gelu.h"

namespace gradc::codegen {
namespace {

// F(-a) and F'(a).
struct Factor {
  double below, derivative;
};

Factor by_erf(double a) {
  return {0.5 * std::erfc(a / std::numbers::sqrt2), kGeluDensity * std::exp(-0.5 * a * a)};
}

Factor by_tanh(double a) {
  double below = 1 / (1 + std::exp(a * (kGeluLinear + kGeluCubic * a * a)));
  return {below, below * (1 - below) * (kGeluLinear + 3 * kGeluCubic * a * a)};
}

// Newton's divided differences, then multiplied out; lowest power first.
template <typename F>
std::vector<double> interpolated(F f, double radius, int degree) {
  std::vector<double> x, difference;
  for (int i = 0; i <= degree; ++i) {
    x.push_back(radius * std::cos(std::numbers::pi * (i + 0.5) / (degree + 1)));
    difference.push_back(f(x.back()));
  }
  auto n = x.size();
  for (size_t order = 1; order < n; ++order)
    for (size_t i = n - 1; i >= order; --i)
      difference[i] = (difference[i] - difference[i - 1]) / (x[i] - x[i - order]);
  std::vector<double> sum(n);
  for (size_t i = n; i-- > 0;) {  // sum = sum * (d - x[i]) + difference[i]
    for (size_t power = n - 1; power > 0; --power)
      sum[power] = sum[power - 1] - x[i] * sum[power];
    sum[0] = difference[i] - x[i] * sum[0];
  }
  return sum;
}

template <size_t size, typename F>
void fill(float (&table)[size][GeluTable::kPieces], F f) {
  for (int k = 0; k + 1 < GeluTable::kPieces; ++k) {
    double centre = k * GeluTable::kPiece;
    std::vector<double> polynomial =
        interpolated([&](double d) { return f(centre + d); }, GeluTable::kPiece / 2, size - 1);
    for (size_t i = 0; i < size; ++i)
      table[i][k] = static_cast<float>(polynomial[i]);
  }
}

GeluTable table_of(Factor (*factor)(double)) {
  GeluTable table = {};
  fill(table.factor, [&](double a) { return factor(a).below; });
  fill(table.slope, [&](double a) { return factor(a).below - a * factor(a).derivative; });
  return table;
}

}  // namespace

const GeluTable& gelu_table(bool tanh_form) {
  static const GeluTable exact = table_of(by_erf), approximate = table_of(by_tanh);
  return tanh_form ? approximate : exact;
}

}  // namespace gradc::codegen
