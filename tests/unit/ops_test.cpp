// Walks over the op table: what every record must keep, on every example.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "ir/builder.h"
#include "ir/eval.h"
#include "ir/op_def.h"
#include "ir/parse.h"
#include "ir/philox.h"
#include "ir/print.h"
#include "ir/verify.h"
#include "tests/support/feed.h"
#include "tests/support/gradient.h"
#include "tests/support/window_examples.h"

using namespace gradc;
using namespace gradc::test;

namespace {

constexpr double kTolerance = 1e-6;  // of differences

// Calls f(line, example) for all examples of all ops.
template <typename F>
void for_each_example(F f) {
  for (Opcode code : all_opcodes())
    for (std::string_view line : example_lines(def(code).examples))
      f(line, parse_example(line));
}

Module module_of(const Function& function) {
  Module module;
  module.name = "m";
  module.functions = {function};
  return module;
}

// Replaces the results by the sum of all elements of those of float type, each weighted by the
// element of a new parameter. False if there are none.
bool sum_up(Function& function, Feed& feed, std::vector<Tensor>& arguments) {
  Builder b(function);
  std::optional<ValueId> sum;
  for (const Result& result : std::vector(function.results)) {
    Type type = function.type(result.value);
    if (!is_float(type.dtype))
      continue;
    ValueId weight = b.parameter(type, "weight");
    arguments.push_back(feed.tensor(type, Domain::positive));
    std::vector<int64_t> all_axes = other_axes({}, type.rank());
    ValueId weighted = b.reduce_sum(b.mul(result.value, weight), all_axes);
    if (type.dtype != DType::f64)
      weighted = b.op(Opcode::cast, {weighted}, {{"dtype", DType::f64}});
    sum = sum ? b.add(*sum, weighted) : weighted;
  }
  if (sum)
    function.results = {{*sum, "sum", ""}};
  return sum.has_value();
}

// `stop_gradient` is the one op whose gradient is not its derivative.
bool has_true_gradient(const Example& example) {
  return def(example.code).vjp && example.code != Opcode::stop_gradient;
}

std::string error_of(std::string_view example) {
  Example parsed = parse_example(example);
  try {
    infer_types(parsed.code, parsed.operands, parsed.attrs);
  } catch (const UserError& error) {
    return error.message();
  }
  return "";
}

}  // namespace

TEST_CASE("every op has a doc, examples and what its class needs", "[ops]") {
  for (Opcode code : all_opcodes()) {
    const OpDef& op = def(code);
    INFO(op.name);
    CHECK(op.doc.size() > 10);
    CHECK(op.doc.back() == '.');
    if (op.kernel == KernelClass::control)
      continue;
    CHECK(!op.examples.empty());
    CHECK(op.infer);
    CHECK(op.eval);
    CHECK((op.element != nullptr) ==
          (op.kernel == KernelClass::map || op.kernel == KernelClass::view));
    bool has_parts = op.kernel == KernelClass::composite;
    CHECK((op.expand != nullptr || !has_parts));
    CHECK((op.expand == nullptr || has_parts || op.kernel == KernelClass::custom));
    CHECK((op.contraction != nullptr) == (op.kernel == KernelClass::contract));
  }
}

TEST_CASE("the table is alphabetical and found by name", "[ops]") {
  std::string_view previous;
  for (Opcode code : all_opcodes()) {
    CHECK(previous < def(code).name);
    CHECK(opcode_named(def(code).name) == code);
    previous = def(code).name;
  }
}

TEST_CASE("every example evaluates to the inferred types and round-trips as text", "[ops]") {
  for_each_example([](std::string_view line, const Example& example) {
    INFO(line);
    CHECK(def(example.code).name == line.substr(0, line.find('(')));
    Module module = module_of(function_of(example));
    verify(module);
    std::string text = print(module);
    CHECK(print(parse_module(text, "example.ir")) == text);
    Feed feed(1);
    const Function& function = module.functions[0];
    for (const Tensor& result : eval_closed(module, function, operands_for(example, feed)))
      for (double value : result.data)
        CHECK(std::isfinite(value));
    CHECK(flops_of(function, function.ops[0]) >= 0);
  });
}

TEST_CASE("every gradient rule agrees with differences", "[ops][gradient]") {
  for_each_example([](std::string_view line, const Example& example) {
    INFO(line);
    Feed feed(2);
    std::vector<Tensor> arguments = operands_for(example, feed);
    Function function = function_of(example);
    if (sum_up(function, feed, arguments) && has_true_gradient(example))
      CHECK(gradient_error(function, arguments, feed) < kTolerance);
  });
}

// The gradient function consists of ops of the table, so it can be differentiated as well.
TEST_CASE("every gradient has a gradient", "[ops][gradient]") {
  for_each_example([](std::string_view line, const Example& example) {
    INFO(line);
    Feed feed(3);
    std::vector<Tensor> arguments = operands_for(example, feed);
    Function function = function_of(example);
    if (!sum_up(function, feed, arguments) || !has_true_gradient(example))
      return;
    Function gradient = gradient_function(function);
    verify(module_of(gradient));
    if (sum_up(gradient, feed, arguments))
      CHECK(gradient_error(gradient, arguments, feed) < kTolerance);
  });
}

TEST_CASE("every inverse gives the operand back from the result", "[ops]") {
  int given = 0;
  for_each_example([&](std::string_view line, const Example& example) {
    if (!def(example.code).inverse)
      return;
    Feed feed(5);
    std::vector<Tensor> arguments = operands_for(example, feed);
    Tensor y = eval_closed(Module{}, function_of(example), arguments)[0];
    for (size_t sought = 0; sought < arguments.size(); ++sought) {
      CAPTURE(line, sought);
      Function inverse;
      Builder builder(inverse);
      Op op{.code = example.code, .attrs = example.attrs};
      for (const Type& type : example.operands)
        op.operands.push_back(builder.parameter(type, "x"));
      ValueId result = builder.parameter(y.type, "y");
      op.operands[sought] = {};
      ValueId x = def(op).inverse(builder, op, example.operands, sought, result);
      if (!x.valid())
        continue;
      builder.result(x);
      verify(module_of(inverse));
      std::vector<Tensor> known = arguments;
      for (double& number : known[sought].data)
        number = 7;
      known.push_back(y);
      Tensor back = eval_closed(Module{}, inverse, known)[0];
      REQUIRE(back.type == example.operands[sought]);
      for (size_t i = 0; i < back.data.size(); ++i)
        CHECK(back.data[i] == Approx(arguments[sought].data[i]));
      ++given;
    }
  });
  CHECK(given > 25);
}

TEST_CASE("a factor gives the other one back only if it is never 0", "[ops]") {
  Function function;
  Builder b(function);
  ValueId y = b.parameter({DType::f32, {3}}, "y"), any = b.parameter({DType::f32, {3}}, "any");
  auto inverse = [&](ValueId factor) {
    Op op{.code = Opcode::mul, .operands = {ValueId{}, factor}};
    std::vector<Type> types(2, b.type(y));
    return ops::mul.inverse(b, op, types, 0, y);
  };
  CHECK(!inverse(any).valid());
  CHECK(!inverse(b.constant_like(y, 0)).valid());
  CHECK(!inverse(b.op(Opcode::relu, {any})).valid());
  CHECK(inverse(b.constant_like(y, 0.5)).valid());
  CHECK(inverse(b.mul(b.op(Opcode::exp, {any}), b.constant_like(y, -2))).valid());
}

TEST_CASE("windows of all kinds have gradients", "[ops][gradient]") {
  Feed feed(7);
  for (int i = 0; i < 200; ++i) {
    Example example = random_window(feed);
    if (i % 2) {
      example.code = Opcode::window_sum;
      example.attrs.set("base_dilation", std::vector{1 + feed.below(4)});
    }
    INFO(def(example.code).name << to_string(example.operands[0]) << to_string(example.attrs));
    Feed values(8);
    std::vector<Tensor> arguments = operands_for(example, values);
    Function function = function_of(example);
    REQUIRE(sum_up(function, values, arguments));
    CHECK(gradient_error(function, arguments, values) < kTolerance);
    Function gradient = gradient_function(function);
    REQUIRE(sum_up(gradient, values, arguments));
    CHECK(gradient_error(gradient, arguments, values) < kTolerance);
  }
}

// By the number of the first maximum, which is compared with the search for it.
TEST_CASE("max pooling of images sends gradients to the first maxima", "[ops][gradient]") {
  Feed feed(11);
  for (int i = 0; i < 200; ++i) {
    Example rows = random_window(feed), columns = random_window(feed);
    Attrs attrs;
    for (std::string_view key : {"high", "low", "stride", "window"})
      attrs.set(key, std::vector{rows.attrs.integers(key)[0], columns.attrs.integers(key)[0]});
    auto dilation = [](const Example& e) {
      return e.attrs.has("dilation") ? e.attrs.integers("dilation")[0] : 1;
    };
    if (dilation(rows) * dilation(columns) > 1)
      attrs.set("dilation", std::vector{dilation(rows), dilation(columns)});
    Type image{DType::f32, {2, 1, rows.operands[0].dims[1], columns.operands[0].dims[1]}};
    INFO(to_string(image) << to_string(attrs));
    Function function = function_of({Opcode::window_max, {image}, attrs});
    Type windows = function.type(function.results[0].value);
    std::vector<Tensor> arguments = {{image, {}}};
    for (int64_t element = 0; element < image.elements(); ++element)
      arguments[0].data.push_back(static_cast<double>(feed.below(4)));  // equal ones are frequent
    Feed weights(12);
    REQUIRE(sum_up(function, weights, arguments));
    Tensor gradient = eval_closed(Module{}, gradient_function(function), arguments)[0];
    Op scatter{.code = Opcode::window_max_scatter, .attrs = attrs};
    std::vector<Tensor> operands = {arguments[0], arguments[1]};
    REQUIRE(operands[1].type == windows);
    Tensor expected = ops::window_max_scatter.eval(operands, scatter, {&image, 1})[0];
    REQUIRE(gradient.data.size() == expected.data.size());
    for (size_t element = 0; element < expected.data.size(); ++element)
      CHECK(gradient.data[element] == Approx(expected.data[element]));
  }
}

TEST_CASE("stop_gradient has a gradient of zero", "[ops][gradient]") {
  Feed feed(4);
  Example example = parse_example("stop_gradient(f32[2,3])");
  std::vector<Tensor> arguments = operands_for(example, feed);
  Function function = function_of(example);
  REQUIRE(sum_up(function, feed, arguments));
  std::vector<Tensor> gradients = eval_closed(Module{}, gradient_function(function), arguments);
  CHECK(gradients[0].data == std::vector<double>(6, 0.0));
}

TEST_CASE("a product with zeros has a gradient, which has one too", "[ops][gradient]") {
  Feed feed(9);
  Example example = parse_example("reduce_prod(f32[3,5]) {axes=[1]}");
  std::vector<Tensor> arguments = operands_for(example, feed);
  arguments[0].data[1] = 0;
  arguments[0].data[6] = arguments[0].data[9] = 0;
  Function function = function_of(example);
  REQUIRE(sum_up(function, feed, arguments));
  CHECK(gradient_error(function, arguments, feed) < kTolerance);
  Function gradient = gradient_function(function);
  REQUIRE(sum_up(gradient, feed, arguments));
  CHECK(gradient_error(gradient, arguments, feed) < kTolerance);
}

TEST_CASE("top_k orders ties by index and puts NaN first", "[ops]") {
  const double nan = std::nan("");
  auto order = [&](std::string_view line) {
    Example example = parse_example(line);
    std::vector<Tensor> x = {{example.operands[0], {1, 2, nan, 2, 1, 3, nan}}};
    return eval_closed(Module{}, function_of(example), x)[1].data;
  };
  CHECK(order("top_k(f32[7]) {axis=0, k=5, largest=true}") == std::vector<double>{2, 6, 5, 1, 3});
  CHECK(order("top_k(f32[7]) {axis=0, k=5, largest=false}") == std::vector<double>{2, 6, 0, 4, 1});
}

TEST_CASE("scatter's products with zeros have gradients", "[ops][gradient]") {
  Feed feed(10);
  Example example = parse_example("scatter(f32[4], i32[6], f32[6]) {axis=0, reduction=\"mul\"}");
  std::vector<Tensor> arguments = operands_for(example, feed);
  arguments[1].data = {0, 1, 1, 2, 2, 2};
  arguments[2].data[1] = arguments[2].data[3] = arguments[2].data[4] = 0;
  Function function = function_of(example);
  REQUIRE(sum_up(function, feed, arguments));
  CHECK(gradient_error(function, arguments, feed) < kTolerance);
}

TEST_CASE("commutative ops commute", "[ops]") {
  for_each_example([](std::string_view line, const Example& example) {
    if (!def(example.code).commutative)
      return;
    REQUIRE(example.operands.size() == 2);
    INFO(line);
    Feed feed(5);
    std::vector<Tensor> operands = operands_for(example, feed);
    Function function = function_of(example);
    std::vector<Tensor> forward = eval_closed(Module{}, function, operands);
    std::swap(operands[0], operands[1]);
    std::vector<Tensor> swapped = eval_closed(Module{}, function, operands);
    CHECK(forward[0].data == swapped[0].data);
  });
}

TEST_CASE("composites expand to what they evaluate to", "[ops]") {
  for_each_example([](std::string_view line, const Example& example) {
    if (!def(example.code).expand)
      return;
    INFO(line);
    Feed feed(6);
    std::vector<Tensor> operands = operands_for(example, feed);
    Function whole = function_of(example), parts = expanded(whole, true);
    verify(module_of(parts));
    std::vector<Tensor> expected = eval_closed(Module{}, whole, operands);
    std::vector<Tensor> results = eval_closed(Module{}, parts, operands);
    REQUIRE(results.size() == expected.size());
    for (size_t i = 0; i < results.size(); ++i) {
      REQUIRE(results[i].type == expected[i].type);
      for (size_t k = 0; k < results[i].data.size(); ++k)
        CHECK(difference(results[i].data[k], expected[i].data[k]) < 1e-9);
    }
  });
}

TEST_CASE("operands and attributes that do not fit are named", "[ops][errors]") {
  struct Case {
    std::string_view example, message;
  };
  const Case cases[] = {
      {"add(f32[2], f32[3])", "operand types differ: f32[2] and f32[3]"},
      {"exp(i32[2])", "operands must be floats, got i32[2]"},
      {"mul(bool[2], bool[2])", "operands must be numbers, got bool[2]"},
      {"logical_not(f32[2])", "operands must be bool, got f32[2]"},
      {"select(f32[2], f32[2], f32[2])", "the condition is f32[2], it must be bool[2]"},
      {"slice(f32[4]) {begin=[1], end=[5], step=[1]}",
       "axis 0 of f32[4] cannot be sliced from 1 to 5 by 1: needs 0 <= begin < end <= 4, step >= "
       "1"},
      {"slice(f32[4]) {begin=[1,0], end=[2], step=[1]}",
       "`begin` must have 1 entries, one per axis, got [1,0]"},
      {"pad(f32[4]) {high=[-1], low=[0], value=0.0}",
       "axis 0 is padded by 0, -1 and 0 between: paddings cannot be negative"},
      {"concat(f32[2,3], f32[2]) {axis=0}",
       "cannot concatenate f32[2,3] and f32[2] along axis 0: all else must be equal"},
      {"concat(f32[2]) {axis=1}", "`axis` must lie in [0, 1), got 1"},
      {"gather(f32[4], f32[2]) {axis=0}", "indices must be integers, got f32[2]"},
      {"gather_elements(f32[4,3], i32[5,4]) {axis=0}",
       "indices i32[5,4] do not fit f32[4,3]: one rank, and no size above it but along axis 0"},
      {"gather_nd(f32[4,3], i32[5,3])",
       "indices i32[5,3] hold 3 numbers a position, f32[4,3] has 2 axes to be indexed"},
      {"gather_nd(f32[4,3], i32[5,3]) {batch_dims=1}",
       "the first 1 axes of f32[4,3] and of indices i32[5,3] must be equal"},
      {"scatter(f32[4,3], i32[2], f32[3,3]) {axis=0, reduction=\"add\"}",
       "updates f32[3,3] of f32[4,3] at indices i32[2] must be f32[2,3]"},
      {"scatter_elements(f32[4], i32[2], f32[2]) {axis=0, reduction=\"sum\"}",
       "`reduction` must be \"none\", \"add\", \"mul\", \"max\" or \"min\", got \"sum\""},
      {"top_k(f32[4]) {axis=0, k=5, largest=true}",
       "`k` must lie in [1, 4], the size of axis 0 of f32[4], got 5"},
      {"celu(f32[4]) {alpha=0.0}", "`alpha` must be positive, got 0"},
      {"window_max(f32[1]) {dilation=[2], high=[2], low=[1], stride=[1], window=[2]}",
       "axis 0: window 0 holds no element, only padding"},
      {"scatter_add(i32[2], f32[3]) {axis=0, size=4}",
       "updates f32[3] do not hold the indices' shape [2] at axis 0"},
      {"window_sum(f32[4]) {high=[0], low=[2], stride=[1], window=[2]}",
       "axis 0: padding 2 before and 0 after must not be negative, and that before less than the "
       "window, 2"},
      {"window_sum(f32[4]) {high=[0], low=[0], stride=[1], window=[5]}",
       "axis 0: a window of 5 does not fit into size 4 padded by 0 and 0"},
      {"window_max(f32[4]) {high=[2], low=[0], stride=[1], window=[2]}",
       "axis 0: padding 2 after must be less than the window, 2"},
      {"window_max_scatter(f32[4], f32[3]) {high=[0], low=[0], stride=[2], window=[2]}",
       "f32[4] has windows f32[2], the second operand is f32[3]"},
      {"random_uniform(i32[], i64[]) {shape=[2], stream=1}",
       "seed and step must be i64[], got i32[]"},
      {"tanh(f32[2]) {axis=1}", "`tanh` has no attribute `axis`"},
      {"reverse(f32[2])", "`reverse` needs the attribute `axes`"},
      {"iota() {axis=0.5, dtype=f32, shape=[2]}",
       "attribute `axis` of `iota` is real, expected integer"},
  };
  for (const Case& wrong : cases) {
    INFO(wrong.example);
    CHECK(error_of(wrong.example) == wrong.message);
  }
}

TEST_CASE("special values follow the documented rules", "[ops]") {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  auto result = [](std::string_view line, std::vector<std::vector<double>> data) {
    Example example = parse_example(line);
    std::vector<Tensor> operands;
    for (size_t i = 0; i < data.size(); ++i)
      operands.push_back({example.operands[i], data[i]});
    return eval_closed(Module{}, function_of(example), operands)[0].data;
  };
  CHECK(result("round(f32[6])", {{0.5, 1.5, 2.5, -0.5, -1.5, 2.4}}) ==
        std::vector<double>{0, 2, 2, 0, -2, 2});
  CHECK(result("is_finite(f32[4])", {{0, inf, -inf, nan}}) == std::vector<double>{1, 0, 0, 0});
  CHECK(result("cast(f32[4]) {dtype=i32}", {{1.9, -1.9, 0.5, -0.5}}) ==
        std::vector<double>{1, -1, 0, 0});
  CHECK(result("is_nan(f32[4])", {{0, inf, -inf, nan}}) == std::vector<double>{0, 0, 0, 1});
  CHECK(result("is_inf(f32[4]) {detect_negative=false, detect_positive=true}",
               {{0, inf, -inf, nan}}) == std::vector<double>{0, 1, 0, 0});
  CHECK(result("mod(i32[6], i32[6])", {{7, -7, 7, -7, 6, 5}, {3, 3, -3, -3, -3, 0}}) ==
        std::vector<double>{1, 2, -2, -1, 0, 0});
  CHECK(result("fmod(i32[6], i32[6])", {{7, -7, 7, -7, 6, 5}, {3, 3, -3, -3, -3, 0}}) ==
        std::vector<double>{1, -1, 1, -1, 0, 0});
  CHECK(result("arg_max(f32[4]) {axis=0, last=true}", {{1, 3, 3, 2}}) == std::vector<double>{2});
  CHECK(result("arg_min(f32[4]) {axis=0}", {{1, 0, 3, 0}}) == std::vector<double>{1});
  CHECK(result("arg_min(f32[4]) {axis=0, last=true}", {{1, 0, 3, 0}}) == std::vector<double>{3});
  CHECK(std::isnan(result("maximum(f32[1], f32[1])", {{nan}, {1}})[0]));
  CHECK(std::isnan(result("minimum(f32[1], f32[1])", {{1}, {nan}})[0]));
  CHECK(std::isnan(result("reduce_max(f32[3]) {axes=[0]}", {{1, nan, 2}})[0]));
  CHECK(result("gather(f32[3], i32[3]) {axis=0}", {{5, 6, 7}, {-1, 1, 9}}) ==
        std::vector<double>{5, 6, 7});
  CHECK(result("scatter_add(i32[3], f32[3]) {axis=0, size=2}", {{-1, 0, 9}, {1, 2, 4}}) ==
        std::vector<double>{3, 4});
  CHECK(result("gather_elements(f32[3], i32[3]) {axis=0}", {{5, 6, 7}, {-1, 1, 9}}) ==
        std::vector<double>{5, 6, 7});
  CHECK(result("gather_nd(f32[2,2], i32[2,2])", {{5, 6, 7, 8}, {-3, 1, 9, -1}}) ==
        std::vector<double>{6, 7});
  CHECK(result("scatter(f32[3], i32[3], f32[3]) {axis=0, reduction=\"none\"}",
               {{5, 6, 7}, {-1, 9, 2}, {1, 2, 3}}) == std::vector<double>{1, 6, 3});
  CHECK(result("scatter_elements(f32[3], i32[4], f32[4]) {axis=0, reduction=\"mul\"}",
               {{5, 6, 7}, {-1, 9, 2, 0}, {2, 3, 4, 5}}) == std::vector<double>{50, 6, 84});
  CHECK(result("scatter_nd(f32[2,2], u8[2,2], f32[2]) {reduction=\"add\"}",
               {{5, 6, 7, 8}, {0, 200, 9, 0}, {10, 20}}) == std::vector<double>{5, 16, 27, 8});
  CHECK(result("one_hot(i32[2]) {dtype=f32, size=2}", {{1, 5}}) == std::vector<double>{0, 1, 0, 0});
  CHECK(result("arg_max(f32[4]) {axis=0}", {{1, 3, 3, 2}}) == std::vector<double>{1});
  CHECK(result("window_max_scatter(f32[4], f32[2]) {high=[0], low=[0], stride=[2], window=[2]}",
               {{3, 3, 1, 2}, {10, 20}}) == std::vector<double>{10, 0, 0, 20});
}

// The vectors that come with the authors' library Random123 (kat_vectors).
TEST_CASE("Philox gives the published vectors", "[ops][random]") {
  CHECK(philox({0, 0, 0, 0}, {0, 0}) ==
        std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) ==
        std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("random numbers depend on seed, step and stream, and are spread evenly",
          "[ops][random]") {
  auto draw = [](double seed, double step, int stream) {
    Example example = parse_example(
        fmt::format("random_uniform(i64[], i64[]) {{shape=[1000], stream={}}}", stream));
    std::vector<Tensor> operands = {{example.operands[0], {seed}}, {example.operands[1], {step}}};
    return eval_closed(Module{}, function_of(example), operands)[0].data;
  };
  std::vector<double> first = draw(1, 2, 3);
  CHECK(first == draw(1, 2, 3));
  for (const auto& other : {draw(2, 2, 3), draw(1, 3, 3), draw(1, 2, 4)})
    CHECK(first != other);
  double sum = 0;
  for (double value : first) {
    CHECK((value >= 0 && value < 1));
    sum += value;
  }
  CHECK(std::abs(sum / 1000 - 0.5) < 0.03);  // 3 standard deviations
}
