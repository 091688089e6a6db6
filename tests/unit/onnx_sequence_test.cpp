// Sequences of tensors in ONNX files, which are taken apart while importing.
#include <algorithm>
#include <catch2/catch.hpp>

#include "compiler/entries.h"
#include "compiler/import/onnx/onnx_import.h"
#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;

namespace {

const Tensor kX{{DType::f32, {2, 5}}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}};

onnx::Node split(std::vector<std::string> inputs, int64_t axis, int64_t keepdims = 1) {
  return node("SplitToSequence", std::move(inputs), {"parts"},
              {attribute("axis", axis), attribute("keepdims", keepdims)});
}

// Of x: f32[2,5], and whole numbers by name.
ModelParts of_x(std::vector<onnx::Node> nodes) {
  return {{value_info("x", DType::f32, {2, 5})},
          {tensor("two", DType::i64, {}, {2}), tensor("first", DType::i64, {}, {0}),
           tensor("last", DType::i64, {}, {-1}), i64("sizes", {1, 4}),
           tensor("far", DType::i64, {}, {7})},
          std::move(nodes),
          {"y"}};
}

Tensor result(const ModelParts& parts) {
  return infer(onnx::import_model(model(parts), {}), {kX}).at("y");
}

std::string error(const ModelParts& parts) {
  std::string text = import_error(model(parts));
  return text.substr(text.find("error: "));
}

}  // namespace

TEST_CASE("a tensor is split into a sequence and taken from it", "[onnx]") {
  // Parts of two, the last one smaller; of the sizes given; of one each.
  Tensor last =
      result(of_x({split({"x", "two"}, 1), node("SequenceAt", {"parts", "last"}, {"y"})}));
  CHECK(last.type.dims == Dims{2, 1});
  CHECK(last.data == std::vector<double>{4, 9});
  CHECK(result(of_x({split({"x", "sizes"}, -1), node("SequenceAt", {"parts", "last"}, {"y"})}))
            .data == std::vector<double>{1, 2, 3, 4, 6, 7, 8, 9});
  CHECK(result(of_x({split({"x"}, 0), node("SequenceAt", {"parts", "last"}, {"y"})})).type.dims ==
        Dims{1, 5});
  CHECK(
      result(of_x({split({"x"}, 0, 0), node("SequenceAt", {"parts", "last"}, {"y"})})).type.dims ==
      Dims{5});
}

TEST_CASE("a sequence is made, changed and joined", "[onnx]") {
  CHECK(result(of_x({split({"x"}, 0, 0),
                     node("ConcatFromSequence", {"parts"}, {"y"},
                          {attribute("axis", int64_t{-1}), attribute("new_axis", int64_t{1})})}))
            .data == std::vector<double>{0, 5, 1, 6, 2, 7, 3, 8, 4, 9});
  std::vector<onnx::Node> nodes = {
      split({"x"}, 0),
      node("SequenceConstruct", {"x", "x"}, {"twice"}),
      node("SequenceAt", {"parts", "first"}, {"row"}),
      node("SequenceInsert", {"twice", "row", "first"}, {"with_row"}),  // row, x, x
      node("SequenceErase", {"with_row"}, {"rest"}),  // row, x
      node("SequenceEmpty", {}, {"none"}),
      node("SequenceInsert", {"none", "row"}, {"one"}),
      node("SequenceLength", {"rest"}, {"n"}),
      node("SequenceAt", {"rest", "first"}, {"again"}),
      node("SequenceInsert", {"rest", "again", "last"}, {"all"}),  // row, row, x
      node("ConcatFromSequence", {"all"}, {"y"}, {attribute("axis", int64_t{0})})};
  CHECK(result(of_x(nodes)).data ==
        std::vector<double>{0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  nodes.back() = node("Identity", {"n"}, {"y"});
  CHECK(result(of_x(nodes)).data == std::vector<double>{2});
}

TEST_CASE("parts of a weight are trained, parts of a constant are known", "[onnx]") {
  ModelParts parts = of_x({split({"w", "two"}, 0), node("SequenceAt", {"parts", "first"}, {"head"}),
                           node("Mul", {"x", "head"}, {"y"})});
  parts.initializers.push_back(f32("w", {4, 5}, std::vector<double>(20, 2)));
  Options options;
  options.train = true;
  options.loss = "mse";
  Module module = onnx::import_model(model(parts), options);
  CHECK(module.find_state("w")->role == Role::parameter);
  // A shape in parts: the size of the last axis, and then the first.
  parts = of_x({node("Shape", {"x"}, {"shape"}), split({"shape"}, 0),
                node("SequenceAt", {"parts", "last"}, {"columns"}),
                node("SequenceAt", {"parts", "first"}, {"rows"}),
                node("Concat", {"columns", "rows"}, {"turned"}, {attribute("axis", int64_t{0})}),
                node("Reshape", {"x", "turned"}, {"y"})});
  CHECK(result(parts).type.dims == Dims{5, 2});
}

TEST_CASE("sequences that cannot be", "[onnx]") {
  CHECK(error(of_x({split({"x", "two"}, 1), node("Relu", {"parts"}, {"y"})})) ==
        "error: input 0 (`parts`) is a sequence of 3 tensors, not a tensor");
  CHECK(error(of_x({split({"x", "two"}, 1),
                    node("Concat", {"x", "parts"}, {"y"}, {attribute("axis", int64_t{0})})})) ==
        "error: input 1 (`parts`) is a sequence of 3 tensors, not a tensor");
  CHECK(error(of_x({split({"x", "two"}, 1), node("SequenceAt", {"parts", "far"}, {"y"})})) ==
        "error: position 7 is not one of a sequence of 3");
  CHECK(error(of_x({node("SequenceAt", {"x", "first"}, {"y"})})) ==
        "error: input 0 (`x`) must be a sequence of tensors, it is f32[2,5]");
  CHECK(error(of_x({split({"x", "sizes"}, 0), node("SequenceAt", {"parts", "first"}, {"y"})})) ==
        "error: axis 0 of f32[2,5] does not split into parts of [1,4]");
  CHECK(error(of_x({split({"x", "first"}, 0), node("SequenceAt", {"parts", "first"}, {"y"})})) ==
        "error: cannot split 2 elements into parts of 0");
  CHECK(error(of_x({node("SequenceConstruct", {"x"}, {"y"})})) ==
        "error: output `y` is a sequence of tensors; take it apart by `SequenceAt`");
  CHECK(error(of_x({node("SequenceEmpty", {}, {"none"}),
                    node("SequenceErase", {"none"}, {"y"})})) == "error: the sequence is empty");
  CHECK(error(of_x({split({"x"}, 0), node("SequenceConstruct", {"x", "parts"}, {"y"})})) ==
        "error: a sequence of sequences is not supported");
}
