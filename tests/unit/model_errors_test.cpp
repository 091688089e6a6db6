// Bad models: the whole message, with its place, is what a user sees.
#include <catch2/catch.hpp>

#include "compiler/import/model_text.h"
#include "ir/diagnostic.h"

using namespace gradc;

namespace {

std::string error_of(const std::string& text, const Options& options = {}) {
  try {
    import_model_text(text, "t.model", options);
  } catch (const UserError& error) {
    return error.what();
  }
  return "no error";
}

Options training() {
  Options options;
  options.train = true;
  return options;
}

Options binding(const std::string& name, int64_t value) {
  Options options;
  options.binds[name] = value;
  return options;
}

// A model on x: f32[2,3] whose second line is `line`, indented by two.
void check_line(const std::string& line, int column, const std::string& message,
                const std::string& notes = "") {
  CHECK(error_of("model m(x: f32[2, 3]) {\n  " + line + "\n  return x\n}\n") ==
        fmt::format("t.model:2:{}: error: {}\n    {}\n  {}^{}", column, message, line,
                    std::string(static_cast<size_t>(column) - 1, ' '), notes));
}

// Line `row` of the model, counted from 1.
void check_model(const std::string& text, int row, int column, const std::string& message,
                 const std::string& notes = "", const Options& options = {}) {
  std::string line = text;
  for (int i = 1; i < row; ++i)
    line = line.substr(line.find('\n') + 1);
  line = line.substr(0, line.find('\n'));
  CHECK(error_of(text, options) ==
        fmt::format("t.model:{}:{}: error: {}\n  {}\n  {}^{}", row, column, message, line,
                    std::string(static_cast<size_t>(column) - 1, ' '), notes));
}

std::string repeated(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i)
    all += text;
  return all;
}

}  // namespace

TEST_CASE("errors of syntax", "[model]") {
  CHECK(error_of("") ==
        "t.model: error: the file describes no model; write `model NAME(inputs) { ... }`");
  check_model("modle m(x: f32[2]) {}", 1, 1, "unexpected `modle`, expected `dim`, `model` or `fn`");
  check_model("model m(x: f33[2]) {}", 1, 12,
              "unknown element type `f33`, expected one of f32 f64 f16 bf16 i8 u8 i16 i32 i64 "
              "bool");
  check_model("model m(x: f32[2]) {\n  y = relu(x\n  return y\n}\n", 3, 3,
              "unexpected `return`, expected `,` or `)`");
  check_model("model m(x: f32[2]) {\n  repeat 5 {\n  return x\n}\n", 5, 1,
              "unexpected end of the file, expected `}`");
  check_line("y = relu(x) relu(x)", 15, "unexpected `relu`, expected the end of the line");
  check_line("y = x |> 3", 12, "unexpected `3`, expected a function's name");
  check_line("y = x |> relu + 1", 17, "unexpected `+`, expected the end of the line");
  check_line("y = \"abc", 7, "the string does not end on its line");
  check_line("y = 3x", 7, "a name cannot begin with a digit: `3x`");
  check_line("y = x @ x", 9, "unexpected `@`");
  check_line("y = x\xff", 8, "unexpected byte 0xff");
  check_line("y = 99999999999999999999", 7, "the number 99999999999999999999 is out of range");
  check_line("y = 1 < 2 < 3", 13, "comparisons do not chain; join two of them with `and`");
  check_line("x + 1", 3,
             "this value is not used; a statement is `name = value`, a call, `return`, `if`, "
             "`repeat` or `scan`");
  check_line("y = dense(x=x, 4)", 18, "an argument by position cannot follow one by name");
}

TEST_CASE("errors of declarations", "[model]") {
  const std::string body = "model m(x: f32[2]) { return x }\n";
  check_model("dim batch\nmodel m(x: f32[batch]) { return x }\n", 1, 5,
              "dim `batch` has no value; bind it with --bind batch=VALUE");
  check_model("dim a = 1.5\n" + body, 1, 9, "a dim must be a whole number, `a` is 1.5");
  check_model("dim a = 2\ndim a = 3\n" + body, 2, 5, "dim `a` is declared twice");
  check_model("model m(x: f32[2, 0]) { return x }", 1, 9, "a size must be at least 1, got [2,0]");
  check_model("model m(x: f32[2], x: f32[2]) { return x }", 1, 20, "input `x` is declared twice");
  check_model(body + "model n(x: f32[2]) { return x }\n", 2, 1,
              "a file describes one model, this is the second after `m`");
  check_model("fn f(x) { return x }\nfn f(x) { return x }\n" + body, 2, 4,
              "function `f` is declared twice");
  check_model("fn f(x, a=1, b) { return x }\n" + body, 1, 14,
              "parameter `b` needs a default, because the one before it has one");
  check_model("model m(x: f32[2]) { y = x * 2 }", 1, 7,
              "model `m` returns nothing; end it with `return loss, ...`");
  check_model("model m(x: f32[2]) { return x * 2 }", 1, 31,
              "a model returns variables, which name its results; assign this first");
  check_model("model m(x: f32[2]) { return x, x }", 1, 32, "`x` is returned twice");
  check_model("model m(x: f32[2]) {\n  y = 3\n  return y\n}\n", 3, 10,
              "a model returns tensors, but `y` is 3");
}

TEST_CASE("errors of training and of bindings", "[model]") {
  check_model("model m(x: f32[2]) { return x }", 1, 7,
              "model `m` cannot be trained: no result is named `loss`", "", training());
  check_model("model m(x: f32[2]) {\n  loss = x * x\n  return loss\n}\n", 1, 7,
              "the loss must be a scalar such as f32[], it is f32[2]; take its mean", "",
              training());
  check_model(
      "model m(x: f32[2]) {\n  w = param([1 if training else 2], init=ones)\n"
      "  loss = sum(x * w)\n  y = x * w\n  return loss, y\n}\n",
      1, 7, "`w` is f32[1] in training and f32[2] in inference", "", training());
  const std::string text = "dim batch = 2\nmodel m(x: f32[batch]) { return x }\n";
  CHECK(error_of(text, binding("bach", 2)) ==
        "error: --bind bach: the model has no such dim; did you mean `batch`?");
  CHECK(error_of(text, binding("x", 2)) ==
        "error: --bind x=2: the input is f32[2], only whole numbers can be bound");
  Options shapes;
  shapes.shapes["x"] = {2, 3};
  CHECK(error_of(text, shapes) == "error: --shape x=[2,3]: the input has 1 axes");
  check_model(text, 2, 9, "a size must be at least 1, got [-1]", "", binding("batch", -1));
}

TEST_CASE("unknown names suggest the nearest", "[model]") {
  check_line("y = rellu(x)", 7, "unknown function `rellu`; did you mean `relu`?");
  check_line("y = xs", 7, "unknown name `xs`; did you mean `x`?");
  check_line("y = op.dense(x, 3)", 7, "unknown op `dense`");
  check_line("y = dense(x, 4, biass=true)", 7,
             "`dense` has no argument `biass`; did you mean `bias`?");
  check_line("y = reduce_sum(x, axs=[0])", 7,
             "`reduce_sum` has no argument `axs`; did you mean `axes`?");
  check_line("y = transpose(x, order=[1, 0])", 7,
             "`transpose` has no argument `order`; it has `permutation`");
  check_line("w = param([3], int=zeros)", 7, "`param` needs the argument `init`");
}

TEST_CASE("errors of calls", "[model]") {
  check_line("y = dense(x)", 7, "`dense` needs the argument `out`");
  check_line("y = dense(x, 4, 5, 6, 7)", 7, "`dense` takes 4 arguments, got 5");
  check_line("y = dense(x, 4, 5, out=3)", 7, "`dense` got the argument `out` twice");
  check_line("y = relu(x, 2)", 7, "`relu` takes 1 argument, got 2");
  check_line("y = add(x)", 7, "`add` takes 2 operands, got 1");
  check_line("y = scatter_add(x, 3, axis=0, size=2)", 7,
             "operand 2 of `scatter_add` must be a tensor, got 3");
  check_line("y = cast(x, 3)", 7, "`dtype` must be an element type such as f32, got 3");
  check_line("y = call(x)", 7, "`call` runs a function of the module and cannot be called here");
  check_model("fn f(x) { return f(x) }\nmodel m(x: f32[2]) {\n  y = f(x)\n  return y\n}\n", 1, 18,
              "calls nest more than 64 deep; does `f` call itself?",
              repeated("\nnote: in `f` called here", 6));
}

TEST_CASE("shape errors say what met what", "[model]") {
  check_line("y = x + zeros([4])", 9,
             "f32[2,3] and f32[4] do not broadcast: axis -1 has sizes 3 and 4");
  check_line("y = matmul(x, x)", 7,
             "`matmul`: inner sizes differ: [3] of f32[2,3] and [2] of f32[2,3]");
  check_line("y = reshape(x, [4, -1])", 7, "cannot reshape f32[2,3] (6 elements) to [4,-1]");
  check_line("y = concat(x, ones([2, 2]), axis=0)", 7,
             "`concat`: cannot concatenate f32[2,3] and f32[2,2] along axis 0: all else must be "
             "equal");
  check_line("y = cast(x, i32) + x", 20, "`add`: operand types differ: i32[2,3] and f32[2,3]");
  check_line("y = cast(x, i32) + 0.5", 20,
             "0.5 is not a whole number, but the tensor beside it is i32[2,3]");
  check_line("y = dim(x, 2)", 7, "axis 2 is out of range for 2 dimensions");
  check_line("w = param([3, 0], init=ones)", 7, "a size must be at least 1, got [3,0]");
  check_line("w = param([3], init=he_uniform)", 7,
             "`he_uniform` needs a weight of shape [out, in, ...], got [3]; give it `fan_in=`");
}

TEST_CASE("errors inside of functions tell the way there", "[model]") {
  check_line("a, b = split(x, 2)", 10, "a size of 3 does not split into 2 equal parts",
             "\nnote: in `split` called here");
  check_line("y = dense(x, 2.5)", 7, "an entry of the shape must be a whole number, got 2.5",
             "\nnote: in `dense` called here");
  check_model(
      "fn f(x) {\n  return self_attention(x, 3)\n}\nmodel m(x: f32[2, 4, 8]) {\n"
      "  y = f(x)\n  return y\n}\n",
      2, 10, "8 features do not split into 3 heads",
      "\nnote: in `self_attention` called here\nnote: in `f` called at t.model:5:7");
  check_model(
      "model m(x: f32[2, 3]) {\n  a = dense(x, 3, name=\"a\")\n"
      "  b = dense(x, 3, name=\"a\")\n  return a, b\n}\n",
      3, 7, "`a.w` is declared twice; give one of the calls another `name=`",
      "\nnote: in `dense` called here");
}

TEST_CASE("errors of compile-time values", "[model]") {
  check_line("y = 1 / 0", 9, "division of 1 by zero");
  check_line("y = 9223372036854775807 + 1", 27, "9223372036854775807 + 1 is out of range");
  check_line("y = \"a\" - 1", 11, "`-` does not apply to \"a\" and 1");
  check_line("y = x + relu", 9, "`+` does not apply to a tensor and the function `relu`");
  check_line("y = [1, 2][2]", 13, "index 2 is outside of a list of 2 items");
  check_line("y = x[0]", 8, "only lists have items, this is a tensor; use slice(...)");
  check_line("if x < 1 { y = x }", 3,
             "`if` chooses at compile time, but the condition is a tensor; use select(condition, "
             "a, b)");
  check_line("repeat -1 { y = x }", 3, "`repeat` takes a whole number from 0 to 10000, got -1");
  check_line("a, b = x", 3, "2 variables are assigned, but the value is a tensor");
  check_line("y = seed", 7,
             "`seed` exists in training only; use it inside of `if training { ... }`");
}

TEST_CASE("errors of scans and states", "[model]") {
  check_line("scan a over x carry h { h = a }", 3,
             "`h` is carried, but has no value before the scan");
  check_line("scan a over x collect b { c = a }", 3,
             "`b` is collected, but the body does not set it");
  check_line("scan a, b over x { c = a }", 3, "2 names scan over 1 sequences");
  check_line("scan a over sum(x) { b = a }", 3,
             "a scan goes over the first axis of a tensor, and a scalar has none");
  check_line("update(x, x)", 3, "the first argument of `update` must be what `state` gave");
  check_model(
      "model m(x: f32[2, 3]) {\n  h = zeros([3])\n  scan row over x carry h {\n"
      "    h = sum(row)\n  }\n  return h\n}\n",
      3, 3, "`h` enters the scan as f32[3] and leaves its body as f32[]");
  check_model("model m(x: f32[2, 3]) {\n  s = state([3])\n  update(s, x)\n  return x\n}\n", 3, 3,
              "state `s` is f32[3], its update is f32[2,3]");
}

TEST_CASE("no description takes forever or breaks the stack", "[model]") {
  check_line("repeat 10000 { repeat 10000 { y = 1 } }", 33,
             "the model takes more than 4000000 steps to build");
  std::string high_function = "fn f(x) {\n  return f(x)" + repeated(" + x", 190) + "\n}\n";
  CHECK(error_of(high_function + "model m(x: f32[2]) {\n  y = f(x)\n  return y\n}\n")
            .find("t.model:2:623: error: statements, expressions and calls nest more than 1000 "
                  "deep\n") == 0);
  check_model("model m(x: f32[2]) {\n  a = [1]\n  repeat 20 { a = a + a }\n  return x\n}\n", 3, 21,
              "a list of more than 1000 values");
  check_model("model m(x: f32[2]) {\n  a = 1\n  repeat 20 { a = [a] }\n  return x\n}\n", 3, 19,
              "lists nest more than 8 deep");
  check_line("y = " + repeated("(", 110), 106, "this nests more than 100 levels deep");
  // Of a long line only the part around the place is shown.
  std::string high =
      error_of("model m(x: f32[2]) {\n  y = x" + repeated(" + x", 5000) + "\n  return y\n}\n");
  CHECK(high.find("t.model:2:805: error: this expression is more than 200 levels high; name its "
                  "parts\n") == 0);
  CHECK(high.find("+ x + x") != std::string::npos);
  CHECK(high.size() < 400);
  CHECK(error_of("model m(x: f32[2]) {\n" + repeated("if true {\n", 5000))
            .find("error: this nests more than 100 levels deep") != std::string::npos);
  CHECK(error_of("model m(x: f32[2]) {\n  repeat 10000 { repeat 100 { x = x + 1 } }\n"
                 "  return x\n}\n")
            .find("t.model:2:37: error: the model has more than 200000 ops") == 0);
}
