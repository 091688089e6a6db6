#include "compiler/import/model_text.h"

#include <catch2/catch.hpp>

#include "ir/diagnostic.h"
#include "ir/eval.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "ir/verify.h"

using namespace gradc;

namespace {

Module imported(const std::string& text, bool train = true,
                const std::map<std::string, int64_t>& binds = {}) {
  Options options;
  options.train = train;
  options.binds = binds;
  Module module = import_model_text(text, "t.model", options);
  verify(module);
  std::string printed = print(module);
  CHECK(print(parse_module(printed, "t.ir")) == printed);
  return module;
}

// A model on x: f32[2,3] whose body is `body`.
Module of_body(const std::string& body) {
  return imported("model m(x: f32[2, 3]) {\n" + body + "\n}\n", false);
}

std::vector<std::string> state_names(const Module& module) {
  std::vector<std::string> names;
  for (const StateTensor& state : module.states)
    names.push_back(state.name);
  return names;
}

// The text of one function of the module.
std::string text_of(const Module& module, const std::string& function) {
  return print(module.function(function));
}

std::vector<Tensor> run(const Module& module, const std::string& entry,
                        const std::vector<Tensor>& inputs, State& state) {
  return eval(module, module.function(entry), inputs, state);
}

State first_state(const Module& module) {
  State state;
  Tensor seed{scalar_type(DType::i64), {7}};
  eval(module, module.function("init"), {&seed, 1}, state);
  return state;
}

}  // namespace

TEST_CASE("a perceptron becomes three entries", "[model]") {
  Module module = imported(R"(
dim batch = 4
model mlp(x: f32[batch, 8], y: f32[batch, 2]) {
  h = dense(x, 3) |> tanh
  output = dense(h, 2)
  loss = mean((output - y) ** 2)
  return loss, output
})");
  CHECK(module.name == "mlp");
  CHECK(state_names(module) ==
        std::vector<std::string>{"dense_1.w", "dense_1.b", "dense_2.w", "dense_2.b"});
  CHECK(module.states[0].loc == "t.model:4:7");
  CHECK(
      text_of(module, "infer") ==
      R"(entry @infer(%x: f32[4,8], %dense_1.w: f32[3,8] = @dense_1.w, %dense_1.b: f32[3] = @dense_1.b, %dense_2.w: f32[2,3] = @dense_2.w, %dense_2.b: f32[2] = @dense_2.b) {
forward:
  %dot: f32[4,3] = dot(%x, %dense_1.w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]} loc "t.model:4:7"
  %broadcast: f32[4,3] = broadcast(%dense_1.b) {axes=[1], shape=[4,3]} loc "t.model:4:7"
  %add: f32[4,3] = add(%dot, %broadcast) loc "t.model:4:7"
  %h: f32[4,3] = tanh(%add) loc "t.model:4:22"
  %dot.1: f32[4,2] = dot(%h, %dense_2.w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]} loc "t.model:5:12"
  %broadcast.1: f32[4,2] = broadcast(%dense_2.b) {axes=[1], shape=[4,2]} loc "t.model:5:12"
  %output: f32[4,2] = add(%dot.1, %broadcast.1) loc "t.model:5:12"
  return output=%output
}
)");
  const Function& train = module.function("train_step");
  std::vector<std::string> inputs;
  for (const Parameter& parameter : train.parameters)
    if (parameter.state.empty())
      inputs.push_back(train[parameter.value].name);
  CHECK(inputs == std::vector<std::string>{"x", "y", "lr", "step", "total_steps", "seed"});
  CHECK(train.find_result("loss") != nullptr);
  CHECK(train.find_result("output") != nullptr);
}

TEST_CASE("without training there is no train_step, and no label", "[model]") {
  Module module = imported(
      "model m(x: f32[2], y: f32[2]) {\n  z = x * 2\n  loss = mean((z - y) ** 2)\n"
      "  return loss, z\n}\n",
      false);
  CHECK(module.find_function("train_step") == nullptr);
  CHECK(module.function("infer").parameters.size() == 1);
}

TEST_CASE("numbers are computed at compile time", "[model]") {
  auto number = [](const std::string& expression) {
    Module module = of_body("y = x * (" + expression + ")\nreturn y");
    State state;
    Tensor x{{DType::f32, {2, 3}}, std::vector<double>(6, 1.0)};
    return run(module, "infer", {x}, state)[0].data[0];
  };
  CHECK(number("2 + 3 * 4") == 14);
  CHECK(number("-2 ** 2") == -4);
  CHECK(number("2 ** 3 ** 2") == 512);
  CHECK(number("7 / 2") == 3.5);
  CHECK(number("-7 // 2 * 10 + -7 % 2") == -39);
  CHECK(number("sqrt(16) + maximum(2, 3)") == 7);
  CHECK(number("tan(0.5) - sin(0.5) / cos(0.5)") == 0);
  CHECK(number("1 if 2 < 3 and not 3 <= 2 else 0") == 1);
  CHECK(number("[5, 6, 7][-1] + len([1, 2][1:])") == 8);
  CHECK(number("dim(x, -1) * rank(x) + shape(x)[0]") == 8);
}

TEST_CASE("tensors broadcast as in NumPy", "[model]") {
  Module module = of_body(
      "row = sum(x, axes=0)\ncolumn = sum(x, axes=1, keep=true)\n"
      "y = row * column - 1\nreturn y");
  State state;
  Tensor x{{DType::f32, {2, 3}}, {1, 2, 3, 4, 5, 6}};
  Tensor y = run(module, "infer", {x}, state)[0];
  CHECK(y.type == Type{DType::f32, {2, 3}});
  CHECK(y.data == std::vector<double>{29, 41, 53, 74, 104, 134});
}

TEST_CASE("parameters are named by calls and ordinals", "[model]") {
  Module module = imported(R"(
fn block(x, out) {
  x = dense(x, out)
  return dense(x, out, bias=false)
}
model m(x: f32[2, 3]) {
  repeat 2 {
    x = block(x, 3)
  }
  x = block(x, 3, name="last")
  scale = param([3], init=ones)
  y = x * scale * param([3], init=ones, name="gain")
  return y
})",
                           false);
  CHECK(state_names(module) == std::vector<std::string>{"block_1.dense_1.w", "block_1.dense_1.b",
                                                        "block_1.dense_2.w", "block_2.dense_1.w",
                                                        "block_2.dense_1.b", "block_2.dense_2.w",
                                                        "last.dense_1.w", "last.dense_1.b",
                                                        "last.dense_2.w", "scale", "gain"});
}

TEST_CASE("states change in training only", "[model]") {
  Module module = imported(R"(
model m(x: f32[4]) {
  count = state([], init=5)
  update(count, count + 1)
  loss = mean(x) * count
  return loss
})");
  State state = first_state(module);
  Tensor x{{DType::f32, {4}}, {1, 2, 3, 4}};
  Tensor f{scalar_type(DType::f32), {0}}, i{scalar_type(DType::i64), {0}};
  CHECK(run(module, "train_step", {x, f, i, i, i}, state)[0].data[0] == 12.5);
  CHECK(run(module, "infer", {x}, state)[0].data[0] == 15);
  CHECK(state["count"].data[0] == 6);
}

TEST_CASE("the condition `training` chooses per entry", "[model]") {
  Module module = imported(R"(
model m(x: f32[4]) {
  if training {
    y = x * 2
  } else {
    y = x
  }
  loss = mean(y)
  return loss
})");
  CHECK(module.function("train_step").ops.size() > module.function("infer").ops.size());
}

TEST_CASE("a scan carries, collects and captures", "[model]") {
  Module module = imported(R"(
model m(xs: f32[3, 2], scale: f32[2]) {
  total = zeros([2])
  scan x over xs carry total collect partial {
    total = total + x * scale
    partial = total
  }
  scan x over xs reverse carry total {
    total = total * 10 + x
  }
  return total, partial
})",
                           false);
  State state;
  Tensor xs{{DType::f32, {3, 2}}, {1, 2, 3, 4, 5, 6}}, scale{{DType::f32, {2}}, {1, -1}};
  std::vector<Tensor> results = run(module, "infer", {xs, scale}, state);
  CHECK(results[1].data == std::vector<double>{1, -2, 4, -6, 9, -12});
  CHECK(results[0].data == std::vector<double>{9531, -12000 + 642});
  CHECK(module.function("infer.scan_1").kind == FunctionKind::body);
}

TEST_CASE("initialisers have the distributions that they name", "[model]") {
  auto moments = [](const std::string& init) {
    Module module = imported("model m(x: f32[1]) {\n  w = param([40, 50, 2], init=" + init +
                                 ")\n  y = sum(w) + x\n  return y\n}\n",
                             false);
    Tensor w = first_state(module)["w"];
    double sum = 0, squares = 0, most = 0;
    for (double value : w.data) {
      sum += value;
      squares += value * value;
      most = std::max(most, std::abs(value));
    }
    auto n = static_cast<double>(w.data.size());
    return std::array<double, 3>{sum / n, squares / n, most};
  };
  // Weights are [out, in, ...]: fan in 100, fan out 80. A bound b gives the variance b^2 / 3.
  for (const auto& [init, variance] :
       std::map<std::string, double>{{"he_uniform", 2.0 / 100},
                                     {"he_normal", 2.0 / 100},
                                     {"glorot_uniform", 2.0 / 180},
                                     {"xavier_normal(gain=2)", 8.0 / 180},
                                     {"fan_in_uniform", 1.0 / 300},
                                     {"fan_in_uniform(fan_in=4)", 1.0 / 12},
                                     {"normal(0.5)", 0.25},
                                     {"uniform(3)", 3.0}}) {
    CAPTURE(init);
    auto [mean, square, most] = moments(init);
    CHECK(std::abs(mean) < 4 * std::sqrt(variance / 4000));
    CHECK(square == Approx(variance).epsilon(0.1));
    bool is_normal = init.find("normal") != std::string::npos;
    CHECK((most > 2.5 * std::sqrt(variance)) == is_normal);
  }
  CHECK(moments("0.25")[2] == 0.25);
  CHECK(moments("ones")[0] == 1);
  CHECK(moments("constant(-2)")[0] == -2);
}

TEST_CASE("dims are bound from outside", "[model]") {
  const std::string text =
      "dim batch\ndim width = 2 * batch\nmodel m(x: f32[batch, width]) {\n  y = x * 1\n"
      "  return y\n}\n";
  CHECK(imported(text, false, {{"batch", 3}}).function("infer").values[0].type.dims == Dims{3, 6});
  CHECK(imported(text, false, {{"batch", 3}, {"width", 5}}).function("infer").values[0].type.dims ==
        Dims{3, 5});
}
