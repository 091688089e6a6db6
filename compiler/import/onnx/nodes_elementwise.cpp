// Arithmetic, comparisons and their kin, element by element with NumPy's broadcasting.
#include <cmath>

#include "compiler/import/composed_functions.h"
#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

// Before opset 7 the second operand broadcasts on request only: its axes are those of the first
// from attribute `axis` on, or the last ones.
std::pair<ValueId, ValueId> old_pair(NodeContext& c) {
  c.ignore({"consumed_inputs"});
  ValueId x = c.tensor(0), y = c.tensor(1);
  if (!c.flag("broadcast")) {
    c.ignore({"axis"});
    return {x, y};
  }
  Dims dims = c.dims(0), aligned = c.dims(1);
  int64_t missing = static_cast<int64_t>(dims.size() - aligned.size());
  // A scalar may be aligned behind the last axis.
  int64_t axis = normalized_axis(c.attribute("axis", missing), c.rank(0) + aligned.empty());
  if (aligned.size() > dims.size() || axis > missing)
    fail("{} does not broadcast to {} from axis {} on", to_string(aligned), to_string(dims), axis);
  aligned.resize(dims.size() - static_cast<size_t>(axis), 1);
  return {x, c.b.broadcast_to(c.b.reshape(y, aligned), dims)};
}

template <Opcode code>
void old_binary_node(NodeContext& c) {
  auto [x, y] = old_pair(c);
  c.result(c.b.op(code, {x, y}));
}

// x > y is y < x.
template <Opcode code>
void swapped_node(NodeContext& c) {
  auto [x, y] = broadcast_pair(c, 0, 1);
  c.result(c.b.op(code, {y, x}));
}

template <Opcode code>
void old_swapped_node(NodeContext& c) {
  auto [x, y] = old_pair(c);
  c.result(c.b.op(code, {y, x}));
}

template <Opcode code>
ValueId fold_inputs(NodeContext& c) {
  if (c.input_count() == 0)
    fail("needs an input at least");
  std::vector<ValueId> inputs = broadcast_inputs(c);
  ValueId all = inputs[0];
  for (size_t i = 1; i < inputs.size(); ++i)
    all = c.b.op(code, {all, inputs[i]});
  return all;
}

// Sum, Max and Min of any number of tensors.
template <Opcode code>
void variadic_node(NodeContext& c) {
  c.ignore({"consumed_inputs"});
  if (c.input_count() == 1)
    return c.result(0, c.value(0));
  c.result(fold_inputs<code>(c));
}

void mean_node(NodeContext& c) {
  c.ignore({"consumed_inputs"});
  require_float(c, 0);
  c.result(c.b.scale(fold_inputs<Opcode::add>(c), 1.0 / static_cast<double>(c.input_count())));
}

// Old rows of ops of one operand had this attribute.
template <Opcode code>
void old_unary_node(NodeContext& c) {
  c.ignore({"consumed_inputs"});
  unary_node<code>(c);
}

void reciprocal_node(NodeContext& c) {
  c.ignore({"consumed_inputs"});
  require_float(c, 0);
  ValueId x = c.tensor(0);
  c.result(c.b.div(number_like(c, x, 1), x));
}

// The exponent may have a type of its own; the result has that of the base. Whole numbers go
// through f64, which is exact as long as the result is below 2^53.
void pow_node(NodeContext& c) {
  Dims dims = broadcast_dims(c.dims(0), c.dims(1));
  ValueId x = c.b.broadcast_to(c.tensor(0), dims), y = c.b.broadcast_to(c.tensor(1), dims);
  DType computed = is_float(c.dtype(0)) ? c.dtype(0) : DType::f64;
  ValueId power = c.b.op(Opcode::pow, {cast(c, x, computed), cast(c, y, computed)});
  c.result(cast(c, power, c.dtype(0)));
}

void old_pow_node(NodeContext& c) {
  auto [x, y] = old_pair(c);
  c.result(c.b.op(Opcode::pow, {x, y}));
}

void where_node(NodeContext& c) {
  if (c.dtype(0) != DType::boolean)
    fail("the condition must be bool, it is {}", to_string(c.type(0)));
  if (c.dtype(1) != c.dtype(2))
    fail("inputs must have one element type, they are {} and {}", to_string(c.type(1)),
         to_string(c.type(2)));
  Dims dims = broadcast_dims(c.dims(0), broadcast_dims(c.dims(1), c.dims(2)));
  std::vector<ValueId> inputs;
  for (size_t i = 0; i < 3; ++i)
    inputs.push_back(c.b.broadcast_to(c.tensor(i), dims));
  c.result(c.b.select(inputs[0], inputs[1], inputs[2]));
}

void cast_node(NodeContext& c) {
  c.ignore({"saturate", "round_mode"});  // of 8-bit floats
  int64_t asked = c.required_integer("to");
  auto element = static_cast<ElementType>(asked);
  std::optional<WiderType> wider = wider_type_of(element);
  if (wider && element == asked && c.find_constant(0)) {
    for (double number : c.numbers(0))
      if (!(number > -1 && number < wider->end))
        fail("attribute `to` asks for {}, which does not hold {}", name_of(element), number);
    c.result(cast(c, c.tensor(0), wider->dtype));
    return c.narrower_result(0, element);
  }
  std::optional<DType> to = c.find_dtype("to");
  if (*to != c.dtype(0))
    return c.result(cast(c, c.tensor(0), *to));
  c.result(0, c.value(0));
  c.narrower_result(0, 0);
}

void cast_like_node(NodeContext& c) {
  c.ignore({"saturate", "round_mode"});
  if (c.dtype(0) == c.dtype(1))
    return c.result(0, c.value(0));
  c.result(cast(c, c.tensor(0), c.dtype(1)));
}

// min(max(x, low), high): where low > high all is high.
void clip(NodeContext& c, std::optional<ValueId> low, std::optional<ValueId> high) {
  if (!low && !high)
    return c.result(0, c.value(0));
  ValueId y = c.tensor(0);
  if (low)
    y = c.b.op(Opcode::maximum, {y, *low});
  if (high)
    y = c.b.op(Opcode::minimum, {y, *high});
  c.result(y);
}

void clip_6(NodeContext& c) {
  c.ignore({"consumed_inputs"});
  constexpr double kLargest = 3.4028234663852886e38;
  double low = c.real("min", -kLargest), high = c.real("max", kLargest);
  ValueId x = c.tensor(0);
  clip(c, low > -kLargest ? std::optional(number_like(c, x, low)) : std::nullopt,
       high < kLargest ? std::optional(number_like(c, x, high)) : std::nullopt);
}

void clip_11(NodeContext& c) {
  std::array<std::optional<ValueId>, 2> bounds;
  for (size_t i = 1; i <= 2; ++i)
    if (c.has(i)) {
      if (c.type(i).elements() != 1 || c.dtype(i) != c.dtype(0))
        fail("input {} must be a scalar of the input's element type, it is {}", i,
             to_string(c.type(i)));
      bounds[i - 1] = c.b.broadcast_to(c.b.reshape(c.tensor(i), {}), c.dims(0));
    }
  clip(c, bounds[0], bounds[1]);
}

void is_inf_node(NodeContext& c) {
  require_float(c, 0);
  c.result(c.b.op(Opcode::is_inf, {c.tensor(0)},
                  {{"detect_negative", c.flag("detect_negative", true)},
                   {"detect_positive", c.flag("detect_positive", true)}}));
}

// The remainder has the sign of the divisor, or with `fmod`, which floats needed before opset 28,
// of the dividend.
void mod_node(NodeContext& c) {
  bool sign_of_first = c.flag("fmod");
  if (!sign_of_first && !is_integer(c.dtype(0)) && c.opset < 28)
    fail("attribute `fmod` is 0, which takes whole numbers, but the input is {}",
         to_string(c.type(0)));
  auto [x, y] = broadcast_pair(c, 0, 1);
  c.result(c.b.op(sign_of_first ? Opcode::fmod : Opcode::mod, {x, y}));
}

template <const ComposedFunction& function>
void composed_node(NodeContext& c) {
  require_float(c, 0);
  c.result(compose(function, c.b, c.tensor(0)));
}

constexpr NodeRule kRules[] = {
    {"Abs", 1, old_unary_node<Opcode::abs>},
    {"Acos", 7, composed_node<composed::acos>},
    {"Acosh", 9, composed_node<composed::acosh>},
    {"Add", 1, old_binary_node<Opcode::add>},
    {"Add", 7, binary_node<Opcode::add>},
    {"And", 1, old_binary_node<Opcode::logical_and>},
    {"And", 7, binary_node<Opcode::logical_and>},
    {"Asin", 7, composed_node<composed::asin>},
    {"Asinh", 9, composed_node<composed::asinh>},
    {"Atan", 7, unary_node<Opcode::atan>},
    {"Atanh", 9, composed_node<composed::atanh>},
    {"Cast", 6, cast_node},
    {"CastLike", 15, cast_like_node},
    {"Ceil", 1, old_unary_node<Opcode::ceil>},
    {"Clip", 1, clip_6},
    {"Clip", 11, clip_11},
    {"Cos", 7, unary_node<Opcode::cos>},
    {"Cosh", 9, composed_node<composed::cosh>},
    {"Div", 1, old_binary_node<Opcode::div>},
    {"Div", 7, binary_node<Opcode::div>},
    {"Equal", 1, old_binary_node<Opcode::equal>},
    {"Equal", 7, binary_node<Opcode::equal>},
    {"Erf", 9, unary_node<Opcode::erf>},
    {"Exp", 1, old_unary_node<Opcode::exp>},
    {"Floor", 1, old_unary_node<Opcode::floor>},
    {"Greater", 1, old_swapped_node<Opcode::less>},
    {"Greater", 7, swapped_node<Opcode::less>},
    {"GreaterOrEqual", 12, swapped_node<Opcode::less_equal>},
    {"IsInf", 10, is_inf_node},
    {"IsNaN", 9, unary_node<Opcode::is_nan>},
    {"Less", 1, old_binary_node<Opcode::less>},
    {"Less", 7, binary_node<Opcode::less>},
    {"LessOrEqual", 12, binary_node<Opcode::less_equal>},
    {"Log", 1, old_unary_node<Opcode::log>},
    {"Max", 1, variadic_node<Opcode::maximum>},
    {"Mean", 1, mean_node},
    {"Min", 1, variadic_node<Opcode::minimum>},
    {"Mod", 10, mod_node},
    {"Mul", 1, old_binary_node<Opcode::mul>},
    {"Mul", 7, binary_node<Opcode::mul>},
    {"Neg", 1, old_unary_node<Opcode::neg>},
    {"Not", 1, unary_node<Opcode::logical_not>},
    {"Or", 1, old_binary_node<Opcode::logical_or>},
    {"Or", 7, binary_node<Opcode::logical_or>},
    {"Pow", 1, old_pow_node},
    {"Pow", 7, pow_node},
    {"Reciprocal", 1, reciprocal_node},
    {"Round", 11, unary_node<Opcode::round>},
    {"Sign", 9, unary_node<Opcode::sign>},
    {"Sin", 7, unary_node<Opcode::sin>},
    {"Sinh", 9, composed_node<composed::sinh>},
    {"Sqrt", 1, old_unary_node<Opcode::sqrt>},
    {"Sub", 1, old_binary_node<Opcode::sub>},
    {"Sub", 7, binary_node<Opcode::sub>},
    {"Sum", 1, variadic_node<Opcode::add>},
    {"Tan", 7, composed_node<composed::tan>},
    {"Where", 9, where_node, 0, input_set({1, 2})},
    {"Xor", 1, old_binary_node<Opcode::logical_xor>},
    {"Xor", 7, binary_node<Opcode::logical_xor>},
};

}  // namespace

std::span<const NodeRule> elementwise_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
