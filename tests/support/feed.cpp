#include "tests/support/feed.h"

#include <algorithm>
#include <cmath>

#include "ir/builder.h"

namespace gradc::test {
namespace {

constexpr double kUnit = 1024;
constexpr double kKinkDistance = 0.05;  // from multiples of 1/2: zeros of abs, halves of round
constexpr int kTries = 200;

bool near_kink(double x) {
  double doubled = 2 * x;
  return std::abs(doubled - std::round(doubled)) < 2 * kKinkDistance;
}

}  // namespace

double Feed::real(double low, double high) {
  auto first = static_cast<int64_t>(std::ceil(low * kUnit));
  auto last = static_cast<int64_t>(std::floor(high * kUnit));
  int64_t number = first;
  for (int i = 0; i < kTries; ++i) {
    number = first + below(last - first + 1);
    if (!near_kink(static_cast<double>(number) / kUnit) && given_.insert(number).second)
      break;
  }
  return static_cast<double>(number) / kUnit;
}

Tensor Feed::tensor(const Type& type, Domain domain, int64_t index_limit) {
  auto number = [&]() -> double {
    if (domain == Domain::index)
      return static_cast<double>(below(index_limit));
    if (domain == Domain::seed)
      return static_cast<double>(below(1001));
    if (type.dtype == DType::boolean)
      return static_cast<double>(below(2));
    if (is_integer(type.dtype))
      return static_cast<double>(below(11) - (type.dtype == DType::u8 ? 0 : 5));
    if (domain == Domain::positive)
      return real(0.2, 2);
    return domain == Domain::unit ? real(-0.9, 0.9) : real(-2, 2);
  };
  Tensor result{type, std::vector<double>(static_cast<size_t>(type.elements()))};
  std::generate(result.data.begin(), result.data.end(), number);
  return result;
}

int64_t index_limit(const Example& example) {
  const auto& domains = def(example.code).domains.items;
  if (std::find(domains.begin(), domains.end(), Domain::index) == domains.end())
    return 1;
  if (example.attrs.has("size"))
    return example.attrs.integer("size");
  const Dims& dims = example.operands[0].dims;
  int64_t axis = example.attrs.integer_or("axis", static_cast<int64_t>(dims.size()) - 1);
  return dims[static_cast<size_t>(axis)];
}

Function function_of(const Example& example) {
  Function function;
  function.name = "example";
  Builder b(function);
  std::vector<ValueId> operands;
  for (const Type& type : example.operands)
    operands.push_back(b.parameter(type, "x"));
  for (ValueId result : b.op_multi(example.code, operands, example.attrs))
    b.result(result, "y");
  return function;
}

std::vector<Tensor> operands_for(const Example& example, Feed& feed) {
  std::vector<Tensor> operands;
  for (size_t i = 0; i < example.operands.size(); ++i)
    operands.push_back(
        feed.tensor(example.operands[i], def(example.code).domains.items[i], index_limit(example)));
  return operands;
}

}  // namespace gradc::test
