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

// Between `low` and `high` by Newton's divided differences, then multiplied out; lowest power
// first.
template <typename F>
std::vector<double> interpolated(F f, double low, double high, int degree) {
  std::vector<double> x, difference;
  for (int i = 0; i <= degree; ++i) {
    x.push_back((low + high) / 2 +
                (high - low) / 2 * std::cos(std::numbers::pi * (i + 0.5) / (degree + 1)));
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

template <size_t size>
void set_piece(float (&table)[size][GeluTable::kPieces], int k,
               const std::vector<double>& polynomial) {
  for (size_t i = 0; i < size; ++i)
    table[i][k] = static_cast<float>(polynomial[i]);
}

GeluTable table_of(Factor (*factor)(double)) {
  constexpr double kRadius = GeluTable::kPiece / 2;
  auto below = [&](double a) { return factor(a).below; };
  auto part = [&](double a) { return a * factor(a).below; };
  auto slope = [&](double a) { return factor(a).below - a * factor(a).derivative; };
  GeluTable table = {};
  std::vector<double> times_a = interpolated(below, 0, kRadius, 4);
  times_a.insert(times_a.begin(), 0);
  set_piece(table.part, 0, times_a);
  set_piece(table.slope, 0, interpolated(slope, 0, kRadius, 6));
  for (int k = 1; k + 1 < GeluTable::kPieces; ++k) {
    auto around = [&](auto f) { return [=](double d) { return f(k * GeluTable::kPiece + d); }; };
    set_piece(table.part, k, interpolated(around(part), -kRadius, kRadius, 5));
    set_piece(table.slope, k, interpolated(around(slope), -kRadius, kRadius, 6));
  }
  return table;
}

}  // namespace

const GeluTable& gelu_table(bool tanh_form) {
  static const GeluTable exact = table_of(by_erf), approximate = table_of(by_tanh);
  return tanh_form ? approximate : exact;
}

}  // namespace gradc::codegen
