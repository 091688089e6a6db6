// Einsum of ONNX.
#include <catch2/catch.hpp>

#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;

namespace {

using Values = std::vector<double>;

const Tensor kX{{DType::f32, {2, 3}}, {1, 2, 3, 4, 5, 6}};
const Tensor kY{{DType::f32, {3, 2}}, {1, 0, 2, 1, 0, 3}};
const Tensor kRow{{DType::f32, {3}}, {1, 10, 100}};

Tensor einsum(const char* equation, const std::vector<Tensor>& inputs) {
  return run_node(node("Einsum", {}, {"y"}, {attribute("equation", equation)}), 12, inputs)[0];
}

std::string error(const char* equation) {
  return import_error(model({{value_info("x", DType::f32, {2, 3})},
                             {},
                             {node("Einsum", {"x"}, {"y"}, {attribute("equation", equation)})},
                             {"y"}}));
}

}  // namespace

TEST_CASE("Einsum of one tensor", "[onnx]") {
  CHECK(einsum("ij->ji", {kX}).type.dims == Dims{3, 2});
  CHECK(einsum("ij -> ji", {kX}).data == Values{1, 4, 2, 5, 3, 6});
  CHECK(einsum("ba", {kX}).data == Values{1, 4, 2, 5, 3, 6});
  CHECK(einsum("ij->j", {kX}).data == Values{5, 7, 9});
  CHECK(einsum("ij->", {kX}).data == Values{21});
}

TEST_CASE("Einsum of several tensors", "[onnx]") {
  CHECK(einsum("ij,jk->ik", {kX, kY}).data == Values{5, 11, 14, 23});
  CHECK(einsum("ij,jk", {kX, kY}).data == Values{5, 11, 14, 23});
  CHECK(einsum("ij,jk->ki", {kX, kY}).data == Values{5, 14, 11, 23});
  // A batch; a letter of one term alone; nothing to sum; all.
  CHECK(einsum("bi,ib->b", {kX, kY}).data == Values{5, 23});
  CHECK(einsum("ij,jk->i", {kX, kY}).data == Values{16, 37});
  CHECK(einsum("ij,j->ji", {kX, kRow}).data == Values{1, 4, 20, 50, 300, 600});
  Tensor outer = einsum("i,jk->kij", {kRow, {{DType::f32, {1, 2}}, {2, 3}}});
  CHECK(outer.type.dims == Dims{2, 3, 1});
  CHECK(outer.data == Values{2, 20, 200, 3, 30, 300});
  CHECK(einsum("ij,ji->", {kX, kY}).data == Values{28});
  CHECK(einsum("ij,jk,j->ik", {kX, kY, kRow}).data == Values{41, 920, 104, 1850});
}

TEST_CASE("equations that cannot be", "[onnx]") {
  std::string place = "t.onnx: node \"n0\" (#0, Einsum): error: ";
  CHECK(error("ii->i") == place + "`ii` of the equation has `i` twice, which is not supported");
  CHECK(error("...i->i") ==
        place + "`...i` of the equation must be letters; others, `...` too, are not supported");
  CHECK(error("ij->k") == place + "letter `k` of the result is in no term of `ij->k`");
  CHECK(error("ij,jk->ik") == place + "the equation has 2 terms for 1 inputs");
  CHECK(error("ijk->i") == place + "`ijk` of the equation is no name for f32[2,3]");
}
