// Graphs of ONNX files become modules: entries, states and their roles, folding, errors.
#include "compiler/import/onnx/onnx_import.h"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <limits>

#include "compiler/entries.h"
#include "compiler/file_names.h"
#include "ir/diagnostic.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "ir/verify.h"
#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;

namespace {

Options training(const std::string& loss = "") {
  Options options;
  options.train = true;
  options.loss = loss;
  return options;
}

// y = relu(x w' + b), x: [2,3]
ModelParts dense() {
  return {{value_info("x", DType::f32, {2, 3})},
          {f32("w", {2, 3}, {1, 2, 3, -1, -2, -3}), f32("b", {2}, {0.5, 1})},
          {node("Gemm", {"x", "w", "b"}, {"z"}, {attribute("transB", int64_t{1})}),
           node("Relu", {"z"}, {"y"})},
          {"y"}};
}

std::vector<std::string> states(const Module& module) {
  std::vector<std::string> names;
  for (const StateTensor& state : module.states)
    names.push_back(fmt::format("{} {}{}", name_of(state.role), state.name,
                                state.attrs.flag(kFrozen) ? " frozen" : ""));
  return names;
}

std::vector<std::string> parameters(const Module& module, std::string_view entry) {
  const Function& function = module.function(entry);
  std::vector<std::string> names;
  for (const Parameter& parameter : function.parameters)
    names.push_back(function[parameter.value].name + ": " +
                    to_string(function.type(parameter.value)) +
                    (parameter.state.empty() ? "" : " = @" + parameter.state));
  return names;
}

size_t count_ops(const Module& module, Opcode code) {
  const Function& function = module.function(kInfer);
  return static_cast<size_t>(std::count_if(function.ops.begin(), function.ops.end(),
                                           [&](const Op& op) { return op.code == code; }));
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("an ONNX graph becomes entries and states", "[onnx]") {
  Module module = onnx::import_model(model(dense()), training("cross_entropy"));
  verify(module);
  CHECK(module.name == "t");
  CHECK(states(module) == Names{"param w", "param b"});
  CHECK(module.states[0].content.bytes.size() == 24);
  CHECK(parameters(module, kInfer) == Names{"x: f32[2,3]", "w: f32[2,3] = @w", "b: f32[2] = @b"});
  CHECK(parameters(module, kTrainStep) == Names{"x: f32[2,3]", "target: i64[2]", "lr: f32[]",
                                                "step: i64[]", "total_steps: i64[]", "seed: i64[]",
                                                "w: f32[2,3] = @w", "b: f32[2] = @b"});
  CHECK(module.function(kTrainStep).find_result(kLoss));
  CHECK(module.function(kTrainStep).find_result("y"));
  CHECK(module.function(kInfer).ops.back().loc == "t.onnx:n1");
  CHECK(infer(module, {{{DType::f32, {2, 3}}, {1, 1, 1, 0, 0, 1}}}).at("y").data ==
        std::vector<double>{6.5, 0, 3.5, 0});
}

TEST_CASE("names of an ONNX file become names of the IR", "[onnx]") {
  ModelParts parts = dense();
  parts.initializers[0].name = parts.nodes[0].inputs[1] = "/layer 1/w//x";
  parts.initializers[1].name = parts.nodes[0].inputs[2] = "layer_1/w/_x";
  parts.inputs[0].name = parts.nodes[0].inputs[0] = "seed";
  parts.outputs[0] = parts.nodes[1].outputs[0] = "y:0";
  Module module = onnx::import_model(model(parts), {});
  CHECK(states(module) == Names{"param layer_1/w/_x", "param layer_1/w/_x.1"});
  CHECK(parameters(module, kInfer)[0] == "seed_input: f32[2,3]");
  CHECK(module.function(kInfer).results[0].name == "y:0");
  // Files of weights have the names of the ONNX file.
  CHECK(file_name(module.states[0]) == "/layer 1/w//x");
  CHECK(file_name(module.states[1]) == "layer_1/w/_x");
  CHECK(file_name(parse_module(print(module), "m.ir").states[0]) == "/layer 1/w//x");

  // Except names that cannot be shown; no two are the same.
  parts.initializers[0].name = parts.nodes[0].inputs[1] = "w\n";
  parts.initializers[1].name = parts.nodes[0].inputs[2] = "w_";
  module = onnx::import_model(model(parts), {});
  CHECK(file_name(module.states[0]) == "w_");
  CHECK(file_name(module.states[1]) == "w_.1");
}

TEST_CASE("what is a parameter of an ONNX file", "[onnx]") {
  ModelParts parts{
      {value_info("x", DType::f32, {2, 4})},
      {f32("mask", {2, 2}, {0, -1e9, -1e9, 0}), f32("unused", {1}, {1}),
       f32("position", {4}, {1, 2, 3, 4}), f32("scale", {}, {3}), f32("table", {3}, {1, 2, 3}),
       i64("parts", {2, 2})},
      {node("Constant", {}, {"held"},
            {attribute("value", f32("", {4, 2}, {1, 2, 3, 4, 5, 6, 7, 8}))}),
       node("ConstantOfShape", {"parts"}, {"filled"}, {attribute("value", f32("", {1}, {0.5}))}),
       node("Constant", {}, {"literal"}, {attribute("value", f32("", {2}, {5, 6}))}),
       node("Add", {"x", "position"}, {"a"}), node("Transpose", {"held"}, {"turned"}),
       node("Gemm", {"a", "turned"}, {"b"}, {attribute("transB", int64_t{1})}),
       node("MatMul", {"b", "filled"}, {"c"}), node("Add", {"c", "mask"}, {"d"}),
       node("Mul", {"d", "scale"}, {"e"}), node("Mul", {"e", "literal"}, {"f"}),
       node("Gather", {"table", "parts"}, {"g"}),
       node("Cast", {"g"}, {"h"}, {attribute("to", int64_t{7})})},
      {"f", "h"}};
  // `table` is reached by no gradient: it is cast to whole numbers.
  Module module = onnx::import_model(model(parts), training("mse:f"));
  verify(module);
  CHECK(states(module) == Names{"param position", "param held", "param filled", "buffer table",
                                "buffer mask", "buffer literal"});
  CHECK(module.find_state("filled")->content.bytes.size() == 16);

  Options options;
  options.parameters = {"mask", "h*"};
  CHECK(states(onnx::import_model(model(parts), options)) ==
        Names{"param mask", "param held", "buffer position", "buffer literal"});
  options.parameters = {"nothing"};
  CHECK(import_error(model(parts), options) ==
        "t.onnx: error: --params nothing: the model has no float tensor of this name");
}

TEST_CASE("an input that is an initializer is a parameter", "[onnx]") {
  ModelParts parts = dense();
  parts.inputs.push_back(value_info("w", DType::f32, {2, 3}));
  Module module = onnx::import_model(model(parts), {});
  CHECK(parameters(module, kInfer)[0] == "x: f32[2,3]");
  CHECK(states(module) == Names{"param w", "param b"});
}

TEST_CASE("parameters that only another output needs are not trained", "[onnx]") {
  ModelParts parts = dense();
  parts.initializers.push_back(f32("v", {2, 3}, {1, 2, 3, 4, 5, 6}));
  parts.nodes.push_back(node("Mul", {"x", "v"}, {"other"}));
  parts.outputs.emplace_back("other");
  CHECK(states(onnx::import_model(model(parts), training("mse:y"))) ==
        Names{"param w", "param b", "param v frozen"});
  CHECK(states(onnx::import_model(model(parts), {})) == Names{"param w", "param b", "param v"});
}

TEST_CASE("shapes are computed at import", "[onnx]") {
  // Halves of the last axis, by the arithmetic that exporters write.
  ModelParts parts{{value_info("x", DType::f32, {2, 6})},
                   {i64("one", {1}), i64("two", {2}), i64("zero", {0}),
                    i64("end", {std::numeric_limits<int64_t>::max()})},
                   {node("Shape", {"x"}, {"shape"}), node("Gather", {"shape", "one"}, {"size"}),
                    node("Div", {"size", "two"}, {"half"}),
                    node("Concat", {"end", "zero"}, {"ends"}, {attribute("axis", int64_t{0})}),
                    node("Slice", {"ends", "zero", "one"}, {"last"}),
                    node("Slice", {"x", "half", "last", "one"}, {"y"})},
                   {"y", "half"}};
  Module module = onnx::import_model(model(parts), {});
  const Function& function = module.function(kInfer);
  CHECK(to_string(function.type(function.find_result("y")->value)) == "f32[2,3]");
  CHECK(function.ops.size() == 2);  // the slice, and the constant that is a result
  std::map<std::string, Tensor> outputs =
      infer(module, {{{DType::f32, {2, 6}}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}});
  CHECK(outputs.at("y").data == std::vector<double>{3, 4, 5, 9, 10, 11});
  CHECK(outputs.at("half").data == std::vector<double>{3});
}

TEST_CASE("whole numbers beyond 2^53 are not rounded", "[onnx]") {
  constexpr int64_t kLarge = (int64_t{1} << 60) + 1;
  ModelParts parts{
      {},
      {i64("a", {kLarge, 3}), i64("minus", {-kLarge}), i64("zero", {0}), i64("one", {1})},
      {node("Slice", {"a", "zero", "one"}, {"moved"}),
       node("Concat", {"moved", "minus"}, {"both"}, {attribute("axis", int64_t{0})}),
       node("Add", {"both", "one"}, {"sum"})},
      {"sum"}};
  // The sum is not folded: the program adds exactly.
  Module module = onnx::import_model(model(parts), {});
  CHECK(count_ops(module, Opcode::add) == 1);
  REQUIRE(module.states.size() == 1);
  std::array<int64_t, 2> kept{};
  std::memcpy(kept.data(), module.states[0].content.bytes.data(), sizeof kept);
  CHECK(kept == std::array<int64_t, 2>{kLarge, -kLarge});

  // As the end of a Slice, a large number is read, not computed with.
  parts = {{value_info("x", DType::f32, {2, 6})},
           {i64("last", {-1}), i64("end", {std::numeric_limits<int64_t>::max()}), i64("two", {2})},
           {node("Shape", {"x"}, {"shape"}), node("Slice", {"shape", "last", "end"}, {"six"}),
            node("Concat", {"six", "two"}, {"turned"}, {attribute("axis", int64_t{0})}),
            node("Reshape", {"x", "turned"}, {"y"})},
           {"y"}};
  module = onnx::import_model(model(parts), {});
  const Function& infer = module.function(kInfer);
  CHECK(to_string(infer.type(infer.results[0].value)) == "f32[6,2]");
  parts = {{},
           {i64("from", {kLarge}), i64("to", {kLarge + 2}), i64("by", {1})},
           {node("Range", {"from", "to", "by"}, {"y"})},
           {"y"}};
  CHECK_THAT(import_error(model(parts)), Catch::Contains("beyond 2^53"));
}

TEST_CASE("small values made of weights are known to nodes that must know them", "[onnx]") {
  ModelParts parts{{value_info("x", DType::f32, {6})},
                   {f32("sizes", {2}, {2, 3})},
                   {node("Cast", {"sizes"}, {"shape"}, {attribute("to", int64_t{7})}),
                    node("Reshape", {"x", "shape"}, {"y"})},
                   {"y"}};
  Module module = onnx::import_model(model(parts), {});
  CHECK(module.states.empty());
  CHECK(module.function(kInfer).ops.size() == 1);
}

TEST_CASE("outputs that are inputs or constants have memory of their own", "[onnx]") {
  ModelParts parts{{value_info("x", DType::f32, {2})},
                   {f32("w", {2}, {1, 2})},
                   {node("Identity", {"x"}, {"y"})},
                   {"x", "y", "w"}};
  Module module = onnx::import_model(model(parts), {});
  CHECK(count_ops(module, Opcode::copy) == 3);
  CHECK(infer(module, {{{DType::f32, {2}}, {5, 6}}}).at("w").data == std::vector<double>{1, 2});
}

TEST_CASE("If on a known condition runs one branch", "[onnx]") {
  onnx::Graph twice =
      model(
          {{}, {f32("two", {3}, {2, 2, 3})}, {node("Mul", {"x", "two"}, {"product"})}, {"product"}})
          .graph;
  onnx::Graph same = model({{}, {}, {node("Identity", {"x"}, {"itself"})}, {"itself"}}).graph;
  ModelParts parts{{value_info("x", DType::f32, {3}), value_info("sr", DType::i64, {})},
                   {tensor("rate", DType::i64, {}, {16000})},
                   {node("Equal", {"sr", "rate"}, {"is"}),
                    node("If", {"is"}, {"y"},
                         {attribute("then_branch", twice), attribute("else_branch", same)})},
                   {"y"}};
  CHECK(import_error(model(parts)) ==
        "t.onnx: node \"n1\" (#1, If): error: input 0 (`is`) must be known at compile time\n"
        "help: bind the input that it depends on: --bind sr=VALUE");
  Options options;
  options.binds["sr"] = 16000;
  Tensor x{{DType::f32, {3}}, {1, 2, 3}};
  Module module = onnx::import_model(model(parts), options);
  CHECK(parameters(module, kInfer)[0] == "x: f32[3]");
  CHECK(states(module) == Names{"param If.0/two"});
  CHECK(infer(module, {x}).at("y").data == std::vector<double>{2, 4, 9});
  options.binds["sr"] = 8000;
  CHECK(infer(onnx::import_model(model(parts), options), {x}).at("y").data == x.data);
}

TEST_CASE("functions of a model are inlined", "[onnx]") {
  onnx::FunctionDef scaled{"Scaled", "my", "", {"v"}, {"out"}, {"factor"}, {}, {}, {}};
  scaled.opsets[""] = 17;
  onnx::Attribute reference = attribute("value_float", 0.0);
  reference.reference = "factor";
  scaled.nodes = {node("Constant", {}, {"c"}, {reference}), node("Mul", {"v", "c"}, {"out"})};
  ModelParts parts{{value_info("x", DType::f32, {2})},
                   {},
                   {node("Scaled", {"x"}, {"a"}, {attribute("factor", 2.0)}),
                    node("Scaled", {"a"}, {"y"}, {attribute("factor", 5.0)})},
                   {"y"}};
  onnx::Model whole = model(parts);
  for (onnx::Node& each : whole.graph.nodes)
    each.domain = "my";
  CHECK(import_error(whole) ==
        "t.onnx: node \"n0\" (#0, Scaled): error: op `Scaled` of domain `my` is not supported; the "
        "standard ops of ONNX are");
  whole.functions = {scaled};
  CHECK(infer(onnx::import_model(whole, {}), {{{DType::f32, {2}}, {1, 2}}}).at("y").data ==
        std::vector<double>{10, 20});
  whole.functions[0].nodes.push_back(node("Scaled", {"out"}, {"again"}));
  whole.functions[0].nodes.back().domain = "my";
  whole.functions[0].outputs = {"again"};
  CHECK(import_error(whole) ==
        "t.onnx: node #0 (Scaled) in function \"Scaled\": error: function `Scaled` calls itself");
}

TEST_CASE("nodes out of order are sorted, with a warning", "[onnx]") {
  ModelParts parts = dense();
  std::swap(parts.nodes[0], parts.nodes[1]);
  std::vector<std::string> warnings;
  Options options;
  options.warn = [&](const std::string& message) { warnings.push_back(message); };
  onnx::import_model(model(parts), options);
  CHECK(warnings == Names{"t.onnx: the nodes are not in an order in which they can run; sorted"});
}

TEST_CASE("sizes that an ONNX file leaves open are bound", "[onnx]") {
  ModelParts parts{{value_info("x", DType::f32, {"N", 3}), value_info("y", DType::f32, {"N", -1}),
                    value_info("z", DType::f32, {"M"})},
                   {},
                   {node("Identity", {"x"}, {"out"})},
                   {"out"}};
  CHECK(import_error(model(parts)) ==
        "t.onnx: error: sizes of inputs are open: `x` is [N,3], `y` is [N,?], `z` is [M]\n"
        "help: bind them: --bind N=N --shape y=Nx? --bind M=N");
  Options options;
  options.binds = {{"batch", 4}, {"M", 7}};
  options.shapes = {{"y", {4, 5}}};
  CHECK(parameters(onnx::import_model(model(parts), options), kInfer) ==
        Names{"x: f32[4,3]", "y: f32[4,5]", "z: f32[7]"});
  options.shapes = {{"y", {5, 5}}};
  CHECK(import_error(model(parts), options) ==
        "t.onnx: error: --shape y=5x5 and --batch 4 give `N` two sizes");
  options.binds["O"] = 1;
  CHECK(import_error(model(parts), options) ==
        "t.onnx: error: --bind O: the model has no such size or input; did you mean `M`?");
}

TEST_CASE("a batch of fixed size can be another one", "[onnx]") {
  std::vector<std::string> warnings;
  Options options;
  options.binds["batch"] = 5;
  options.warn = [&](const std::string& message) { warnings.push_back(message); };
  CHECK(parameters(onnx::import_model(model(dense()), options), kInfer)[0] == "x: f32[5,3]");
  CHECK(warnings == Names{"t.onnx: input `x` has size 2 on axis 0 in the file, 5 here"});
}

TEST_CASE("whole numbers can be bound to inputs", "[onnx]") {
  ModelParts parts{
      {value_info("x", DType::f32, {2, 1, 3, 1}), value_info("axes", DType::i64, {-1})},
      {},
      {node("Squeeze", {"x", "axes"}, {"y"})},
      {"y"}};
  Options options;
  options.bind_lists["axes"] = {1, -1};
  Module module = onnx::import_model(model(parts), options);
  CHECK(to_string(module.function(kInfer).type(module.function(kInfer).results[0].value)) ==
        "f32[2,3]");
  options.bind_lists = {{"x", {1, 2}}};
  options.binds["axes"] = 1;
  CHECK(import_error(model(parts), options) ==
        "t.onnx: error: --bind x=1,2: the input is f32[2,1,3,1], only whole numbers can be bound");
}

TEST_CASE("graphs that cannot be", "[onnx]") {
  auto error = [](ModelParts parts) { return import_error(model(parts)); };
  ModelParts cycle = dense();
  cycle.nodes[0].inputs[0] = "y";
  CHECK(error(cycle) ==
        "t.onnx: node \"n0\" (#0, Gemm): error: its input depends on its own output: the graph has "
        "a cycle");
  ModelParts twice = dense();
  twice.nodes[1].outputs[0] = "z";
  CHECK(error(twice) ==
        "t.onnx: node \"n1\" (#1, Relu): error: value `z` is already made by t.onnx: node \"n0\" "
        "(#0, Gemm)");
  ModelParts again = dense();
  again.nodes[1].outputs[0] = "w2";
  again.initializers.push_back(f32("w2", {1}, {1}));
  CHECK(error(again) ==
        "t.onnx: node \"n1\" (#1, Relu): error: makes `w2`, which is an input or an initializer "
        "already");
  again.nodes[1].inputs[0] = "w2";
  CHECK(error(again) ==
        "t.onnx: node \"n1\" (#1, Relu): error: makes `w2`, which is an input or an initializer "
        "already");
  onnx::Graph branch;
  branch.nodes = {node("Exp", {"z"}, {"z"})};
  branch.outputs.emplace_back();
  branch.outputs[0].name = "z";
  ModelParts around = dense();
  around.initializers.push_back(tensor("c", DType::boolean, {}, {1}));
  around.nodes[1] = node("If", {"c"}, {"y"},
                         {attribute("then_branch", branch), attribute("else_branch", branch)});
  around.outputs.push_back("z");
  CHECK(error(around) ==
        "t.onnx: node #0 (Exp) in a branch of node \"n1\": error: makes `z`, which is an input or "
        "a value of a graph around it already");
  ModelParts unknown = dense();
  unknown.nodes[0].inputs[1] = "nothing";
  CHECK(error(unknown) ==
        "t.onnx: node \"n0\" (#0, Gemm): error: reads `nothing`, which is neither an input, an "
        "initializer nor made by a node");
  ModelParts no_output = dense();
  no_output.outputs = {};
  CHECK(error(no_output) == "t.onnx: error: the graph has no outputs");
  no_output.outputs = {"nothing"};
  CHECK(error(no_output) ==
        "t.onnx: error: output `nothing` is neither an input, an initializer nor made by a node");
  ModelParts op = dense();
  op.nodes[1].op_type = "Relo";
  CHECK(error(op) ==
        "t.onnx: node \"n1\" (#1, Relo): error: op `Relo` is not supported; did you mean `Relu`?");
  op.nodes[1].op_type = "Loop";  // not `Log`
  CHECK(error(op).starts_with(
      "t.onnx: node \"n1\" (#1, Loop): error: op `Loop` is not supported\nhelp: fix the number"));
  ModelParts old = dense();
  old.opset = 0;
  CHECK(error(old) ==
        "t.onnx: error: its opset is 0, which no version of ONNX has; the newest known is 28");
  ModelParts early = dense();
  early.nodes[1].op_type = "Mish";
  CHECK(error(early) ==
        "t.onnx: node \"n1\" (#1, Mish): error: op `Mish` is known from opset 18 "
        "on, the model's is 17");
}

TEST_CASE("attributes that cannot be", "[onnx]") {
  auto error = [](std::vector<onnx::Attribute> attributes) {
    ModelParts parts = dense();
    parts.nodes[0].attributes = std::move(attributes);
    return import_error(model(parts));
  };
  std::string place = "t.onnx: node \"n0\" (#0, Gemm): error: ";
  CHECK(error({attribute("transB", 1.0)}) ==
        place + "attribute `transB` must be a whole number, it is a number");
  CHECK(error({attribute("transB", int64_t{2})}) ==
        place + "attribute `transB` must be 0 or 1, it is 2");
  CHECK(error({attribute("transB", int64_t{1}), attribute("transC", int64_t{1})}) ==
        place + "`Gemm` has no attribute `transC`; did you mean `transA`?");
  CHECK(error({attribute("transB", int64_t{1}), attribute("transB", int64_t{1})}) ==
        place + "attribute `transB` is given twice");
  CHECK(error({}) == place + "inner sizes differ: [3] of f32[2,3] and [2] of f32[2,3]");
}

TEST_CASE("the loss of an ONNX model", "[onnx]") {
  ModelParts parts = dense();
  CHECK(import_error(model(parts), training()) ==
        "t.onnx: error: the model brings no loss: no output is one float\n"
        "help: name one: --loss cross_entropy, --loss nll, --loss bce, --loss bce_logits, --loss "
        "mse, --loss l1");
  CHECK(import_error(model(parts), training("mso")) ==
        "t.onnx: error: --loss mso: there is no such loss; did you mean `mse`?; the losses are "
        "cross_entropy, nll, bce, bce_logits, mse, l1");
  CHECK(import_error(model(parts), training("mse:z")) ==
        "t.onnx: error: --loss: the model has no output `z`; did you mean `y`?");
  for (const char* loss : {"nll", "bce", "bce_logits", "mse", "l1"}) {
    Module module = onnx::import_model(model(parts), training(loss));
    verify(module);
    CHECK(module.function(kTrainStep).find_result(kLoss));
  }
}

TEST_CASE("the class axis of a loss follows the target", "[onnx]") {
  ModelParts parts{{value_info("x", DType::f32, {2, 5, 3})},
                   {f32("w", {3}, {1, 2, 3})},
                   {node("Mul", {"x", "w"}, {"y"})},
                   {"y"}};
  Options options = training("cross_entropy");
  CHECK(parameters(onnx::import_model(model(parts), options), kTrainStep)[1] == "target: i64[2,3]");
  options.shapes["target"] = {2, 5};
  CHECK(parameters(onnx::import_model(model(parts), options), kTrainStep)[1] == "target: i64[2,5]");
  options.shapes["target"] = {2, 4};
  CHECK(import_error(model(parts), options) ==
        "t.onnx: error: the target is [2,4], the output f32[2,5,3]: neither without axis 1 nor "
        "without the last has it the target's shape\n"
        "help: bind the model's sizes to the data's, e.g. --batch N");
}

TEST_CASE("a loss that does not fit the last op is warned of", "[onnx]") {
  ModelParts parts = dense();
  parts.nodes[1].op_type = "Softmax";
  std::vector<std::string> warnings;
  Options options = training("cross_entropy");
  options.warn = [&](const std::string& message) { warnings.push_back(message); };
  onnx::import_model(model(parts), options);
  CHECK(warnings ==
        Names{"t.onnx: --loss cross_entropy takes logits, but `y` ends in softmax; try nll"});
}

// PyTorch compares indices of 16 bits to make an identity.
TEST_CASE("known numbers of an unsigned type are held in a wider one", "[onnx]") {
  auto cast_to = [](const std::string& from, const std::string& to, int64_t type) {
    return node("Cast", {from}, {to}, {attribute("to", type)});
  };
  constexpr int64_t kUint16 = 4, kFloat = 1;
  ModelParts eye = {{value_info("x", DType::f32, {2, 2})},
                    {f32("i", {2}, {0, 1}), i64("axis", {1})},
                    {cast_to("i", "row", kUint16), node("Unsqueeze", {"row", "axis"}, {"column"}),
                     node("Equal", {"column", "row"}, {"same"}), cast_to("same", "eye", kFloat),
                     node("Add", {"x", "eye"}, {"y"})},
                    {"y"}};
  CHECK(infer(onnx::import_model(model(eye), {}), {floats({2, 2}, {1, 2, 3, 4})}).at("y").data ==
        Values{2, 2, 3, 5});
  ModelParts sum = eye;
  sum.nodes[2].op_type = "Add";
  CHECK(import_error(model(sum)) ==
        "t.onnx: node \"n2\" (#2, Add): error: input 0 holds UINT16, which is only supported where "
        "it is moved, compared or cast");
  constexpr int64_t kInt32 = 6;
  ModelParts whole = eye;
  whole.nodes = {cast_to("i", "narrow", kUint16), cast_to("narrow", "whole", kInt32),
                 node("Add", {"whole", "whole"}, {"sum"}), cast_to("sum", "real", kFloat),
                 node("Add", {"x", "real"}, {"y"})};
  CHECK(infer(onnx::import_model(model(whole), {}), {floats({2, 2}, {1, 2, 3, 4})}).at("y").data ==
        Values{1, 4, 3, 6});
  ModelParts large = eye;
  large.initializers[0] = f32("i", {2}, {0, 65536});
  CHECK(
      import_error(model(large)) ==
      "t.onnx: node \"n0\" (#0, Cast): error: attribute `to` asks for UINT16, which does not hold "
      "65536");
  ModelParts computed = eye;
  computed.nodes[0].inputs[0] = "x";
  CHECK(import_error(model(computed)) ==
        "t.onnx: node \"n0\" (#0, Cast): error: attribute `to` asks for UINT16; supported are f32 "
        "f64 f16 bf16 i8 u8 i16 i32 i64 bool");
}
