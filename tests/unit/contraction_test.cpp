// Every op that states its loops as a Contraction: summing products over them, naively and in this
// order, gives what the op's own evaluation gives.
#include <catch2/catch.hpp>
#include <random>
#include <string>

#include "ir/eval.h"
#include "ir/op_def.h"
#include "ir/parse.h"

using namespace gradc;

namespace {

Tensor random_tensor(const Type& type, std::mt19937& random) {
  std::uniform_real_distribution<double> uniform(-1, 1);
  Tensor x{type, std::vector<double>(static_cast<size_t>(type.elements()))};
  for (double& value : x.data)
    value = uniform(random);
  return x;
}

// Steps `loops` to the next row-major position; false after the last one.
bool advance(Dims& loops, const Dims& sizes) {
  for (size_t i = loops.size(); i-- > 0; loops[i] = 0)
    if (++loops[i] < sizes[i])
      return true;
  return false;
}

// The element that the indices name at a position of the loops; zero where there is none.
double read(const Tensor& x, const std::vector<AffineIndex>& indices, const Dims& loops) {
  int64_t linear = 0;
  for (size_t axis = 0; axis < indices.size(); ++axis) {
    int64_t at = indices[axis].offset;
    for (const auto& [loop, coefficient] : indices[axis].terms)
      at += coefficient * loops[static_cast<size_t>(loop)];
    if (at % indices[axis].divisor != 0)
      return 0;
    at /= indices[axis].divisor;
    if (at < 0 || at >= x.type.dims[axis])
      return 0;
    linear = linear * x.type.dims[axis] + at;
  }
  return x.data[static_cast<size_t>(linear)];
}

std::vector<double> interpret(const Contraction& c, const std::vector<Tensor>& operands) {
  Dims sizes = c.result_dims;
  sizes.insert(sizes.end(), c.summed_dims.begin(), c.summed_dims.end());
  std::vector<double> result(static_cast<size_t>(element_count(c.result_dims)));
  int64_t terms = element_count(c.summed_dims), step = 0;
  Dims loops(sizes.size());
  do {
    double product = read(operands[0], c.operand_indices[0], loops) *
                     read(operands[1], c.operand_indices[1], loops);
    result[static_cast<size_t>(step++ / terms)] += product;
  } while (advance(loops, sizes));
  return result;
}

void check_example(std::string_view line) {
  INFO(std::string(line));
  Example example = parse_example(line);
  std::mt19937 random(7);
  std::vector<Tensor> operands;
  for (const Type& type : example.operands)
    operands.push_back(random_tensor(type, random));
  Types results = infer_types(example.code, example.operands, example.attrs);
  Contraction c = def(example.code).contraction(example.operands, results[0], example.attrs);
  REQUIRE(element_count(c.result_dims) == results[0].elements());
  for (size_t side : {0, 1})
    REQUIRE(c.operand_indices[side].size() == example.operands[side].dims.size());
  Op op{.code = example.code, .attrs = example.attrs};
  std::vector<Tensor> expected = eval_op({}, op, operands, results);
  std::vector<double> actual = interpret(c, operands);
  for (size_t i = 0; i < actual.size(); ++i)
    CHECK(actual[i] == Approx(expected[0].data[i]).margin(1e-12));
}

}  // namespace

TEST_CASE("the loops of each contraction give the op's result", "[ops][contraction]") {
  for (Opcode code : all_opcodes())
    if (def(code).kernel == KernelClass::contract)
      for (std::string_view line : example_lines(def(code).examples))
        check_example(line);
}
