#include "compiler/passes/autodiff.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "compiler/passes/simplify.h"
#include "ir/diagnostic.h"
#include "tests/support/finite_differences.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

namespace {

std::string error_of(const Module& module, const Options& options) {
  try {
    autodiff(module, options);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

// A train_step over one parameter @w: f32[3] and an input %x: f32[3].
std::string step_with(const std::string& ops, const std::string& results) {
  return "module @m\nparam @w: f32[3]\nentry @train_step(%x: f32[3], %lr: f32[], %w: f32[3] = @w) "
         "{\nforward:\n" +
         ops + "\n  return " + results + "\n}\n";
}

// The scan of kRecurrent in a training step.
const std::string kTrainedRecurrent = [] {
  std::string text = kRecurrent;
  text.replace(text.find("@infer"), 6, "@train_step");
  std::string end = "  return last=%last, all=%all\n";
  text.replace(text.find(end), end.size(),
               "  %loss: f32[] = reduce_sum(%last) {axes=[0]}\n"
               "  return loss=%loss, all=%all\n");
  return text;
}();

}  // namespace

TEST_CASE("the gradient of a small network, as text", "[autodiff]") {
  Options options = training();
  Module module = simplify(autodiff(parsed(kMlp), options), options);
  std::string text = print(*module.find_function("train_step"));
  std::string backward = text.substr(text.find("backward:"));
  CHECK(backward == R"(backward:
  %d.e: f32[2,2] = add(%e, %e)
  %d.h: f32[2,4] = dot(%d.e, %w2) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}
  %d.w2: f32[4,2] = dot(%h, %d.e) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}
  %d.h.mul: f32[2,4] = mul(%h, %h)
  %d.h.constant: f32[2,4] = constant() {dtype=f32, shape=[2,4], value=1.0}
  %d.h.sub: f32[2,4] = sub(%d.h.constant, %d.h.mul)
  %d.a: f32[2,4] = mul(%d.h, %d.h.sub)
  %d.b1: f32[4] = reduce_sum(%d.a) {axes=[0]}
  %d.w1: f32[3,4] = dot(%x, %d.a) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]} loc "mlp.model:3"
  return loss=%loss, y=%y, grad/w1=%d.w1, grad/b1=%d.b1, grad/w2=%d.w2
}
)");
}

TEST_CASE("gradients of parameters and inputs equal finite differences", "[autodiff]") {
  Options options = training();
  options.input_gradients = true;
  Module module = autodiff(parsed(kMlp), options);
  verify(module);
  for (std::string name : {"w1", "b1", "w2"})
    check_gradient(module, "train_step", "loss", name, "grad/" + name);
  for (std::string name : {"x", "t"})
    check_gradient(module, "train_step", "loss", name, "grad_" + name);
  CHECK_FALSE(module.function("train_step").find_result("grad_lr"));
}

TEST_CASE("a value used twice gets the sum of both gradients", "[autodiff]") {
  Module module =
      autodiff(parsed(step_with(
                   "  %y = mul(%w, %w)\n  %z = tanh(%w)\n  %u = mul(%y, %z)\n  %v = add(%u, %x)\n"
                   "  %loss = reduce_sum(%v) {axes=[0]}",
                   "loss=%loss")),
               training());
  check_gradient(module, "train_step", "loss", "w", "grad/w");
}

TEST_CASE("frozen parameters cost nothing", "[autodiff]") {
  Options options = training();
  options.frozen = {"w1", "b*"};
  Module module = simplify(autodiff(parsed(kMlp), options), options);
  const Function& step = module.function("train_step");
  CHECK_FALSE(step.find_result("grad/w1"));
  CHECK_FALSE(step.find_result("grad/b1"));
  CHECK(step.find_result("grad/w2"));
  CHECK(print(step).find("%d.h") == std::string::npos);

  Module marked = parsed(kMlp);
  marked.states[0].attrs.set("frozen", true);
  CHECK_FALSE(autodiff(marked, training()).function("train_step").find_result("grad/w1"));
}

TEST_CASE("a parameter without influence on the loss has a zero gradient", "[autodiff]") {
  Module module = autodiff(
      parsed(step_with("  %y = tanh(%w)\n  %loss = reduce_sum(%x) {axes=[0]}", "loss=%loss, y=%y")),
      training());
  const Function& step = module.function("train_step");
  Inputs inputs = random_inputs(module, step);
  CHECK(result_named(module, step, inputs, "grad/w").data == std::vector<double>{0, 0, 0});
}

TEST_CASE("without training only the other entries remain", "[autodiff]") {
  Module module = autodiff(parsed(kMlp), Options{});
  CHECK_FALSE(module.find_function("train_step"));
  CHECK(module.find_function("infer"));
}

TEST_CASE("gradients of gradients equal finite differences", "[autodiff]") {
  Module module = parsed(kMlp);
  std::vector<std::string> first = {"w1"}, second = {"w1", "w2", "x"};
  Module twice =
      gradient(gradient(module, "train_step", "loss", first), "train_step", "grad/w1", second);
  verify(twice);
  for (const std::string& name : second)
    check_gradient(twice, "train_step", "grad/w1", name, "grad/grad/w1/" + name);
}

TEST_CASE("the gradient of any value with respect to any other", "[autodiff]") {
  std::vector<std::string> wrt = {"h", "b1"};
  Module module = gradient(parsed(kMlp), "train_step", "y", wrt);
  const Function& step = module.function("train_step");
  check_gradient(module, "train_step", "y", "b1", "grad/y/b1");
  // dy/dh summed over y is the sum of w2's rows.
  Inputs inputs = random_inputs(module, step);
  const std::vector<double>& w2 = inputs.state["w2"].data;
  Tensor d_h = result_named(module, step, inputs, "grad/y/h");
  for (size_t i = 0; i < 8; ++i)
    CHECK(d_h.data[i] == Approx(w2[i % 4 * 2] + w2[i % 4 * 2 + 1]));
}

TEST_CASE("gradients by name are those of autodiff and of gradient()", "[autodiff]") {
  Options options = training();
  options.input_gradients = true;
  auto value = [](const Module& module, const std::string& result) {
    const Function& step = module.function("train_step");
    return result_named(module, step, random_inputs(module, step), result).data;
  };
  for (const std::string& text : {kMlp, kTrainedRecurrent}) {
    Module model = parsed(text), whole = autodiff(model, options);
    Module named = gradients_by_name(model, "loss", {}, options);
    verify(named);
    for (const Result& result : whole.function("train_step").results)
      if (result.name.starts_with("grad"))
        CHECK(value(named, result.name) == value(whole, result.name));
    CHECK(named.function("train_step").results.size() ==
          whole.function("train_step").results.size());
  }

  // Named after what they are by: a parameter, or any other value.
  Module model = parsed(kMlp);
  std::vector<std::string> wrt = {"w1", "h", "h"}, plain = {"w1", "h"};
  Module of_y = gradients_by_name(model, "y", wrt, options);
  verify(of_y);
  CHECK(of_y.function("train_step").results.size() == 4);
  Module expected = gradient(model, "train_step", "y", plain);
  CHECK(value(of_y, "grad/w1") == value(expected, "grad/y/w1"));
  CHECK(value(of_y, "grad_h") == value(expected, "grad/y/h"));
}

TEST_CASE("the gradient of a gradient by its name", "[autodiff]") {
  Module model = parsed(kMlp);
  std::vector<std::string> wrt = {"w2", "h", "x"}, first_w = {"w1"}, first_x = {"x"};
  auto value = [](const Module& module, const std::string& result) {
    const Function& step = module.function("train_step");
    return result_named(module, step, random_inputs(module, step), result).data;
  };
  for (bool by_parameter : {true, false}) {
    Module named = gradients_by_name(model, by_parameter ? "grad/w1" : "grad_x", wrt, training());
    verify(named);
    const Function& step = named.function("train_step");
    CHECK(step.results.size() == 5);  // the first gradient is no result
    Module once = gradient(model, "train_step", "loss", by_parameter ? first_w : first_x);
    std::string first = by_parameter ? "grad/w1" : "grad/x";
    Module twice = gradient(once, "train_step", first, wrt);
    CHECK(value(named, "grad/w2") == value(twice, "grad/" + first + "/w2"));
    CHECK(value(named, "grad_h") == value(twice, "grad/" + first + "/h"));
    CHECK(value(named, "grad_x") == value(twice, "grad/" + first + "/x"));
  }
}

TEST_CASE("names that mean nothing are the command line's fault", "[autodiff]") {
  auto error_of = [](const std::string& of, const std::vector<std::string>& wrt) -> std::string {
    try {
      gradients_by_name(parsed(kMlp), of, wrt, training());
    } catch (const UserError& error) {
      CHECK(error.fault() == Fault::command_line);
      return error.message();
    }
    return "";
  };
  CHECK(error_of("loss", {"w3"}) == "@train_step has no value named `w3`; did you mean `w1`?");
  CHECK(error_of("los", {}) == "@train_step has no value named `los`; did you mean `loss`?");
  CHECK(error_of("grad/w3", {}) == "@train_step has no value named `w3`; did you mean `w1`?");
  CHECK(error_of("loss", {"something.else"}) == "@train_step has no value named `something.else`");
  CHECK(error_of("loss", {"step"}) == "`step` is i64[]; only floating point values have gradients");
}

TEST_CASE("the gradient of a scan is a scan over stacked residuals", "[autodiff]") {
  std::vector<std::string> wrt = {"w", "x", "h0"};
  for (std::string attrs : {"carries=1", "carries=1, reverse=true"}) {
    std::string text = kRecurrent;
    text.replace(text.find("carries=1"), 9, attrs);
    for (std::string of : {"last", "all"}) {
      Module module = gradient(parsed(text), "infer", of, wrt);
      verify(module);
      for (const std::string& name : wrt)
        check_gradient(module, "infer", of, name, "grad/" + of + "/" + name);
    }
  }
  Module module = gradient(parsed(kRecurrent), "infer", "last", wrt);
  std::string forward = print(module.function("cell.forward"));
  CHECK(forward.find("return %h.next, %a, %h, %h.next\n") != std::string::npos);
  CHECK(
      print(module.function("cell.backward")) ==
      R"(func @cell.backward(%d.h.next: f32[2], %d.w.sum: f32[2,2], %d.a: f32[2], %h: f32[2], %h.next: f32[2], %w: f32[2,2]) {
backward:
  %d.h.next.mul: f32[2] = mul(%h.next, %h.next)
  %d.h.next.constant: f32[2] = constant() {dtype=f32, shape=[2], value=1.0}
  %d.h.next.sub: f32[2] = sub(%d.h.next.constant, %d.h.next.mul)
  %d.a.1: f32[2] = mul(%d.h.next, %d.h.next.sub)
  %d.a.2: f32[2] = add(%d.a, %d.a.1)
  %d.h: f32[2] = dot(%d.a.2, %w) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[1]} loc "cell:2"
  %d.p.dot: f32[2,2] = dot(%d.a.2, %h) {batch_a=[], batch_b=[], sum_a=[], sum_b=[]} loc "cell:2"
  %d.w: f32[2,2] = transpose(%d.p.dot) {permutation=[1,0]} loc "cell:2"
  %d.w.sum.1: f32[2,2] = add(%d.w.sum, %d.w)
  return %d.h, %d.w.sum.1, %d.a.2
}
)");
}

TEST_CASE("gradients of gradients through a scan", "[autodiff]") {
  std::vector<std::string> first = {"w"}, second = {"x", "w"};
  Module once = gradient(parsed(kRecurrent), "infer", "last", first);
  Module twice = gradient(once, "infer", "grad/last/w", second);
  verify(twice);
  for (const std::string& name : second)
    check_gradient(twice, "infer", "grad/last/w", name, "grad/grad/last/w/" + name);
}

TEST_CASE("gradients of scans inside of scans", "[autodiff]") {
  Module module = parsed(R"(module @m
func @inner(%s: f32[2], %x: f32[2], %k: f32[2]) {
forward:
  %p: f32[2] = mul(%s, %x)
  %q: f32[2] = mul(%p, %k)
  %t: f32[2] = sin(%q)
  return %t, %q
}
func @outer(%s: f32[2], %i: i32[], %xs: f32[3,2], %k: f32[2]) {
forward:
  %t: f32[2], %all: f32[3,2] = scan @inner(%s, %xs, %k) {carries=1, sequences=1, trips=3}
  %sum: f32[2] = reduce_sum(%all) {axes=[0]}
  %u: f32[2] = add(%t, %sum)
  return %u, %i, %u
}
entry @f(%s: f32[2], %i: i32[], %x: f32[2,3,2], %k: f32[2]) {
forward:
  %t: f32[2], %j: i32[], %all: f32[2,2] = scan @outer(%s, %i, %x, %k) {carries=2, sequences=1, trips=2}
  %y: f32[2,2] = mul(%all, %all)
  return y=%y, j=%j
}
)");
  std::vector<std::string> wrt = {"s", "x", "k"};
  Module after = gradient(module, "f", "y", wrt);
  verify(after);
  for (const std::string& name : wrt)
    check_gradient(after, "f", "y", name, "grad/y/" + name);
  CHECK(print(parsed(print(after))) == print(after));
}

TEST_CASE("errors of autodiff say what is missing", "[autodiff]") {
  CHECK(error_of(parsed(step_with("  %y = tanh(%w)", "loss=%y")), training()) ==
        "error: `loss` is f32[3]; it must be a floating point scalar, such as the mean over the "
        "batch");
  CHECK(error_of(parsed(step_with("  %y = tanh(%w)", "y=%y")), training()) ==
        "error: @train_step has no result named `loss`; training minimises it");
  Options options = training();
  options.frozen = {"encoder.*"};
  CHECK(error_of(parsed(kMlp), options) ==
        "error: no parameter of `mlp` is named `encoder.*`, which is to be frozen");
  std::vector<std::string> wrt = {"w1"};
  CHECK_THROWS_WITH(gradient(parsed(kMlp), "train_step", "los", wrt),
                    "error: @train_step has no value named `los`; did you mean `loss`?");
}

TEST_CASE("an op without a rule is an error with its record and place", "[autodiff]") {
  Module module = parsed(R"(module @m
kernel @square(%a: f32[]) with {class="map"} {
forward:
  %b: f32[] = mul(%a, %a)
  return %b
}
entry @f(%x: f32[]) {
forward:
  %y: f32[] = call @square(%x) loc "net.model:3:5"
  return y=%y
}
)");
  std::vector<std::string> wrt = {"x"};
  CHECK_THROWS_WITH(
      gradient(module, "f", "y", wrt),
      "net.model:3:5: error: `call` is not differentiable, but the gradient must flow through it "
      "to %x (call: Runs the function or kernel named after @ on the operands; gives its "
      "results.)\nhelp: insert `stop_gradient` before it, or freeze the parameters that it depends "
      "on");
}

TEST_CASE("docs/autodiff.md shows what the pass does", "[autodiff][docs]") {
  std::ifstream file(GRADC_SOURCE_DIR "/docs/autodiff.md");
  REQUIRE(file.good());
  std::stringstream stream;
  stream << file.rdbuf();
  std::string text = stream.str();
  auto block = [&, end = size_t{0}]() mutable {
    size_t begin = text.find("```\n", end) + 4;
    end = text.find("```\n", begin) + 4;
    return text.substr(begin, end - 4 - begin);
  };
  Module model = parsed(block());
  Module module = simplify(autodiff(model, training()), training());
  std::string printed = print(module.function("train_step"));
  size_t begin = printed.find("forward:");
  CHECK(block() == printed.substr(begin, printed.rfind("}\n") - begin));
}
