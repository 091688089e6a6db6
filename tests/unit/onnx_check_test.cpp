// What `gradc check` asks of the importer: all problems of a model at once.
#include <catch2/catch.hpp>

#include "compiler/import/onnx/coverage.h"
#include "compiler/import/onnx/onnx_import.h"
#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;
using onnx::Problem;

namespace {

std::vector<Problem> problems_of(const onnx::Model& model, const Options& options = {}) {
  std::vector<Problem> problems;
  std::optional<Module> module = onnx::try_import(model, options, problems);
  CHECK(module.has_value() == problems.empty());
  return problems;
}

// What of each problem a person reads first.
std::vector<std::string> texts(const std::vector<Problem>& problems) {
  std::vector<std::string> result;
  for (const Problem& problem : problems)
    result.push_back(fmt::format("{} {} {}: {}", name_of(problem.kind), problem.node, problem.op,
                                 problem.message));
  return result;
}

using Texts = std::vector<std::string>;
const std::string kFoo = "op `Frobnicate` is not supported";

}  // namespace

TEST_CASE("a good model has no problems", "[onnx]") {
  onnx::Model good =
      model({{value_info("x", DType::f32, {2})}, {}, {node("Relu", {"x"}, {"y"})}, {"y"}});
  CHECK(problems_of(good).empty());
}

TEST_CASE("all problems are found, also behind others", "[onnx]") {
  onnx::Model bad = model({{value_info("x", DType::f32, {2, 3})},
                           {},
                           {node("Frobnicate", {"x"}, {"a"}), node("Relu", {"a"}, {"b"}),
                            node("QuantizeLinear", {"b"}, {"c"}),
                            node("Softmax", {"x"}, {"d"}, {attribute("axes", int64_t{1})}),
                            node("Cast", {"x"}, {"e"}, {attribute("to", int64_t{17})}),
                            node("Add", {"c", "d"}, {"f"}), node("Sum", {"e", "f"}, {"y"})},
                           {"y"}});
  std::vector<Problem> problems = problems_of(bad);
  CHECK(texts(problems) ==
        Texts{"op n0 Frobnicate: " + kFoo,
              "op n2 QuantizeLinear: op `QuantizeLinear` is not supported",
              "other n3 Softmax: `Softmax` has no attribute `axes`; did you mean `axis`?",
              "type n4 Cast: attribute `to` asks for FLOAT8E4M3FN; supported are f32 f64 f16 bf16 "
              "i8 u8 i16 i32 i64 bool"});
  REQUIRE(problems.size() == 4);
  CHECK(problems[0].place == "t.onnx: node \"n0\" (#0, Frobnicate)");
  CHECK(problems[1].cure == "export the model before it is quantized");
}

TEST_CASE("a stated type lets the check go on", "[onnx]") {
  onnx::Model bad = model({{value_info("x", DType::f32, {2, 3})},
                           {},
                           {node("Frobnicate", {"x"}, {"a"}), node("MatMul", {"a", "x"}, {"y"})},
                           {"y"}});
  CHECK(problems_of(bad).size() == 1);
  bad.graph.value_infos.push_back(value_info("a", DType::f32, {2, 4}));
  std::vector<Problem> problems = problems_of(bad);
  REQUIRE(problems.size() == 2);
  CHECK(problems[1].node == "n1");
  CHECK(problems[1].kind == Problem::Kind::other);
}

TEST_CASE("problems in branches and functions say where they are", "[onnx]") {
  onnx::Graph branch;
  branch.nodes = {node("Frobnicate", {"x"}, {"z"}), node("Frobnicate", {"z"}, {"w"})};
  branch.nodes[1].index = 1;
  branch.outputs.emplace_back();
  branch.outputs[0].name = "w";
  onnx::Model bad = model(
      {{value_info("x", DType::f32, {2})},
       {tensor("c", DType::boolean, {}, {1})},
       {node("If", {"c"}, {"a"},
             {attribute("then_branch", branch), attribute("else_branch", branch)}),
        node("Call", {"a"}, {"b"}), node("Call", {"x"}, {"d"}), node("Add", {"b", "d"}, {"y"})},
       {"y"}});
  onnx::FunctionDef function;
  function.name = "Call";
  function.domain = "own";
  function.inputs = {"p"};
  function.outputs = {"q"};
  function.opsets[""] = 17;
  function.nodes = {node("Frobnicate", {"p"}, {"q"})};
  bad.functions = {function};
  bad.opsets["own"] = 1;
  bad.graph.nodes[1].domain = bad.graph.nodes[2].domain = "own";
  std::vector<std::string> places;
  for (const Problem& problem : problems_of(bad))
    places.push_back(problem.place);
  CHECK(places == Texts{"t.onnx: node #0 (Frobnicate) in a branch of node \"n0\"",
                        "t.onnx: node #1 (Frobnicate) in a branch of node \"n0\"",
                        "t.onnx: node #0 (Frobnicate) in function \"Call\"",
                        "t.onnx: node #0 (Frobnicate) in function \"Call\""});
}

TEST_CASE("inputs and initializers of other types are problems beside others", "[onnx]") {
  onnx::Tensor strings;
  strings.name = "s";
  strings.element_type = 8;
  onnx::ValueInfo sequence = value_info("q", DType::f32, {});
  sequence.kind = "sequence";
  onnx::Model bad = model({{sequence, value_info("x", DType::f32, {2})},
                           {strings},
                           {node("Add", {"q", "s"}, {"a"}), node("Frobnicate", {"x"}, {"b"}),
                            node("Add", {"a", "b"}, {"y"})},
                           {"y"}});
  std::vector<Problem> problems = problems_of(bad);
  REQUIRE(problems.size() == 3);
  CHECK(problems[0].place == "t.onnx: input `q`");
  CHECK(problems[1].place == "t.onnx: initializer `s`");
  CHECK(problems[2].node == "n1");
}

TEST_CASE("a value that must be known is a problem of its own kind", "[onnx]") {
  onnx::Model bad = model({{value_info("x", DType::f32, {6}), value_info("shape", DType::i64, {2})},
                           {},
                           {node("Reshape", {"x", "shape"}, {"y"})},
                           {"y"}});
  std::vector<Problem> problems = problems_of(bad);
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].kind == Problem::Kind::value);
  CHECK(problems[0].cure == "bind the input that it depends on: --bind shape=VALUE");
  // Inputs whose values are known stay inputs.
  onnx::ConstantPtr shape = onnx::integers_constant({2, 3});
  Module module = onnx::import_model(bad, {}, {{"shape", {shape->type, shape->content}}});
  CHECK(module.function("infer").parameters.size() == 2);
  CHECK(infer(module, {{{DType::f32, {6}}, {1, 2, 3, 4, 5, 6}}, {{DType::i64, {2}}, {0, 0}}})
            .at("y")
            .type.dims == Dims{2, 3});
}

TEST_CASE("open sizes are assumed, and the flags that give them told", "[onnx]") {
  onnx::Model open = model({{value_info("image", DType::f32, {"n", 3, "h", 32}),
                             value_info("tokens", DType::i64, {"n", -1})},
                            {},
                            {node("Relu", {"image"}, {"y"}), node("Neg", {"tokens"}, {"z"})},
                            {"y", "z"}});
  Options options;
  CHECK(onnx::assume_open_sizes(open, options) ==
        Texts{"--bind n=1", "--bind h=224", "--shape tokens=1x16"});
  CHECK(problems_of(open, options).empty());
  options = {};
  options.binds["n"] = 5;
  CHECK(onnx::assume_open_sizes(open, options) == Texts{"--bind h=224", "--shape tokens=5x16"});
  CHECK(problems_of(open, options).empty());
}

TEST_CASE("gaps are found without running nodes", "[onnx]") {
  onnx::Model bad = model({{value_info("x", DType::f32, {2})},
                           {},
                           {node("Frobnicate", {"x"}, {"y"}), node("Relu", {"nothing"}, {"z"})},
                           {"y"}});
  std::vector<onnx::Gap> gaps = onnx::find_gaps(bad);
  REQUIRE(gaps.size() == 1);
  CHECK(gaps[0].kind == onnx::Gap::Kind::op);
  CHECK(gaps[0].place == "t.onnx: node \"n0\" (#0, Frobnicate)");
  CHECK(gaps[0].message == kFoo);
}
