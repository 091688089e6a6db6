#include "tests/support/attention_cases.h"

#include <fmt/format.h>

#include <limits>

#include "ir/builder.h"
#include "ir/eval.h"
#include "tests/support/feed.h"

namespace gradc::test {
namespace {

std::vector<ValueId> parameters(Builder& b, const AttentionCase& c) {
  return {b.parameter(c.q, "q"), b.parameter(c.k, "k"), b.parameter(c.v, "v")};
}

Attrs attrs_of(const AttentionCase& c) {
  return {{"causal", c.causal}, {"scale", c.scale}};
}

Type rows_of(const AttentionCase& c) {
  Type rows = c.q;
  rows.dims.pop_back();
  return rows;
}

Type y_of(const AttentionCase& c) {
  Type y = c.q;
  y.dims.back() = c.v.dims.back();
  return y;
}

AttentionCase with_type(AttentionCase c, DType dtype) {
  for (Type* type : {&c.q, &c.k, &c.v})
    type->dtype = dtype;
  if (c.mask && c.mask->dtype != DType::boolean)
    c.mask->dtype = dtype;
  return c;
}

}  // namespace

std::string to_string(const AttentionCase& c) {
  return fmt::format("q {} k {} v {} mask {}{} scale {}", gradc::to_string(c.q),
                     gradc::to_string(c.k), gradc::to_string(c.v),
                     c.mask ? gradc::to_string(*c.mask) : "none", c.causal ? " causal" : "",
                     c.scale);
}

std::vector<AttentionCase> attention_cases() {
  auto f = [](Dims dims) { return Type{DType::f32, std::move(dims)}; };
  auto truth = [](Dims dims) { return Type{DType::boolean, std::move(dims)}; };
  std::vector<AttentionCase> cases;
  for (bool causal : {false, true}) {
    // Lengths around the sizes of strips and blocks; one query; no heads.
    for (int64_t n : {1, 7, 16, 33, 64, 97, 150})
      cases.push_back({f({2, n, 8}), f({2, n, 8}), f({2, n, 8}), {}, causal});
    for (int64_t more : {1, 5, 16, 40, 64, 100})
      cases.push_back({f({35, 5}), f({35 + more, 5}), f({35 + more, 9}), {}, causal});
    cases.push_back({f({1, 2, 1, 4}), f({1, 2, 90, 4}), f({1, 2, 90, 3}), {}, causal});
    // Keys that queries share; more features than one tile's columns.
    cases.push_back({f({2, 6, 40, 3}), f({2, 2, 40, 3}), f({2, 2, 40, 2}), {}, causal});
    cases.push_back({f({1, 3, 33, 4}), f({1, 1, 65, 4}), f({1, 1, 65, 4}), {}, causal});
    cases.push_back({f({1, 17, 70}), f({1, 20, 70}), f({1, 20, 131}), {}, causal});
    // Masks.
    AttentionCase masked{f({2, 3, 37, 4}), f({2, 3, 70, 4}), f({2, 3, 70, 5}), {}, causal};
    for (Dims dims :
         {Dims{2, 3, 37, 70}, {37, 70}, {2, 1, 1, 70}, {70}, {3, 37, 1}, {1, 1, 37, 70}})
      for (Type mask : {f(dims), truth(dims)}) {
        masked.mask = mask;
        cases.push_back(masked);
      }
    // A block of which nothing is seen, and scores in the other order, or all equal.
    for (double scale : {3.0, -0.3, 0.0}) {
      masked.mask = truth({37, 70});
      masked.scale = scale;
      cases.push_back(masked);
    }
  }
  cases.push_back(with_type(cases[3], DType::f64));
  cases.push_back(with_type(cases.back(), DType::f64));
  cases.push_back({f({2, 40, 8}), f({2, 20, 8}), f({2, 20, 8}), {}, false});
  return cases;
}

Function attention_forward(const AttentionCase& c) {
  Function function;
  function.name = "forward";
  Builder b(function);
  std::vector<ValueId> operands = parameters(b, c);
  if (c.mask)
    operands.push_back(b.parameter(*c.mask, "mask"));
  for (ValueId result : b.op_multi(Opcode::attention_forward, operands, attrs_of(c)))
    b.result(result, "y");
  return function;
}

Function attention_backward(const AttentionCase& c) {
  Function function;
  function.name = "backward";
  Builder b(function);
  std::vector<ValueId> operands = parameters(b, c);
  for (const char* name : {"top", "total", "delta"})
    operands.push_back(b.parameter(rows_of(c), name));
  operands.push_back(b.parameter(y_of(c), "dy"));
  if (c.mask)
    operands.push_back(b.parameter(*c.mask, "mask"));
  for (ValueId result : b.op_multi(Opcode::attention_backward, operands, attrs_of(c)))
    b.result(result, "d");
  return function;
}

std::vector<Tensor> forward_operands(const AttentionCase& c, uint64_t seed) {
  Feed feed(seed);
  std::vector<Tensor> operands;
  for (const Type& type : {c.q, c.k, c.v})
    operands.push_back(feed.tensor(type, Domain::real));
  if (!c.mask)
    return operands;
  bool is_bool = c.mask->dtype == DType::boolean;
  Tensor mask = feed.tensor(*c.mask, Domain::real);
  for (double& value : mask.data)
    if (feed.below(3) == 0)
      value = is_bool ? 0 : -std::numeric_limits<double>::infinity();
    else if (is_bool)
      value = 1;
  auto keys = static_cast<size_t>(mask.type.dims.back());
  if (mask.data.size() > keys)
    for (size_t i = 0; i < keys; ++i)
      mask.data[mask.data.size() - keys + i] =
          is_bool ? 0 : -std::numeric_limits<double>::infinity();
  operands.push_back(mask);
  return operands;
}

std::vector<Tensor> backward_operands(const AttentionCase& c, uint64_t seed) {
  std::vector<Tensor> operands = forward_operands(c, seed);
  std::vector<Tensor> results = eval_closed(Module{}, attention_forward(c), operands);
  Tensor dy = Feed(seed + 1).tensor(y_of(c), Domain::real), delta{rows_of(c), {}};
  auto width = static_cast<size_t>(c.v.dims.back());
  for (size_t row = 0; row * width < dy.data.size(); ++row) {
    double sum = 0;
    for (size_t i = row * width; i < (row + 1) * width; ++i)
      sum += dy.data[i] * results[0].data[i];
    delta.data.push_back(sum);
  }
  operands.insert(operands.begin() + 3, {results[1], results[2], delta, dy});
  return operands;
}

}  // namespace gradc::test
