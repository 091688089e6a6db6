// Normalisations that were taken apart: first the division by the deviation, with a scale of 1 and
// a bias of 0, then the true scale and bias in place of these.
#include "compiler/passes/raise_match.h"

namespace gradc {
namespace {

// sqrt(mean of value^2 over axes + epsilon)
struct Deviation {
  ValueId value;
  std::vector<int64_t> axes;
  double epsilon = 0;
};

// `value` before its root was taken.
std::optional<Deviation> mean_square(const Site& s, ValueId value) {
  std::optional<Shifted> sum = shifted(s, unreshaped(s, value));
  std::optional<Folded> squares = sum ? mean(s, sum->value) : std::nullopt;
  ValueId root = squares ? root_of_square(s, squares->value) : ValueId{};
  if (!root.valid())
    return std::nullopt;
  return Deviation{root, squares->axes, sum->number};
}

// The deviation, or one over it with `inverse`, repeated to the shape of what it is of.
std::optional<Deviation> deviation(const Site& s, ValueId value, bool inverse) {
  std::optional<Repeated> line = repeated(s, value);
  if (!line)
    return std::nullopt;
  ValueId root = unreshaped(s, line->value), square;
  if (inverse) {
    square = operand_of(s, root, Opcode::rsqrt);
    const Op* quotient = s.producer(root, Opcode::div);
    if (quotient && s.number(quotient->operand(0)) == 1.0)
      square = operand_of(s, unreshaped(s, quotient->operand(1)), Opcode::sqrt);
  } else {
    square = operand_of(s, root, Opcode::sqrt);
  }
  const Op* power = s.producer(root, Opcode::pow);
  if (power && s.number(power->operand(1)) == (inverse ? -0.5 : 0.5))
    square = power->operand(0);
  std::optional<Deviation> found = square.valid() ? mean_square(s, square) : std::nullopt;
  if (!found || found->axes != line->axes || s.type(found->value).dims != s.type(value).dims)
    return std::nullopt;
  return found;
}

// x of x less its mean over `axes`.
ValueId centered(const Site& s, ValueId value, const std::vector<int64_t>& axes) {
  const Op* op = s.producer(value, Opcode::sub);
  std::optional<Repeated> line = op ? repeated(s, op->operand(1)) : std::nullopt;
  std::optional<Folded> found = line ? mean(s, line->value) : std::nullopt;
  bool matches =
      found && found->value == op->operand(0) && found->axes == axes && line->axes == axes;
  return matches ? op->operand(0) : ValueId{};
}

std::optional<ValueId> normalized(Site& s, const Deviation& d) {
  Type along{s.type(d.value).dtype, {}};
  for (int64_t axis : d.axes)
    along.dims.push_back(s.type(d.value).dims[static_cast<size_t>(axis)]);
  if (!is_float(along.dtype) || d.epsilon < 0)
    return std::nullopt;
  ValueId x = centered(s, d.value, d.axes);
  ValueId scale = s.constant(along, 1);
  Attrs attrs{{"axes", d.axes}, {"epsilon", d.epsilon}};
  if (x.valid())
    return s.emit(Opcode::layer_norm, {x, scale, s.constant(along, 0)}, attrs);
  return s.emit(Opcode::rms_norm, {d.value, scale}, attrs);
}

std::optional<ValueId> divided(Site& s) {
  std::optional<Deviation> d = deviation(s, s.x(1), false);
  return d && d->value == s.x(0) ? normalized(s, *d) : std::nullopt;
}

std::optional<ValueId> multiplied(Site& s) {
  for (size_t i : {0, 1}) {
    std::optional<Deviation> d = deviation(s, s.x(i), true);
    if (d && d->value == s.x(1 - i))
      return normalized(s, *d);
  }
  return std::nullopt;
}

// What `value` repeats along the axes that are not normalised; invalid when it is another shape.
ValueId along(const Site& s, const Op& norm, ValueId value) {
  const Op* op = s.producer(value, Opcode::broadcast);
  bool fits = op && op->attrs.integers("axes") == norm.attrs.integers("axes");
  return fits ? op->operand(0) : ValueId{};
}

// norm(x, 1, ...) * scale
template <Opcode code>
std::optional<ValueId> with_scale(Site& s) {
  for (size_t i : {0, 1}) {
    const Op* norm = s.producer(s.x(i), code);
    if (!norm || s.number(norm->operand(1)) != 1.0 || !s.only_use(s.x(i)))
      continue;
    ValueId scale = along(s, *norm, s.x(1 - i));
    if (!scale.valid())
      continue;
    std::vector<ValueId> operands = norm->operands;
    if (operands.size() > 2 && s.number(operands[2]) != 0.0)
      continue;
    operands[1] = scale;
    return s.emit(code, operands, Attrs(norm->attrs));
  }
  return std::nullopt;
}

// layer_norm(x, scale, 0) + bias
std::optional<ValueId> with_bias(Site& s) {
  for (size_t i : {0, 1}) {
    const Op* norm = s.producer(s.x(i), Opcode::layer_norm);
    if (!norm || s.number(norm->operand(2)) != 0.0 || !s.only_use(s.x(i)))
      continue;
    ValueId bias = along(s, *norm, s.x(1 - i));
    if (bias.valid())
      return s.emit(Opcode::layer_norm, {norm->operand(0), norm->operand(1), bias},
                    Attrs(norm->attrs));
  }
  return std::nullopt;
}

constexpr SimplifyRule kRules[] = {
    {Opcode::div, "x / sqrt(mean(x^2) + e) = rms_norm(x, 1), and layer_norm where x is y - mean(y)",
     divided},
    {Opcode::mul, kSameAsAbove, multiplied},
    {Opcode::mul, "layer_norm(x, 1, 0) * y = layer_norm(x, y, 0)", with_scale<Opcode::layer_norm>},
    {Opcode::mul, "rms_norm(x, 1) * y = rms_norm(x, y)", with_scale<Opcode::rms_norm>},
    {Opcode::add, "layer_norm(x, y, 0) + z = layer_norm(x, y, z)", with_bias},
};

}  // namespace

std::span<const SimplifyRule> raise_norm_rules() {
  return kRules;
}

}  // namespace gradc
