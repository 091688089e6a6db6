#pragma once
// gelu and its slope for vectors of AVX-512, whose shuffles pick one of 32 numbers. With F(x) the
// factor of x in gelu, which is 1 - F(-x), and a = |x|:
//   gelu x = max(x, 0) - a F(-a)
//   slope of gelu at -a = F(-a) - a F'(a), and 1 less that at a
// Both right sides vanish for large a. They are polynomials in pieces of a: with c = k * kPiece and
// d = a - c, at most half a piece, the sum over i of table[i][k] * d^i, interpolated at the zeros
// of Chebyshev's polynomial: within 2e-8 before rounding. The last piece, from 5.95 on, is 0.
namespace gradc::codegen {

struct GeluTable {
  static constexpr int kPieces = 32;
  static constexpr double kPiece = 25.0 / 128, kEnd = kPiece * (kPieces - 1);
  float factor[5][kPieces];  // of F(-a)
  float slope[6][kPieces];
};

// By the error function, or in the tanh form.
const GeluTable& gelu_table(bool tanh_form);

}  // namespace gradc::codegen
