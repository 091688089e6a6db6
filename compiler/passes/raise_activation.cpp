// Activations that were taken apart.
#include <cmath>
#include <numbers>

#include "compiler/passes/raise_match.h"

namespace gradc {
namespace {

// --- number * x * f(x), the factors in either order. `gate` says whether the second is f of x.

using Gate = bool (*)(const Site& s, ValueId x, ValueId gate);

template <Gate is_gate>
ValueId gated(const Site& s, double number) {
  std::optional<Product> p = product(s);
  if (!p || !is_near(s, p->a, p->number, number))
    return {};
  if (is_gate(s, p->a, p->b))
    return p->a;
  return is_gate(s, p->b, p->a) ? p->b : ValueId{};
}

template <Gate is_gate, Opcode code>
std::optional<ValueId> one_op(Site& s, double number) {
  ValueId x = gated<is_gate>(s, number);
  return x.valid() ? std::optional(s.emit(code, {x}, {})) : std::nullopt;
}

// y of 1 + f(y), `code` being f; invalid when it is none.
ValueId argument_of_one_plus(const Site& s, ValueId gate, Opcode code) {
  std::optional<ValueId> value = one_more(s, gate);
  return value ? operand_of(s, *value, code) : ValueId{};
}

// 1 + erf(x / sqrt(2))
bool is_erf_gate(const Site& s, ValueId x, ValueId gate) {
  ValueId argument = argument_of_one_plus(s, gate, Opcode::erf);
  if (!argument.valid())
    return false;
  Scaled part = scaled(s, argument);
  return part.value == x && is_near(s, x, part.number, 1 / std::numbers::sqrt2);
}

bool is_cube(const Site& s, ValueId x, ValueId value) {
  if (const Op* op = s.producer(value, Opcode::pow))
    return op->operand(0) == x && s.number(op->operand(1)) == 3.0;
  const Op* op = s.producer(value, Opcode::mul);
  return op && ((op->operand(0) == x && root_of_square(s, op->operand(1)) == x) ||
                (op->operand(1) == x && root_of_square(s, op->operand(0)) == x));
}

constexpr double kCubic = 0.044715;

// x + 0.044715 x^3, or x (1 + 0.044715 x^2)
bool is_gelu_cubic(const Site& s, ValueId x, ValueId value) {
  if (const Op* sum = s.producer(value, Opcode::add))
    for (size_t i : {0, 1}) {
      Scaled cube = scaled(s, sum->operand(1 - i));
      if (sum->operand(i) == x && is_cube(s, x, cube.value) && is_near(s, x, cube.number, kCubic))
        return true;
    }
  if (const Op* product = s.producer(value, Opcode::mul))
    for (size_t i : {0, 1}) {
      std::optional<ValueId> more = one_more(s, product->operand(1 - i));
      Scaled square = more ? scaled(s, *more) : Scaled{};
      if (more && product->operand(i) == x && root_of_square(s, square.value) == x &&
          is_near(s, x, square.number, kCubic))
        return true;
    }
  return false;
}

// 1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))
bool is_tanh_gate(const Site& s, ValueId x, ValueId gate) {
  ValueId argument = argument_of_one_plus(s, gate, Opcode::tanh);
  if (!argument.valid())
    return false;
  Scaled part = scaled(s, argument);
  return is_near(s, x, part.number, std::sqrt(2 / std::numbers::pi)) &&
         is_gelu_cubic(s, x, part.value);
}

bool is_sigmoid(const Site& s, ValueId x, ValueId gate) {
  return operand_of(s, gate, Opcode::sigmoid) == x;
}

bool is_tanh_of_softplus(const Site& s, ValueId x, ValueId gate) {
  ValueId argument = operand_of(s, gate, Opcode::tanh);
  return argument.valid() && operand_of(s, argument, Opcode::softplus) == x;
}

// What is cut to [0, high]; invalid when it is something else.
ValueId cut(const Site& s, ValueId value, double high) {
  auto inner = [&](ValueId outer, Opcode code, double bound) {
    const Op* op = s.producer(outer, code);
    for (size_t i = 0; op && i < 2; ++i)
      if (s.number(op->operand(i)) == bound)
        return op->operand(1 - i);
    return ValueId{};
  };
  if (ValueId below = inner(value, Opcode::minimum, high); below.valid())
    return inner(below, Opcode::maximum, 0);
  ValueId above = inner(value, Opcode::maximum, 0);
  return above.valid() ? inner(above, Opcode::minimum, high) : ValueId{};
}

// x + 3 cut to [0, 6]
bool is_cut_at_6(const Site& s, ValueId x, ValueId gate) {
  ValueId inside = cut(s, gate, 6);
  std::optional<Shifted> sum = inside.valid() ? shifted(s, inside) : std::nullopt;
  return sum && sum->value == x && sum->number == 3;
}

bool is_hard_sigmoid(const Site& s, ValueId x, ValueId gate) {
  const Op* op = s.producer(gate, Opcode::hard_sigmoid);
  return op && op->operand(0) == x && is_near(s, x, op->attrs.real("alpha"), 1.0 / 6) &&
         is_near(s, x, op->attrs.real("beta"), 0.5);
}

std::optional<ValueId> gelu(Site& s) {
  return one_op<is_erf_gate, Opcode::gelu>(s, 0.5);
}

std::optional<ValueId> gelu_by_tanh(Site& s) {
  ValueId x = gated<is_tanh_gate>(s, 0.5);
  if (!x.valid())
    return std::nullopt;
  return s.emit(Opcode::gelu, {x}, {{"approximate", true}});
}

std::optional<ValueId> silu(Site& s) {
  return one_op<is_sigmoid, Opcode::silu>(s, 1);
}

std::optional<ValueId> mish(Site& s) {
  return one_op<is_tanh_of_softplus, Opcode::mish>(s, 1);
}

std::optional<ValueId> hard_swish(Site& s) {
  return one_op<is_hard_sigmoid, Opcode::hard_swish>(s, 1);
}

std::optional<ValueId> hard_swish_of_cut(Site& s) {
  return one_op<is_cut_at_6, Opcode::hard_swish>(s, 1.0 / 6);
}

// x + 3 cut to [0, 6], over 6
std::optional<ValueId> hard_sigmoid(Site& s) {
  std::optional<double> number = s.number(s.x(1));
  if (!number || !is_near(s, s.x(0), *number, s.op().code == Opcode::div ? 6 : 1.0 / 6))
    return std::nullopt;
  ValueId inside = cut(s, s.x(0), 6);
  std::optional<Shifted> sum = inside.valid() ? shifted(s, inside) : std::nullopt;
  if (!sum || sum->number != 3)
    return std::nullopt;
  return s.emit(Opcode::hard_sigmoid, {sum->value}, {{"alpha", 1.0 / 6}, {"beta", 0.5}});
}

// --- Exponentials that overflow where the whole does not.

// y / (1 + exp(-x))
std::optional<ValueId> sigmoid(Site& s) {
  std::optional<ValueId> sum = one_more(s, s.x(1));
  ValueId argument = sum ? operand_of(s, *sum, Opcode::exp) : ValueId{};
  ValueId x = argument.valid() ? operand_of(s, argument, Opcode::neg) : ValueId{};
  if (!x.valid())
    return std::nullopt;
  ValueId gate = s.emit(Opcode::sigmoid, {x}, {});
  return s.number(s.x(0)) == 1.0 ? gate : s.emit(Opcode::mul, {s.x(0), gate}, {});
}

std::optional<ValueId> softplus(Site& s) {
  std::optional<ValueId> power =
      s.op().code == Opcode::log1p ? std::optional(s.x()) : one_more(s, s.x());
  ValueId x = power ? operand_of(s, *power, Opcode::exp) : ValueId{};
  return x.valid() ? std::optional(s.emit(Opcode::softplus, {x}, {})) : std::nullopt;
}

std::optional<ValueId> log_sigmoid(Site& s) {
  ValueId x = operand_of(s, s.x(), Opcode::sigmoid);
  if (!x.valid())
    return std::nullopt;
  ValueId negative = s.emit(Opcode::neg, {x}, {});
  return s.emit(Opcode::neg, {s.emit(Opcode::softplus, {negative}, {})}, {});
}

constexpr SimplifyRule kRules[] = {
    {Opcode::div, "1 / (1 + exp(-x)) = sigmoid(x), and y over it", sigmoid},
    {Opcode::log, "log(1 + exp(x)) = softplus(x)", softplus},
    {Opcode::log1p, "log1p(exp(x)) = softplus(x)", softplus},
    {Opcode::log, "log(sigmoid(x)) = -softplus(-x)", log_sigmoid},
    {Opcode::mul, "x * (1 + erf(x / sqrt(2))) / 2 = gelu(x), factors in any order", gelu},
    {Opcode::div, kSameAsAbove, gelu},
    {Opcode::mul,
     "x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2 = gelu(x) {approximate=true}",
     gelu_by_tanh},
    {Opcode::div, kSameAsAbove, gelu_by_tanh},
    {Opcode::mul, "x * sigmoid(x) = silu(x)", silu},
    {Opcode::mul, "x * tanh(softplus(x)) = mish(x)", mish},
    {Opcode::mul, "min(max(x + 3, 0), 6) / 6 = hard_sigmoid(x) {alpha=1/6, beta=1/2}",
     hard_sigmoid},
    {Opcode::div, kSameAsAbove, hard_sigmoid},
    {Opcode::mul, "x * hard_sigmoid(x) {alpha=1/6, beta=1/2} = hard_swish(x)", hard_swish},
    {Opcode::mul, "x * min(max(x + 3, 0), 6) / 6 = hard_swish(x)", hard_swish_of_cut},
    {Opcode::div, kSameAsAbove, hard_swish_of_cut},
};

}  // namespace

std::span<const SimplifyRule> raise_activation_rules() {
  return kRules;
}

}  // namespace gradc
