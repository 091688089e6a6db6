// Einsum of ONNX.
#include <catch2/catch.hpp>

#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;

namespace {

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

TEST_CASE("Einsum of diagonals", "[onnx]") {
  Tensor square{{DType::f32, {3, 3}}, {1, 2, 3, 4, 5, 6, 7, 8, 9}};
  CHECK(einsum("ii->i", {square}).data == Values{1, 5, 9});
  CHECK(einsum("ii", {square}).data == Values{15});
  Tensor cubes{{DType::f32, {2, 3, 2}}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}};
  Tensor y = einsum("iji->ji", {cubes});
  CHECK(y.type.dims == Dims{3, 2});
  CHECK(y.data == Values{0, 7, 2, 9, 4, 11});
  CHECK(einsum("iii->i", {{{DType::f32, {2, 2, 2}}, {1, 2, 3, 4, 5, 6, 7, 8}}}).data ==
        Values{1, 8});
  CHECK(einsum("ii,i->i", {square, kRow}).data == Values{1, 50, 900});
}

TEST_CASE("Einsum with axes that have no letters", "[onnx]") {
  CHECK(einsum("...i->...", {kX}).data == Values{6, 15});
  CHECK(einsum("...ij->...ji", {kX}).data == Values{1, 4, 2, 5, 3, 6});
  CHECK(einsum("i...->...", {kX}).data == Values{5, 7, 9});
  CHECK(einsum("...", {kX}).data == kX.data);
  // They come first, and those of size 1 or that a term lacks repeat.
  Tensor x{{DType::f32, {2, 1, 3}}, {1, 2, 3, 4, 5, 6}},
      y{{DType::f32, {2, 3}}, {1, 0, 0, 0, 1, 1}};
  Tensor product = einsum("...k,...k", {x, y});
  CHECK(product.type.dims == Dims{2, 2});
  CHECK(product.data == Values{1, 5, 4, 11});
  Tensor outer = einsum("...i,j->j...i", {kX, {{DType::f32, {2}}, {1, 2}}});
  CHECK(outer.type.dims == Dims{2, 2, 3});
  CHECK(outer.data == Values{1, 2, 3, 4, 5, 6, 2, 4, 6, 8, 10, 12});
  CHECK(einsum("...ii->...i", {{{DType::f32, {2, 2, 2}}, {1, 2, 3, 4, 5, 6, 7, 8}}}).data ==
        Values{1, 4, 5, 8});
}

TEST_CASE("equations that cannot be", "[onnx]") {
  std::string place = "t.onnx: node \"n0\" (#0, Einsum): error: ";
  CHECK(error("ii->i") == place + "letter `i` has sizes 2 and 3");
  CHECK(error("i.j->i") == place + "`i.j` of the equation has dots that are not `...`");
  CHECK(error("i1->i") == place + "`i1` of the equation must be letters and `...`");
  CHECK(error("ij->ii") == place + "letter `i` is twice in the result of `ij->ii`");
  CHECK(error("ijk...->i") == place + "`ijk...` of the equation is no name for f32[2,3]");
  CHECK(error("ij->k") == place + "letter `k` of the result is in no term of `ij->k`");
  CHECK(error("ij,jk->ik") == place + "the equation has 2 terms for 1 inputs");
  CHECK(error("ijk->i") == place + "`ijk` of the equation is no name for f32[2,3]");
}
