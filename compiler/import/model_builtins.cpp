#include "compiler/import/model_builtins.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "compiler/import/model_init.h"

namespace gradc::model_text {
namespace {

constexpr int64_t kMaxRange = 500;

Type type_of(BuiltinCall& c, size_t i, std::string_view what) {
  return c.trace.type(tensor(c.arguments[i], what));
}

DType dtype_or(const Value& value, DType fallback) {
  if (value.is_none())
    return fallback;
  if (const auto* dtype = value.get<DType>())
    return *dtype;
  fail("`dtype` must be an element type such as f32, got {}", describe(value));
}

bool flag(const Value& value, std::string_view what) {
  return !value.is_none() && truth(value, what);
}

Value numbers(const std::vector<int64_t>& values) {
  List list;
  for (int64_t value : values)
    list.push_back({value});
  return list_value(std::move(list));
}

// --- Parameters and state ---

Value declare(BuiltinCall& c, Role role, const Value& init) {
  Type type{dtype_or(c.arguments[3], DType::f32), shape(c.arguments[0], "the shape")};
  Initializer first = initializer(init);
  check_initializer(first, type);
  std::string name = c.arguments[2].is_none() ? "" : text(c.arguments[2], "`name`");
  return {c.interpreter.declare_state(role, type, first, name, c.hint)};
}

Value param(BuiltinCall& c) {
  Value value = declare(c, Role::parameter, c.arguments[1]);
  DType dtype = c.trace.type(*value.get<TensorRef>()).dtype;
  if (!is_float(dtype))
    fail("a parameter must be of a float type, got {}; use `state`", name_of(dtype));
  return value;
}

Value state(BuiltinCall& c) {
  return declare(c, Role::buffer, c.arguments[1].is_none() ? Value{int64_t{0}} : c.arguments[1]);
}

// Inference leaves every state as it is.
Value update(BuiltinCall& c) {
  TensorRef target = tensor(c.arguments[0], "the first argument of `update`");
  TensorRef content = tensor(c.arguments[1], "the second argument of `update`");
  c.trace.update(target, content);
  return {};
}

// --- Initialisers ---

template <char const* name>
Value scaled_initializer(BuiltinCall& c) {
  return {Initializer{name, real_number(c.arguments[0], fmt::format("`{}`", name)), 0}};
}

template <char const* name>
Value fan_initializer(BuiltinCall& c) {
  Initializer initializer{name, 1, 0};
  if (!c.arguments[0].is_none())
    initializer.scale = real_number(c.arguments[0], "`gain`");
  if (!c.arguments[1].is_none())
    initializer.fan_in = whole_number(c.arguments[1], "`fan_in`");
  if (initializer.fan_in < 0)
    fail("`fan_in` must be at least 1, got {}", initializer.fan_in);
  return {initializer};
}

constexpr char kConstant[] = "constant", kNormal[] = "normal", kUniform[] = "uniform",
               kHeNormal[] = "he_normal", kHeUniform[] = "he_uniform",
               kGlorotNormal[] = "glorot_normal", kGlorotUniform[] = "glorot_uniform",
               kXavierNormal[] = "xavier_normal", kXavierUniform[] = "xavier_uniform",
               kFanInUniform[] = "fan_in_uniform";

// --- Tensors of one number ---

Value filled(BuiltinCall& c, double value, const Value& dtype) {
  Type type{dtype_or(dtype, DType::f32), shape(c.arguments[0], "the shape")};
  return {c.trace.constant(type, value)};
}

Value zeros(BuiltinCall& c) {
  return filled(c, 0, c.arguments[1]);
}

Value ones(BuiltinCall& c) {
  return filled(c, 1, c.arguments[1]);
}

Value full(BuiltinCall& c) {
  return filled(c, real_number(c.arguments[1], "the value"), c.arguments[2]);
}

// --- Shapes ---

Value dim(BuiltinCall& c) {
  Type type = type_of(c, 0, "the first argument of `dim`");
  int64_t axis = normalize_axis(whole_number(c.arguments[1], "the axis"), type.rank());
  return {type.dims[static_cast<size_t>(axis)]};
}

Value rank(BuiltinCall& c) {
  return {type_of(c, 0, "the argument of `rank`").rank()};
}

Value shape_of(BuiltinCall& c) {
  return numbers(type_of(c, 0, "the argument of `shape`").dims);
}

Value dtype_of(BuiltinCall& c) {
  return {type_of(c, 0, "the argument of `dtype`").dtype};
}

// One size may be -1: what the others leave.
Value reshape(BuiltinCall& c) {
  TensorRef x = tensor(c.arguments[0], "the first argument of `reshape`");
  Type type = c.trace.type(x);
  std::vector<int64_t> dims = whole_numbers(c.arguments[1], "the shape");
  std::string wanted = to_string(dims);
  auto open = std::find(dims.begin(), dims.end(), -1);
  if (open != dims.end()) {
    *open = 1;
    check_size(dims);
    *open = std::max<int64_t>(type.elements() / element_count(dims), 1);
  }
  check_size(dims);
  if (element_count(dims) != type.elements())
    fail("cannot reshape {} ({} elements) to {}", to_string(type), type.elements(), wanted);
  return {c.trace.reshape(x, dims)};
}

Value broadcast_to(BuiltinCall& c) {
  TensorRef x = tensor(c.arguments[0], "the first argument of `broadcast_to`");
  return {c.trace.broadcast_to(x, shape(c.arguments[1], "the shape"))};
}

// --- Products ---

Value matmul(BuiltinCall& c) {
  TensorRef x = tensor(c.arguments[0], "the first argument of `matmul`");
  TensorRef y = tensor(c.arguments[1], "the second argument of `matmul`");
  return {c.trace.matmul(x, y, flag(c.arguments[2], "`transpose_a`"),
                         flag(c.arguments[3], "`transpose_b`"))};
}

// --- Functions of single elements; those of numbers alone are computed at once ---

template <const ComposedFunction& function>
Value composed_function(BuiltinCall& c) {
  const Value& x = c.arguments[0];
  if (!x.is_number())
    return {
        c.trace.composed(function, tensor(x, fmt::format("the operand of `{}`", function.name)))};
  double y = value_at(function, x.number());
  if (!std::isfinite(y))
    fail("`{}` of this number is not finite", function.name);
  return {y};
}

// --- The rest ---

Value len(BuiltinCall& c) {
  const List* list = c.arguments[0].get<List>();
  if (!list)
    fail("`len` takes a list, got {}", describe(c.arguments[0]));
  return {static_cast<int64_t>(list->size())};
}

Value is_list(BuiltinCall& c) {
  return {c.arguments[0].get<List>() != nullptr};
}

// [0, 1, ..., count - 1]
Value range(BuiltinCall& c) {
  int64_t count = whole_number(c.arguments[0], "the count");
  if (count < 0 || count > kMaxRange)
    fail("`range` takes a whole number from 0 to {}, got {}", kMaxRange, count);
  std::vector<int64_t> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), 0);
  return numbers(values);
}

// Numbers the random ops of a model, so that each draws numbers of its own.
Value stream(BuiltinCall& c) {
  return {c.trace.next_stream()};
}

Value require(BuiltinCall& c) {
  if (!truth(c.arguments[0], "the condition"))
    fail("{}", text(c.arguments[1], "the message"));
  return {};
}

constexpr Builtin kBuiltins[] = {
    {"acos", "x", composed_function<composed::acos>},
    {"acosh", "x", composed_function<composed::acosh>},
    {"asin", "x", composed_function<composed::asin>},
    {"asinh", "x", composed_function<composed::asinh>},
    {"atanh", "x", composed_function<composed::atanh>},
    {"broadcast_to", "x shape", broadcast_to},
    {"constant", "value", scaled_initializer<kConstant>},
    {"cosh", "x", composed_function<composed::cosh>},
    {"dim", "x axis", dim},
    {"dtype", "x", dtype_of},
    {"fan_in_uniform", "gain? fan_in?", fan_initializer<kFanInUniform>},
    {"full", "shape value dtype?", full},
    {"glorot_normal", "gain? fan_in?", fan_initializer<kGlorotNormal>},
    {"glorot_uniform", "gain? fan_in?", fan_initializer<kGlorotUniform>},
    {"he_normal", "gain? fan_in?", fan_initializer<kHeNormal>},
    {"he_uniform", "gain? fan_in?", fan_initializer<kHeUniform>},
    {"is_list", "value", is_list},
    {"len", "list", len},
    {"matmul", "x y transpose_a? transpose_b?", matmul},
    {"normal", "deviation", scaled_initializer<kNormal>},
    {"ones", "shape dtype?", ones},
    {"param", "shape init name? dtype?", param},
    {"range", "count", range},
    {"rank", "x", rank},
    {"require", "condition message", require},
    {"reshape", "x shape", reshape},
    {"shape", "x", shape_of},
    {"sinh", "x", composed_function<composed::sinh>},
    {"state", "shape init? name? dtype?", state},
    {"stream", "", stream},
    {"tan", "x", composed_function<composed::tan>},
    {"uniform", "bound", scaled_initializer<kUniform>},
    {"update", "state content", update},
    {"xavier_normal", "gain? fan_in?", fan_initializer<kXavierNormal>},
    {"xavier_uniform", "gain? fan_in?", fan_initializer<kXavierUniform>},
    {"zeros", "shape dtype?", zeros},
};

}  // namespace

std::span<const Builtin> builtins() {
  return kBuiltins;
}

const Builtin* find_builtin(std::string_view name) {
  for (const Builtin& builtin : kBuiltins)
    if (builtin.name == name)
      return &builtin;
  return nullptr;
}

}  // namespace gradc::model_text
