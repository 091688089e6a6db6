#pragma once
// gelu and its slope for vectors of AVX-512, whose shuffles pick one of 16 numbers. With F(x) the
// factor of x in gelu, which is 1 - F(-x), and a = |x|:
//   gelu x = max(x, 0) - a F(-a)
//   slope of gelu at -a = F(-a) - a F'(a), and 1 less that at a
// a F(-a) and that slope vanish for large a. They are polynomials in pieces of a: with c = k *
// kPiece and d = a - c, at most half a piece, the sum over i of table[i][k] * d^i, interpolated at
// the zeros of Chebyshev's polynomial: within 2e-8 before rounding. The last piece, from 6.12 on,
// is 0. In the first one, a F(-a) is a times a polynomial, so that small results keep their digits.
namespace gradc::codegen {

struct GeluTable {
  static constexpr int kPieces = 16;
  static constexpr double kPiece = 27.0 / 64, kEnd = kPiece * (kPieces - 1);
  float part[6][kPieces];  // of a F(-a)
  float slope[7][kPieces];
};

// By the error function, or in the tanh form.
const GeluTable& gelu_table(bool tanh_form);

}  // namespace gradc::codegen
