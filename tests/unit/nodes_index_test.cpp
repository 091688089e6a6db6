// Ops of ONNX that pick, place and find elements by number.
#include <catch2/catch.hpp>

#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;

namespace {

Tensor indices(const Dims& dims, const Values& values) {
  return {{DType::i64, dims}, values};
}

// With the second input given at run time and known at compile time: both must agree.
Tensor both_ways(const std::string& op, int64_t opset, const std::vector<Tensor>& inputs,
                 const Attributes& attributes = {}) {
  Tensor open = run_node(node(op, {}, {"y"}, attributes), opset, inputs)[0];
  Tensor known = run_node(node(op, {}, {"y"}, attributes), opset, inputs, {1})[0];
  CHECK(known.type == open.type);
  CHECK(known.data == open.data);
  return open;
}

// The message of the error for these inputs, without its place.
std::string failure(const std::string& op, int64_t opset, const std::vector<Tensor>& inputs,
                    const Attributes& attributes = {}) {
  try {
    run_node(node(op, {}, {"y"}, attributes), opset, inputs, {1});
  } catch (const std::exception& error) {
    std::string message = error.what();
    return message.substr(message.find("error: ") + 7);
  }
  return "no error";
}

}  // namespace

TEST_CASE("GatherElements", "[onnx]") {
  Tensor x = floats({3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  // Fewer columns than the data has; -2 is row 1.
  Tensor rows = both_ways("GatherElements", 13, {x, indices({2, 2}, {1, 2, -2, 0})});
  CHECK(rows.type == Type{DType::f32, {2, 2}});
  CHECK(rows.data == Values{4, 8, 4, 2});
  Tensor columns = both_ways("GatherElements", 11, {x, indices({3, 2}, {0, 0, 1, 0, 2, -1})},
                             {attribute("axis", int64_t{1})});
  CHECK(columns.data == Values{1, 1, 5, 4, 9, 9});
  CHECK(failure("GatherElements", 13, {x, indices({1, 4}, {0, 0, 0, 0})}) ==
        "indices [1,4] do not lie in data [3,3] along the axes but 0");
  CHECK(failure("GatherElements", 13, {x, indices({1, 1}, {3})}) ==
        "index 3 is out of range for 3 elements");
}

TEST_CASE("GatherND", "[onnx]") {
  Tensor x = floats({2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  Tensor slices = both_ways("GatherND", 12, {x, indices({2, 1, 2}, {0, 1, 1, -2})});
  CHECK(slices.type.dims == Dims{2, 1, 2});
  CHECK(slices.data == Values{2, 3, 4, 5});
  CHECK(both_ways("GatherND", 11, {x, indices({2, 3}, {0, 0, 1, -1, -2, -1})}).data ==
        Values{1, 5});
  Tensor batch = both_ways("GatherND", 12, {x, indices({2, 1}, {1, 0})},
                           {attribute("batch_dims", int64_t{1})});
  CHECK(batch.type.dims == Dims{2, 2});
  CHECK(batch.data == Values{2, 3, 4, 5});
  // Axes of several sizes: each number counts from the end of its own.
  Tensor wide = floats({2, 3}, {0, 1, 2, 3, 4, 5});
  CHECK(both_ways("GatherND", 13, {wide, indices({2, 2}, {-1, -1, -2, -3})}).data == Values{5, 0});
  CHECK(failure("GatherND", 13, {wide, indices({1, 2}, {1, -4})}) ==
        "index -4 is out of range for 3 elements");
  CHECK(failure("GatherND", 13, {wide, indices({1, 3}, {0, 0, 0})}) ==
        "indices [1,3] do not name axes of data [2,3], of which 0 come first");
}

TEST_CASE("ScatterElements and Scatter", "[onnx]") {
  Tensor x = floats({3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  std::vector<Tensor> inputs{x, indices({2, 2}, {1, 0, -1, 2}), floats({2, 2}, {10, 20, 30, 40})};
  Values replaced{1, 20, 3, 10, 5, 6, 30, 40, 9};
  CHECK(both_ways("Scatter", 9, inputs).data == replaced);
  CHECK(both_ways("ScatterElements", 11, inputs).data == replaced);
  CHECK(both_ways("ScatterElements", 18, inputs).data == replaced);
  auto reduced = [](int64_t opset, const char* reduction) {
    return both_ways("ScatterElements", opset,
                     {floats({1, 4}, {1, 2, 3, 4}), indices({1, 3}, {1, 1, -1}),
                      floats({1, 3}, {5, 6, 2})},
                     {attribute("axis", int64_t{1}), attribute("reduction", reduction)})
        .data;
  };
  CHECK(reduced(16, "add") == Values{1, 13, 3, 6});
  CHECK(reduced(16, "mul") == Values{1, 60, 3, 8});
  CHECK(reduced(18, "max") == Values{1, 6, 3, 4});
  CHECK(reduced(18, "min") == Values{1, 2, 3, 2});
  CHECK(failure("ScatterElements", 16, inputs, {attribute("reduction", "max")}) ==
        "attribute `reduction` is `max`; it must be none, add, mul");
  CHECK(failure("ScatterElements", 18, {x, inputs[1], floats({2, 1}, {1, 2})}) ==
        "updates are f32[2,1], they must be f32[2,2]");
  CHECK(failure("Scatter", 11, inputs) ==
        "op `Scatter` ended before opset 11, the model's is 11; `ScatterElements` took its place");
}

TEST_CASE("ScatterND", "[onnx]") {
  Tensor x = floats({4, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  std::vector<Tensor> rows{x, indices({2, 1}, {3, -3}), floats({2, 2}, {10, 20, 30, 40})};
  CHECK(both_ways("ScatterND", 11, rows).data == Values{1, 2, 30, 40, 5, 6, 10, 20});
  CHECK(both_ways("ScatterND", 18, rows).data == Values{1, 2, 30, 40, 5, 6, 10, 20});
  auto reduced = [&](int64_t opset, const char* reduction) {
    return both_ways("ScatterND", opset,
                     {x, indices({3, 2}, {0, 1, 0, -1, -1, 0}), floats({3}, {5, 6, 2})},
                     {attribute("reduction", reduction)})
        .data;
  };
  CHECK(reduced(16, "add") == Values{1, 13, 3, 4, 5, 6, 9, 8});
  CHECK(reduced(16, "mul") == Values{1, 60, 3, 4, 5, 6, 14, 8});
  CHECK(reduced(18, "max") == Values{1, 6, 3, 4, 5, 6, 7, 8});
  CHECK(reduced(18, "min") == Values{1, 2, 3, 4, 5, 6, 2, 8});
  CHECK(failure("ScatterND", 13, {x, rows[1], floats({2}, {1, 2})}) ==
        "updates are f32[2], they must be f32[2,2]");
}

TEST_CASE("OneHot", "[onnx]") {
  Tensor values = floats({2}, {-1, 4});
  // -1 is the last; what is out of range on either side is off everywhere.
  Tensor last = run_node(node("OneHot", {}, {"y"}), 11,
                         {indices({4}, {1, -1, 3, -4}), indices({}, {3}), values}, {1})[0];
  CHECK(last.type == Type{DType::f32, {4, 3}});
  CHECK(last.data == Values{-1, 4, -1, -1, -1, 4, -1, -1, -1, -1, -1, -1});
  Tensor first = run_node(node("OneHot", {}, {"y"}, {attribute("axis", int64_t{0})}), 9,
                          {floats({2}, {1, 0}), floats({1}, {3}), indices({2}, {0, 7})}, {1, 2})[0];
  CHECK(first.type == Type{DType::i64, {3, 2}});
  CHECK(first.data == Values{0, 7, 7, 0, 0, 0});
  CHECK(failure("OneHot", 11, {indices({1}, {0}), indices({}, {0}), values}) ==
        "the depth is 0, it must lie in [1, 2^31]");
}

TEST_CASE("TopK", "[onnx]") {
  Tensor x = floats({2, 4}, {1, 4, 3, 4, -1, -2, -3, 0}), k = indices({1}, {2});
  auto find = [&](int64_t opset, const Attributes& attributes) {
    return run_node(node("TopK", {}, {"values", "indices"}, attributes), opset, {x, k}, {1});
  };
  std::vector<Tensor> largest = find(10, {});
  CHECK(largest[0].type == Type{DType::f32, {2, 2}});
  CHECK(largest[0].data == Values{4, 4, 0, -1});
  CHECK(largest[1].type == Type{DType::i64, {2, 2}});
  CHECK(largest[1].data == Values{1, 3, 3, 0});
  std::vector<Tensor> smallest =
      find(11, {attribute("largest", int64_t{0}), attribute("sorted", int64_t{0})});
  CHECK(smallest[0].data == Values{1, 3, -3, -2});
  CHECK(smallest[1].data == Values{0, 2, 2, 1});
  CHECK(find(11, {attribute("axis", int64_t{0})})[0].data == Values{1, 4, 3, 4, -1, -2, -3, 0});
  // The number was an attribute, and one result may go unused.
  Attributes old{attribute("k", int64_t{1})};
  CHECK(run_node(node("TopK", {}, {"", "indices"}, old), 9, {x})[0].data == Values{1, 3});
  CHECK(failure("TopK", 11, {x, indices({1}, {5})}) ==
        "k is 5, it must lie in [1, 4], the elements along axis 1");
}

TEST_CASE("CumSum", "[onnx]") {
  Tensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  auto sums = [&](double axis, const Attributes& attributes) {
    return run_node(node("CumSum", {}, {"y"}, attributes), 14, {x, indices({}, {axis})}, {1})[0]
        .data;
  };
  onnx::Attribute exclusive = attribute("exclusive", int64_t{1});
  onnx::Attribute reverse = attribute("reverse", int64_t{1});
  CHECK(sums(1, {}) == Values{1, 3, 6, 4, 9, 15});
  CHECK(sums(-2, {}) == Values{1, 2, 3, 5, 7, 9});
  CHECK(sums(1, {exclusive}) == Values{0, 1, 3, 0, 4, 9});
  CHECK(sums(1, {reverse}) == Values{6, 5, 3, 15, 11, 6});
  CHECK(sums(1, {exclusive, reverse}) == Values{5, 3, 0, 11, 6, 0});
}
