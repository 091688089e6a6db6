#include "compiler/import/model_arithmetic.h"

#include <array>
#include <cmath>

#include "compiler/import/model_ops.h"

namespace gradc::model_text {
namespace {

constexpr size_t kMaxStringBytes = 1000;

Value finite(double y) {
  if (!std::isfinite(y))
    fail("the result is not a finite number");
  return {y};
}

Value divide(const Value& a, const Value& b) {
  if (b.number() == 0)
    fail("division of {} by zero", describe(a));
  const auto *x = a.get<int64_t>(), *y = b.get<int64_t>();
  if (x && y && *y != -1 && *x % *y == 0)
    return {*x / *y};
  return finite(a.number() / b.number());
}

// Rounds toward minus infinity, as the remainder that goes with it has the divisor's sign.
Value floor_divide(const Value& a, const Value& b, bool remainder) {
  const auto *x = a.get<int64_t>(), *y = b.get<int64_t>();
  if (!x || !y)
    fail("`//` and `%` take whole numbers, got {} and {}", describe(a), describe(b));
  if (*y == 0)
    fail("division of {} by zero", *x);
  if (*y == -1)
    return remainder ? Value{int64_t{0}} : Value{-*x};
  int64_t quotient = *x / *y - (*x % *y != 0 && (*x < 0) != (*y < 0));
  return {remainder ? *x - quotient * *y : quotient};
}

Value power(const Value& a, const Value& b) {
  double y = std::pow(a.number(), b.number());
  bool whole = a.get<int64_t>() && b.get<int64_t>() && *b.get<int64_t>() >= 0;
  if (whole && std::abs(y) < 0x1p53)
    return {static_cast<int64_t>(y)};
  return finite(y);
}

Value whole_arithmetic(char op, int64_t x, int64_t y) {
  int64_t z = 0;
  bool overflow = op == '+'   ? __builtin_add_overflow(x, y, &z)
                  : op == '-' ? __builtin_sub_overflow(x, y, &z)
                              : __builtin_mul_overflow(x, y, &z);
  if (overflow || z == INT64_MIN)
    fail("{} {} {} is out of range", x, op, y);
  return {z};
}

Value on_numbers(std::string_view op, const Value& a, const Value& b) {
  if (op == "/")
    return divide(a, b);
  if (op == "//" || op == "%")
    return floor_divide(a, b, op == "%");
  if (op == "**")
    return power(a, b);
  double x = a.number(), y = b.number();
  if (op == "<")
    return {x < y};
  if (op == "<=")
    return {x <= y};
  if (op == ">")
    return {x > y};
  if (op == ">=")
    return {x >= y};
  if (a.get<int64_t>() && b.get<int64_t>())
    return whole_arithmetic(op[0], *a.get<int64_t>(), *b.get<int64_t>());
  return finite(op == "+" ? x + y : op == "-" ? x - y : x * y);
}

bool same(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number())
    return a.number() == b.number();
  if (a.data.index() != b.data.index())
    return false;
  if (const List* x = a.get<List>()) {
    const List& y = *b.get<List>();
    return std::equal(x->begin(), x->end(), y.begin(), y.end(), same);
  }
  if (const auto* x = a.get<bool>())
    return *x == *b.get<bool>();
  if (const auto* x = a.get<std::string>())
    return *x == *b.get<std::string>();
  if (const auto* x = a.get<DType>())
    return *x == *b.get<DType>();
  if (const auto* x = a.get<FunctionRef>())
    return x->name == b.get<FunctionRef>()->name && x->decl == b.get<FunctionRef>()->decl;
  return a.is_none();
}

std::string as_text(const Value& value) {
  const auto* string = value.get<std::string>();
  if (!string && !value.is_number())
    fail("a string and {} cannot be joined", describe(value));
  return string ? *string : describe(value);
}

// Strings join with strings and numbers, lists with lists.
std::optional<Value> joined(const Value& a, const Value& b) {
  if (a.get<std::string>() || b.get<std::string>()) {
    std::string all = as_text(a) + as_text(b);
    if (all.size() > kMaxStringBytes)
      fail("a string of more than {} bytes", kMaxStringBytes);
    return Value{all};
  }
  if (!a.get<List>() || !b.get<List>())
    return std::nullopt;
  List all = *a.get<List>();
  all.insert(all.end(), b.get<List>()->begin(), b.get<List>()->end());
  return list_value(std::move(all));
}

struct TensorOperator {
  std::string_view text;
  Opcode code;
  bool swapped = false;
};
constexpr std::array<TensorOperator, 10> kTensorOperators = {{{"+", Opcode::add},
                                                              {"-", Opcode::sub},
                                                              {"*", Opcode::mul},
                                                              {"/", Opcode::div},
                                                              {"**", Opcode::pow},
                                                              {"==", Opcode::equal},
                                                              {"<", Opcode::less},
                                                              {"<=", Opcode::less_equal},
                                                              {">", Opcode::less, true},
                                                              {">=", Opcode::less_equal, true}}};

Value on_tensors(Trace& trace, std::string_view op, const Value& a, const Value& b) {
  for (const Value* side : {&a, &b})
    if (!side->is_number() && !side->get<TensorRef>())
      fail("`{}` does not apply to {} and {}", op, describe(a), describe(b));
  if (op == "**" && b.is_number() && b.number() == 2)
    return elementwise(trace, Opcode::mul, {a, a});
  if (op == "**" && b.is_number() && b.number() == 0.5)
    return elementwise(trace, Opcode::sqrt, {a});
  if (op == "!=")
    return elementwise(trace, Opcode::logical_not, {elementwise(trace, Opcode::equal, {a, b})});
  for (const TensorOperator& candidate : kTensorOperators)
    if (candidate.text == op)
      return candidate.swapped ? elementwise(trace, candidate.code, {b, a})
                               : elementwise(trace, candidate.code, {a, b});
  fail("`{}` does not apply to tensors", op);
}

}  // namespace

Value binary(Trace& trace, std::string_view op, const Value& a, const Value& b) {
  bool comparison = op == "==" || op == "!=";
  if (comparison && (a.is_none() || b.is_none()))
    return {same(a, b) == (op == "==")};
  if (a.get<TensorRef>() || b.get<TensorRef>())
    return on_tensors(trace, op, a, b);
  if (comparison)
    return {same(a, b) == (op == "==")};
  if (a.is_number() && b.is_number())
    return on_numbers(op, a, b);
  if (op == "+")
    if (std::optional<Value> all = joined(a, b))
      return *all;
  fail("`{}` does not apply to {} and {}", op, describe(a), describe(b));
}

Value unary(Trace& trace, std::string_view op, const Value& x) {
  if (op == "not")
    return {!truth(x, "the operand of `not`")};
  if (x.get<TensorRef>())
    return elementwise(trace, Opcode::neg, {x});
  if (!x.is_number())
    fail("`-` does not apply to {}", describe(x));
  return x.get<int64_t>() ? Value{-*x.get<int64_t>()} : Value{-x.number()};
}

}  // namespace gradc::model_text
