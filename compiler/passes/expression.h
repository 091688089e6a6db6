#pragma once
// Formulas on values in the usual notation: `beta * m + (1 - beta) * g`. A scalar value is repeated
// to the other operand's shape; a number becomes a constant.
#include "ir/builder.h"

namespace gradc {

struct Expr {
  Builder* builder = nullptr;
  ValueId id;

  Type type() const { return builder->type(id); }
};

Expr apply(Opcode code, Expr x);
Expr apply(Opcode code, Expr x, Expr y);
Expr number(Expr like, double value);  // of the type of `like`
Expr cast(Expr x, DType dtype);
Expr sum_of_squares(Expr x);  // a scalar

inline Expr operator+(Expr x, Expr y) {
  return apply(Opcode::add, x, y);
}
inline Expr operator-(Expr x, Expr y) {
  return apply(Opcode::sub, x, y);
}
inline Expr operator*(Expr x, Expr y) {
  return apply(Opcode::mul, x, y);
}
inline Expr operator/(Expr x, Expr y) {
  return apply(Opcode::div, x, y);
}
inline Expr operator+(Expr x, double y) {
  return x + number(x, y);
}
inline Expr operator*(double x, Expr y) {
  return number(y, x) * y;
}
inline Expr operator-(double x, Expr y) {
  return number(y, x) - y;
}
inline Expr operator-(Expr x) {
  return apply(Opcode::neg, x);
}
inline Expr sqrt(Expr x) {
  return apply(Opcode::sqrt, x);
}
inline Expr min(Expr x, double y) {
  return apply(Opcode::minimum, x, number(x, y));
}
inline Expr max(Expr x, double y) {
  return apply(Opcode::maximum, x, number(x, y));
}

}  // namespace gradc
