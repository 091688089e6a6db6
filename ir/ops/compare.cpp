// Comparison, logic, choice and conversion of elements.
#include <limits>

#include "ir/ops/rules.h"

namespace gradc::ops {

using loop::Code;

namespace {

Types bool_of_operands(std::span<const Type> x, const Attrs& attrs) {
  return one({DType::boolean, same_type(x, attrs)[0].dims});
}

Types bool_of_numbers(std::span<const Type> x, const Attrs& attrs) {
  return one({DType::boolean, same_number(x, attrs)[0].dims});
}

template <Code code>
loop::Scalar element_compare(loop::ElementContext& c) {
  return c.b.compare(code, c.at(0), c.at(1));
}

}  // namespace

extern constexpr OpDef equal = {
    .name = "equal",
    .doc = "Whether two elements are equal; NaN equals nothing.",
    .examples = "equal(f32[2,3], f32[2,3])\nequal(i32[4], i32[4])",
    .operands = 2,
    .commutative = true,
    .infer = bool_of_operands,
    .eval = eval_binary<[](double x, double y) { return x == y; }>,
    .vjp = zero_gradient,
    .element = element_compare<Code::equal>,
};

extern constexpr OpDef less = {
    .name = "less",
    .doc = "Whether an element of the first operand is less than that of the second.",
    .examples = "less(f32[2,3], f32[2,3])\nless(i32[4], i32[4])",
    .operands = 2,
    .infer = bool_of_numbers,
    .eval = eval_binary<[](double x, double y) { return x < y; }>,
    .vjp = zero_gradient,
    .element = element_compare<Code::less>,
};

extern constexpr OpDef less_equal = {
    .name = "less_equal",
    .doc = "Whether an element of the first operand is less than or equal to that of the second.",
    .examples = "less_equal(f32[2,3], f32[2,3])\nless_equal(i32[4], i32[4])",
    .operands = 2,
    .infer = bool_of_numbers,
    .eval = eval_binary<[](double x, double y) { return x <= y; }>,
    .vjp = zero_gradient,
    .element = element_compare<Code::less_equal>,
};

namespace {

Types bool_of_floats(std::span<const Type> x, const Attrs& attrs) {
  return one({DType::boolean, same_float(x, attrs)[0].dims});
}

loop::Scalar infinity_of(loop::ElementContext& c, double factor) {
  return c.b.constant(c.operand_type(0).dtype, factor * std::numeric_limits<double>::infinity());
}

std::vector<Tensor> eval_is_inf(std::span<const Tensor> x, const Op& op,
                                std::span<const Type> types) {
  Tensor y{types[0], x[0].data};
  for (double& value : y.data)
    value = std::isinf(value) && op.attrs.flag(value < 0 ? "detect_negative" : "detect_positive");
  return {y};
}

}  // namespace

extern constexpr OpDef is_finite = {
    .name = "is_finite",
    .doc = "Whether an element is neither infinite nor NaN.",
    .examples = "is_finite(f32[2,3])",
    .infer = bool_of_floats,
    .eval = eval_unary<[](double x) { return std::isfinite(x); }>,
    .vjp = zero_gradient,
    .element =
        [](loop::ElementContext& c) {
          return c.b.compare(Code::less, c.b.unary(Code::abs, c.at(0)), infinity_of(c, 1));
        },
};

extern constexpr OpDef is_inf = {
    .name = "is_inf",
    .doc =
        "Whether an element is infinity (`detect_positive`) or minus infinity "
        "(`detect_negative`).",
    .examples =
        "is_inf(f32[2,3]) {detect_negative=true, detect_positive=true}\n"
        "is_inf(f32[2,3]) {detect_negative=true, detect_positive=false}",
    .attrs = {{"detect_negative", AttrKind::boolean}, {"detect_positive", AttrKind::boolean}},
    .infer = bool_of_floats,
    .eval = eval_is_inf,
    .vjp = zero_gradient,
    .element =
        [](loop::ElementContext& c) {
          loop::Scalar result = c.b.constant(DType::boolean, 0);
          for (auto [factor, key] : {std::pair{-1.0, "detect_negative"}, {1.0, "detect_positive"}})
            if (c.attrs().flag(key))
              result = c.b.binary(Code::bit_or, result,
                                  c.b.compare(Code::equal, c.at(0), infinity_of(c, factor)));
          return result;
        },
};

extern constexpr OpDef is_nan = {
    .name = "is_nan",
    .doc = "Whether an element is NaN.",
    .examples = "is_nan(f32[2,3])",
    .infer = bool_of_floats,
    .eval = eval_unary<[](double x) { return std::isnan(x); }>,
    .vjp = zero_gradient,
    .element =
        [](loop::ElementContext& c) {
          loop::Scalar is_number = c.b.compare(Code::equal, c.at(0), c.at(0));
          return c.b.binary(Code::bit_xor, is_number, c.b.constant(DType::boolean, 1));
        },
};

extern constexpr OpDef logical_and = {
    .name = "logical_and",
    .doc = "Whether both elements are true.",
    .examples = "logical_and(bool[2,3], bool[2,3])",
    .operands = 2,
    .commutative = true,
    .infer = same_bool,
    .eval = eval_binary<[](double x, double y) { return x != 0 && y != 0; }>,
    .vjp = zero_gradient,
    .element = element_binary<Code::bit_and>,
};

extern constexpr OpDef logical_or = {
    .name = "logical_or",
    .doc = "Whether at least one of two elements is true.",
    .examples = "logical_or(bool[2,3], bool[2,3])",
    .operands = 2,
    .commutative = true,
    .infer = same_bool,
    .eval = eval_binary<[](double x, double y) { return x != 0 || y != 0; }>,
    .vjp = zero_gradient,
    .element = element_binary<Code::bit_or>,
};

extern constexpr OpDef logical_xor = {
    .name = "logical_xor",
    .doc = "Whether one of two elements is true and the other is not.",
    .examples = "logical_xor(bool[2,3], bool[2,3])",
    .operands = 2,
    .commutative = true,
    .infer = same_bool,
    .eval = eval_binary<[](double x, double y) { return (x != 0) != (y != 0); }>,
    .vjp = zero_gradient,
    .element = element_binary<Code::bit_xor>,
};

extern constexpr OpDef logical_not = {
    .name = "logical_not",
    .doc = "Whether an element is false.",
    .examples = "logical_not(bool[2,3])",
    .infer = same_bool,
    .eval = eval_unary<[](double x) { return x == 0; }>,
    .vjp = zero_gradient,
    .element =
        [](loop::ElementContext& c) {
          return c.b.binary(Code::bit_xor, c.at(0), c.b.constant(DType::boolean, 1));
        },
};

extern constexpr OpDef select = {
    .name = "select",
    .doc = "The second operand's element where the first is true, the third's elsewhere.",
    .examples =
        "select(bool[2,3], f32[2,3], f32[2,3])\n"
        "select(bool[4], i32[4], i32[4])",
    .operands = 3,
    .exact = true,
    .infer =
        [](std::span<const Type> x, const Attrs& attrs) {
          if (x[0] != Type{DType::boolean, x[1].dims})
            fail("the condition is {}, it must be bool{}", to_string(x[0]), to_string(x[1].dims));
          return same_type(x.subspan(1), attrs);
        },
    .eval =
        [](std::span<const Tensor> x, const Op&, std::span<const Type> types) {
          Tensor y{types[0], x[2].data};
          for (size_t i = 0; i < y.data.size(); ++i)
            if (x[0].data[i] != 0)
              y.data[i] = x[1].data[i];
          return std::vector{y};
        },
    .vjp =
        [](Vjp& g) {
          ValueId zero = g.b.constant_like(g.dy(), 0.0);
          g.add(1, g.b.select(g.x(0), g.dy(), zero));
          g.add(2, g.b.select(g.x(0), zero, g.dy()));
        },
    .element = [](loop::ElementContext& c) { return c.b.select(c.at(0), c.at(1), c.at(2)); },
};

// The gradient is the cast back; there is none through whole numbers and bool.
extern constexpr OpDef cast = {
    .name = "cast",
    .doc =
        "Each element as `dtype`: floats become whole numbers toward zero, and the nearest that "
        "fits, NaN 0; integers keep their low bits; any number but 0 becomes true. What becomes a "
        "float is rounded to nearest, ties to even.",
    .examples =
        "cast(f32[2,3]) {dtype=f64}\ncast(f32[2,3]) {dtype=i32}\ncast(bool[4]) {dtype=f32}\n"
        "cast(i32[4]) {dtype=f32}\ncast(f32[4]) {dtype=bool}",
    .attrs = {{"dtype", AttrKind::dtype}},
    .exact = true,
    .infer = [](std::span<const Type> x,
                const Attrs& a) { return one({a.dtype("dtype"), x[0].dims}); },
    .eval =
        [](std::span<const Tensor> x, const Op&, std::span<const Type> types) {
          Tensor y{types[0], x[0].data};
          bool keeps_bits = is_integer(x[0].type.dtype) && is_integer(types[0].dtype);
          for (double& value : y.data)
            value = keeps_bits ? value : converted(types[0].dtype, value);
          return std::vector{y};
        },
    .vjp =
        [](Vjp& g) {
          if (is_float(g.x_type().dtype) && is_float(g.y_type().dtype))
            g.add(0, g.b.op(Opcode::cast, {g.dy()}, {{"dtype", g.x_type().dtype}}));
        },
    .element = [](loop::ElementContext& c) { return c.b.convert(c.at(0), c.result_type().dtype); },
};

}  // namespace gradc::ops
