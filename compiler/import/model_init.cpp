#include "compiler/import/model_init.h"

#include <array>
#include <cmath>
#include <numbers>

namespace gradc::model_text {
namespace {

// Random distributions: with the given deviation or bound, or with variance / fan. He et al. 2015
// keep the scale through relu by 2 / fan in; Glorot and Bengio 2010 that of values and gradients by
// 1 / the mean of fan in and fan out.
enum class Fan : uint8_t { none, in, mean };
struct Rule {
  std::string_view name;
  bool normal = false;  // else uniform in +-bound
  Fan fan = Fan::none;
  double variance = 0;  // times fan
};

constexpr std::array<Rule, 9> kRules = {{
    {"normal", true},
    {"uniform", false},
    {"he_normal", true, Fan::in, 2},
    {"he_uniform", false, Fan::in, 2},
    {"glorot_normal", true, Fan::mean, 1},
    {"glorot_uniform", false, Fan::mean, 1},
    {"xavier_normal", true, Fan::mean, 1},
    {"xavier_uniform", false, Fan::mean, 1},
    {"fan_in_uniform", false, Fan::in, 1.0 / 3},
}};

// Streams of the training step count from 0: with the same seed, dropout in step 0 must not draw
// the numbers that the parameters began with.
constexpr int64_t kFirstStream = 1 << 24;

const Rule* find_rule(std::string_view name) {
  for (const Rule& rule : kRules)
    if (rule.name == name)
      return &rule;
  return nullptr;
}

// Weights are [out, in, kernel...].
double fan(const Initializer& initializer, Fan kind, const Dims& dims) {
  if (initializer.fan_in)
    return static_cast<double>(initializer.fan_in);
  int64_t receptive = 1;
  for (size_t axis = 2; axis < dims.size(); ++axis)
    receptive *= dims[axis];
  auto in = static_cast<double>(dims[1] * receptive);
  auto out = static_cast<double>(dims[0] * receptive);
  return kind == Fan::in ? in : (in + out) / 2;
}

double deviation(const Initializer& initializer, const Rule& rule, const Dims& dims) {
  return initializer.scale * std::sqrt(rule.variance / fan(initializer, rule.fan, dims));
}

// Uniform numbers in [0, 1).
ValueId uniform01(Builder& b, ValueId seed, const Type& type, int64_t stream) {
  ValueId step = b.constant(scalar_type(DType::i64), 0);
  ValueId u =
      b.op(Opcode::random_uniform, {seed, step}, {{"shape", type.dims}, {"stream", stream}});
  return type.dtype == DType::f32 ? u : b.op(Opcode::cast, {u}, {{"dtype", type.dtype}});
}

ValueId scaled(Builder& b, ValueId x, double factor) {
  return b.op(Opcode::mul, {x, b.constant_like(x, factor)});
}

// u in [-bound, bound): (2 u01 - 1) bound
ValueId uniform(Builder& b, ValueId seed, const Type& type, int64_t stream, double bound) {
  ValueId u = scaled(b, uniform01(b, seed, type, stream), 2 * bound);
  return b.op(Opcode::sub, {u, b.constant(type, bound)});
}

// Box and Muller 1958: sqrt(-2 log(1 - u)) cos(2 pi v)
ValueId normal(Builder& b, ValueId seed, const Type& type, int64_t stream, double deviation) {
  ValueId u = uniform01(b, seed, type, stream);
  ValueId v = uniform01(b, seed, type, stream + 1);
  ValueId positive = b.op(Opcode::sub, {b.constant(type, 1), u});
  ValueId radius = b.op(Opcode::sqrt, {scaled(b, b.op(Opcode::log, {positive}), -2)});
  ValueId angle = scaled(b, v, 2 * std::numbers::pi);
  return scaled(b, b.op(Opcode::mul, {radius, b.op(Opcode::cos, {angle})}), deviation);
}

ValueId first_content(Builder& b, ValueId seed, const StateDecl& state, int64_t stream) {
  const Type& type = state.tensor.type;
  const Rule* rule = find_rule(state.initializer.name);
  if (!rule)
    return b.constant(type, state.initializer.scale);
  double scale = state.initializer.scale;
  if (rule->fan != Fan::none)
    scale = deviation(state.initializer, *rule, type.dims) * (rule->normal ? 1 : std::sqrt(3.0));
  return rule->normal ? normal(b, seed, type, stream, scale)
                      : uniform(b, seed, type, stream, scale);
}

}  // namespace

Initializer initializer(const Value& value) {
  if (value.is_number())
    return {"constant", value.number(), 0};
  if (const auto* given = value.get<Initializer>())
    return *given;
  if (const auto* named = value.get<FunctionRef>()) {
    if (named->name == "zeros" || named->name == "ones")
      return {"constant", named->name == "ones" ? 1.0 : 0.0, 0};
    const Rule* rule = find_rule(named->name);
    if (rule && rule->fan != Fan::none)
      return {named->name, 1, 0};
    if (rule || named->name == "constant")
      fail("`{}` needs a number: init={}(0.02)", named->name, named->name);
  }
  fail("`init` must be an initialiser such as zeros, he_uniform or normal(0.02), got {}",
       describe(value));
}

void check_initializer(const Initializer& initializer, const Type& type) {
  const Rule* rule = find_rule(initializer.name);
  if (rule && !is_float(type.dtype))
    fail("`{}` gives real numbers, but the tensor is {}", initializer.name, to_string(type));
  if (rule && rule->fan != Fan::none && type.rank() < 2 && !initializer.fan_in)
    fail("`{}` needs a weight of shape [out, in, ...], got {}; give it `fan_in=`", initializer.name,
         to_string(type.dims));
  if (!rule && !is_float(type.dtype) && initializer.scale != std::floor(initializer.scale))
    fail("{} is not a whole number, but the tensor is {}", initializer.scale, to_string(type));
}

Function init_entry(std::span<const StateDecl> states) {
  Function entry;
  entry.name = "init";
  Builder b(entry);
  ValueId seed = b.parameter(scalar_type(DType::i64), "seed");
  int64_t stream = kFirstStream;
  for (const StateDecl& state : states) {
    b.loc = state.tensor.loc;
    ValueId content = first_content(b, seed, state, stream);
    b.set_name(content, state.tensor.name);
    b.result(content, "", state.tensor.name);
    stream += 2;  // a normal distribution takes two
  }
  return entry;
}

}  // namespace gradc::model_text
