// Ops of ONNX that surround, repeat, rearrange and mask elements.
#include <catch2/catch.hpp>

#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;

namespace {

const Tensor kAbsent{{DType::i64, {0}}, {}};
const Tensor kX = floats({2, 3}, {1, 2, 3, 4, 5, 6});
const Tensor kRow = floats({3}, {1, 2, 3});

Tensor pad(const Tensor& x, const Values& pads, const char* mode, const Tensor& value = kAbsent,
           const Tensor& axes = kAbsent) {
  return run_node(node("Pad", {}, {"y"}, {attribute("mode", mode)}), 19,
                  {x, integers(pads), value, axes}, {1, 2, 3})[0];
}

}  // namespace

TEST_CASE("Pad with a number", "[onnx]") {
  Tensor y = pad(kX, {0, 1, 1, 0}, "constant", floats({}, {9}));
  CHECK(y.type == Type{DType::f32, {3, 4}});
  CHECK(y.data == Values{9, 1, 2, 3, 9, 4, 5, 6, 9, 9, 9, 9});
  CHECK(pad(kRow, {1, 1}, "constant").data == Values{0, 1, 2, 3, 0});
  // Negative ones crop.
  CHECK(pad(kRow, {-1, 2}, "constant").data == Values{2, 3, 0, 0});
  CHECK(pad(kX, {-1, 0, 0, -2}, "constant").data == Values{4});
  // Axes in any order.
  Tensor some = pad(kX, {0, 1, 1, 0}, "constant", kAbsent, integers({-1, 0}));
  CHECK(some.type.dims == Dims{3, 4});
  CHECK(some.data == Values{0, 0, 0, 0, 1, 2, 3, 0, 4, 5, 6, 0});
  // As attributes.
  Attributes old{attribute("pads", List{1, 0}), attribute("value", 7.0)};
  CHECK(run_node(node("Pad", {}, {"y"}, old), 2, {kRow})[0].data == Values{7, 1, 2, 3});
  Attributes oldest{attribute("paddings", List{0, 1})};
  CHECK(run_node(node("Pad", {}, {"y"}, oldest), 1, {kRow})[0].data == Values{1, 2, 3, 0});
}

TEST_CASE("Pad with the elements at the border", "[onnx]") {
  CHECK(pad(kRow, {2, 1}, "edge").data == Values{1, 1, 1, 2, 3, 3});
  CHECK(pad(kRow, {2, 1}, "reflect").data == Values{3, 2, 1, 2, 3, 2});
  CHECK(pad(kRow, {2, 1}, "wrap").data == Values{2, 3, 1, 2, 3, 1});
  // More than there are go back and forth, or around again.
  CHECK(pad(kRow, {5, 4}, "reflect").data == Values{2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3});
  CHECK(pad(kRow, {4, 5}, "wrap").data == Values{3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2});
  CHECK(pad(floats({1}, {5}), {1, 2}, "reflect").data == Values{5, 5, 5, 5});
  CHECK(pad(kRow, {-1, 1}, "reflect").data == Values{2, 3, 2});
  Tensor y = pad(kX, {1, 0, 0, 1}, "reflect");
  CHECK(y.type.dims == Dims{3, 4});
  CHECK(y.data == Values{4, 5, 6, 5, 1, 2, 3, 2, 4, 5, 6, 5});
  CHECK(pad(kX, {0, 1, 1, 0}, "edge").data == Values{1, 1, 2, 3, 4, 4, 5, 6, 4, 4, 5, 6});
}

TEST_CASE("pads that cannot be", "[onnx]") {
  auto error = [](const List& pads, const char* mode) {
    Attributes attributes{attribute("pads", pads), attribute("mode", mode)};
    return import_error(model({{value_info("x", DType::f32, {3})},
                               {},
                               {node("Pad", {"x"}, {"y"}, attributes)},
                               {"y"},
                               10}));
  };
  std::string place = "t.onnx: node \"n0\" (#0, Pad): error: ";
  CHECK(error({1}, "edge") == place + "pads [1] must be two for each of 1 axes");
  CHECK(error({-2, -1}, "edge") == place + "pads [-2,-1] leave nothing of f32[3] along axis 0");
  CHECK(error({1, 1}, "wrap") ==
        place + "attribute `mode` is `wrap`; it must be constant, reflect or edge");
  CHECK(error({5000, 0}, "reflect") ==
        place + "pads of 5000 and 0 go more than 256 times around 3 elements");
}

TEST_CASE("Tile", "[onnx]") {
  Tensor y =
      run_node(node("Tile", {}, {"y"}), 13, {floats({1, 2}, {1, 2}), integers({2, 3})}, {1})[0];
  CHECK(y.type.dims == Dims{2, 6});
  CHECK(y.data == Values{1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2});
  CHECK(run_node(node("Tile", {}, {"y"}), 6, {kX, integers({2, 1})}, {1})[0].data ==
        Values{1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6});
}

TEST_CASE("DepthToSpace and SpaceToDepth", "[onnx]") {
  Tensor x = floats({1, 8, 1, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15});
  auto run = [](const char* op, const Tensor& from, Attributes attributes = {}) {
    attributes.push_back(attribute("blocksize", int64_t{2}));
    return run_node(node(op, {}, {"y"}, attributes), 28, {from})[0];
  };
  Tensor space = run("DepthToSpace", x);
  CHECK(space.type.dims == Dims{1, 2, 2, 4});
  CHECK(space.data == Values{0, 4, 1, 5, 8, 12, 9, 13, 2, 6, 3, 7, 10, 14, 11, 15});
  CHECK(run("SpaceToDepth", space).type == x.type);
  CHECK(run("SpaceToDepth", space).data == x.data);
  CHECK(run("DepthToSpace", x, {attribute("mode", "CRD")}).data ==
        Values{0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15});
  Attributes columns_first{attribute("mode", "CRD")};
  CHECK(run("SpaceToDepth", run("DepthToSpace", x, columns_first), columns_first).data == x.data);
}

TEST_CASE("Trilu", "[onnx]") {
  Tensor x = floats({3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  auto part = [&](int64_t upper, const Values& k) {
    std::vector<Tensor> inputs{x};
    if (!k.empty())
      inputs.push_back({{DType::i64, {}}, k});
    Attributes attributes{attribute("upper", upper)};
    return run_node(node("Trilu", {}, {"y"}, attributes), 14, inputs, {1})[0].data;
  };
  CHECK(part(1, {}) == Values{1, 2, 3, 0, 5, 6, 0, 0, 9});
  CHECK(part(1, {1}) == Values{0, 2, 3, 0, 0, 6, 0, 0, 0});
  CHECK(part(0, {}) == Values{1, 0, 0, 4, 5, 0, 7, 8, 9});
  CHECK(part(0, {-1}) == Values{0, 0, 0, 4, 0, 0, 7, 8, 0});
  CHECK(part(1, {100}) == Values(9, 0));
  CHECK(part(0, {100}) == x.data);
  // Of each of several matrices, of bool too.
  Tensor masks{{DType::boolean, {2, 1, 2}}, {1, 1, 0, 1}};
  CHECK(run_node(node("Trilu", {}, {"y"}, {attribute("upper", int64_t{0})}), 14, {masks})[0].data ==
        Values{1, 0, 0, 0});
}

TEST_CASE("EyeLike", "[onnx]") {
  Tensor y = run_node(node("EyeLike", {}, {"y"}), 9, {kX})[0];
  CHECK(y.type == kX.type);
  CHECK(y.data == Values{1, 0, 0, 0, 1, 0});
  Attributes attributes{attribute("k", int64_t{1}), attribute("dtype", int64_t{7})};
  Tensor above = run_node(node("EyeLike", {}, {"y"}, attributes), 9, {kX})[0];
  CHECK(above.type == Type{DType::i64, {2, 3}});
  CHECK(above.data == Values{0, 1, 0, 0, 0, 1});
}
