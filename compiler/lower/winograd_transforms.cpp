// The transforms of winograd.h as loop IR. Points +-p share what is even and what is odd in p.
#include <cmath>

#include "compiler/lower/winograd.h"
#include "ir/diagnostic.h"

namespace gradc {
namespace {

using loop::Scalar;

constexpr double kP = 0.75, kQ = 1.5;  // the points are 0, p, -p, q, -q, infinity
constexpr double kP2 = kP * kP, kQ2 = kQ * kQ;
// What the polynomial that vanishes at the other points is at 0, p and q.
constexpr double kAt0 = kP2 * kQ2, kAtP = 2 * kP2 * (kP2 - kQ2), kAtQ = 2 * kQ2 * (kQ2 - kP2);

class Arithmetic {
 public:
  explicit Arithmetic(loop::Builder& builder) : b_(builder) {}
  Scalar add(Scalar x, Scalar y) { return b_.add(x, y); }
  Scalar sub(Scalar x, Scalar y) { return b_.sub(x, y); }
  Scalar times(double factor, Scalar x) { return b_.mul(x, constant(factor)); }
  // factor * x + y
  Scalar add_times(double factor, Scalar x, Scalar y) { return b_.fma(x, constant(factor), y); }

 private:
  Scalar constant(double value) { return b_.constant(DType::f32, value); }
  loop::Builder& b_;
};

}  // namespace

std::vector<Scalar> winograd_image(loop::Builder& builder, std::span<const Scalar> x) {
  Arithmetic a(builder);
  // (x^2 - p^2)(x^2 - q^2), from x[0] on and from x[1] on
  auto at_end = [&](size_t i) {
    return a.add_times(kAt0, x[i], a.add_times(-(kP2 + kQ2), x[i + 2], x[i + 4]));
  };
  Scalar even_p = a.add_times(-kQ2, x[2], x[4]), odd_p = a.add_times(-kQ2, x[1], x[3]);
  Scalar even_q = a.add_times(-kP2, x[2], x[4]), odd_q = a.add_times(-kP2, x[1], x[3]);
  return {at_end(0),
          a.add_times(kP, odd_p, even_p),
          a.add_times(-kP, odd_p, even_p),
          a.add_times(kQ, odd_q, even_q),
          a.add_times(-kQ, odd_q, even_q),
          at_end(1)};
}

std::vector<Scalar> winograd_weight(loop::Builder& builder, std::span<const Scalar> w) {
  Arithmetic a(builder);
  Scalar even_p = a.times(1 / kAtP, a.add_times(kP2, w[2], w[0]));
  Scalar even_q = a.times(1 / kAtQ, a.add_times(kQ2, w[2], w[0]));
  return {a.times(1 / kAt0, w[0]),
          a.add_times(kP / kAtP, w[1], even_p),
          a.add_times(-kP / kAtP, w[1], even_p),
          a.add_times(kQ / kAtQ, w[1], even_q),
          a.add_times(-kQ / kAtQ, w[1], even_q),
          w[2]};
}

std::array<Scalar, 3> winograd_weight_row(loop::Builder& builder, Scalar row) {
  constexpr double kRows[kWinogradPoints][kWinogradTaps] = {
      {1 / kAt0, 0, 0},
      {1 / kAtP, kP / kAtP, kP2 / kAtP},
      {1 / kAtP, -kP / kAtP, kP2 / kAtP},
      {1 / kAtQ, kQ / kAtQ, kQ2 / kAtQ},
      {1 / kAtQ, -kQ / kAtQ, kQ2 / kAtQ},
      {0, 0, 1},
  };
  std::array<Scalar, 3> factors;
  for (size_t tap = 0; tap < factors.size(); ++tap) {
    Scalar factor = builder.constant(DType::f32, kRows[0][tap]);
    for (int64_t i = 1; i < kWinogradPoints; ++i)
      factor = builder.select(builder.compare(loop::Code::equal, row, builder.index(i)),
                              builder.constant(DType::f32, kRows[i][tap]), factor);
    factors[tap] = factor;
  }
  return factors;
}

std::vector<Scalar> winograd_result(loop::Builder& builder, std::span<const Scalar> m) {
  Arithmetic a(builder);
  Scalar even_p = a.add(m[1], m[2]), odd_p = a.sub(m[1], m[2]);
  Scalar even_q = a.add(m[3], m[4]), odd_q = a.sub(m[3], m[4]);
  return {a.add(a.add(m[0], even_p), even_q), a.add_times(kQ, odd_q, a.times(kP, odd_p)),
          a.add_times(kQ2, even_q, a.times(kP2, even_p)),
          a.add_times(kQ * kQ2, odd_q, a.add_times(kP * kP2, odd_p, m[5]))};
}

std::vector<Scalar> winograd_result_adjoint(loop::Builder& builder, std::span<const Scalar> dy) {
  Arithmetic a(builder);
  Scalar even_p = a.add_times(kP2, dy[2], dy[0]), odd_p = a.add_times(kP2, dy[3], dy[1]);
  Scalar even_q = a.add_times(kQ2, dy[2], dy[0]), odd_q = a.add_times(kQ2, dy[3], dy[1]);
  return {dy[0],
          a.add_times(kP, odd_p, even_p),
          a.add_times(-kP, odd_p, even_p),
          a.add_times(kQ, odd_q, even_q),
          a.add_times(-kQ, odd_q, even_q),
          dy[3]};
}

std::vector<Scalar> winograd_weight_adjoint(loop::Builder& builder, std::span<const Scalar> m) {
  Arithmetic a(builder);
  Scalar even_p = a.add(m[1], m[2]), odd_p = a.sub(m[1], m[2]);
  Scalar even_q = a.add(m[3], m[4]), odd_q = a.sub(m[3], m[4]);
  return {a.add_times(1 / kAtQ, even_q, a.add_times(1 / kAtP, even_p, a.times(1 / kAt0, m[0]))),
          a.add_times(kQ / kAtQ, odd_q, a.times(kP / kAtP, odd_p)),
          a.add_times(kQ2 / kAtQ, even_q, a.add_times(kP2 / kAtP, even_p, m[5]))};
}

std::vector<Scalar> along_both_axes(loop::Builder& builder, WinogradTransform transform,
                                    const std::vector<Scalar>& square) {
  auto side = static_cast<size_t>(std::lround(std::sqrt(static_cast<double>(square.size()))));
  GRADC_CHECK(side * side == square.size());
  std::vector<std::vector<Scalar>> rows;
  for (size_t row = 0; row < side; ++row)
    rows.push_back(transform(builder, std::span(square).subspan(row * side, side)));
  size_t columns = rows[0].size();
  std::vector<Scalar> result(columns * columns);
  for (size_t column = 0; column < columns; ++column) {
    std::vector<Scalar> down;
    for (const std::vector<Scalar>& row : rows)
      down.push_back(row[column]);
    std::vector<Scalar> transformed = transform(builder, down);
    for (size_t row = 0; row < columns; ++row)
      result[row * columns + column] = transformed[row];
  }
  return result;
}

}  // namespace gradc
