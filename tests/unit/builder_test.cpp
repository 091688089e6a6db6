#include "ir/builder.h"

#include <catch2/catch.hpp>
#include <random>

#include "ir/eval.h"
#include "ir/op_def.h"

using namespace gradc;

namespace {

struct Product {
  Function function;
  Tensor a, b, y;
};

Tensor random_tensor(const Dims& dims, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  Tensor x{{DType::f32, dims}, std::vector<double>(static_cast<size_t>(element_count(dims)))};
  for (double& value : x.data)
    value = uniform(random);
  return x;
}

Product product(const Dims& a, const Dims& b, bool transpose_a = false, bool transpose_b = false) {
  Product p{{}, random_tensor(a, 1), random_tensor(b, 2), {}};
  Builder builder(p.function);
  ValueId left = builder.parameter(p.a.type, "a"), right = builder.parameter(p.b.type, "b");
  builder.result(builder.matmul(left, right, transpose_a, transpose_b));
  p.y = eval_closed({}, p.function, std::vector{p.a, p.b})[0];
  return p;
}

double at(const Tensor& x, std::initializer_list<int64_t> indices) {
  int64_t linear = 0;
  size_t axis = 0;
  for (int64_t index : indices)
    linear = linear * x.type.dims[axis++] + index;
  return x.data[static_cast<size_t>(linear)];
}

std::string error_of(const Dims& a, const Dims& b) {
  try {
    product(a, b);
  } catch (const UserError& error) {
    return error.message();
  }
  return "";
}

}  // namespace

TEST_CASE("a matrix multiplies all rows of a batch in one dot", "[builder]") {
  Product p = product({2, 3, 4, 5}, {5, 6});
  REQUIRE(p.y.type.dims == Dims{2, 3, 4, 6});
  REQUIRE(p.function.ops.size() == 1);
  double expected = 0;
  for (int64_t k = 0; k < 5; ++k)
    expected += at(p.a, {1, 2, 3, k}) * at(p.b, {k, 4});
  CHECK(at(p.y, {1, 2, 3, 4}) == Approx(expected));
}

TEST_CASE("matrices of equal batches multiply pairwise in one dot", "[builder]") {
  Product p = product({2, 3, 5, 4}, {2, 3, 6, 5}, true, true);
  REQUIRE(p.y.type.dims == Dims{2, 3, 4, 6});
  REQUIRE(p.function.ops.size() == 1);
  double expected = 0;
  for (int64_t k = 0; k < 5; ++k)
    expected += at(p.a, {1, 2, k, 3}) * at(p.b, {1, 2, 4, k});
  CHECK(at(p.y, {1, 2, 3, 4}) == Approx(expected));
}

TEST_CASE("batches broadcast as NumPy's do", "[builder]") {
  Product p = product({3, 1, 4, 5}, {2, 5, 6});
  REQUIRE(p.y.type.dims == Dims{3, 2, 4, 6});
  double expected = 0;
  for (int64_t k = 0; k < 5; ++k)
    expected += at(p.a, {2, 0, 3, k}) * at(p.b, {1, k, 4});
  CHECK(at(p.y, {2, 1, 3, 4}) == Approx(expected));
}

TEST_CASE("vectors are rows on the left and columns on the right", "[builder]") {
  CHECK(product({5}, {5, 6}).y.type.dims == Dims{6});
  CHECK(product({4, 5}, {5}).y.type.dims == Dims{4});
  CHECK(product({5}, {5}).y.type.dims == Dims{});
  CHECK(product({5}, {3, 5, 6}).y.type.dims == Dims{3, 6});
  CHECK(product({3, 4, 5}, {5}).y.type.dims == Dims{3, 4});
}

TEST_CASE("products that do not fit say so", "[builder]") {
  CHECK(error_of({3, 4, 5}, {2, 5, 6}) ==
        "batch sizes of the product of f32[3,4,5] and f32[2,5,6] do not match: [3] and [2]");
  CHECK(error_of({4, 5}, {4, 6}) == "inner sizes differ: [5] of f32[4,5] and [4] of f32[4,6]");
  CHECK(error_of({}, {4}) == "cannot multiply f32[] and f32[4] as matrices: a scalar has no axes");
}
