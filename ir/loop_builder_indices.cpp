// Index arithmetic of loop::Builder: i64 values as sums of terms with known ranges.
#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "ir/diagnostic.h"
#include "ir/loop_builder.h"

namespace gradc::loop {
namespace {

// x + factor * y
Linear plus(Linear x, const Linear& y, int64_t factor) {
  x.constant += factor * y.constant;
  for (auto [reg, coefficient] : y.terms) {
    auto at = std::lower_bound(x.terms.begin(), x.terms.end(), std::pair(reg, INT64_MIN));
    if (at == x.terms.end() || at->first != reg)
      at = x.terms.insert(at, {reg, 0});
    at->second += factor * coefficient;
    if (at->second == 0)
      x.terms.erase(at);
  }
  return x;
}

int64_t fold(Code code, int64_t x, int64_t y) {
  switch (code) {
    case Code::div:
      return x / y;
    case Code::rem:
      return x % y;
    case Code::min:
      return std::min(x, y);
    case Code::max:
      return std::max(x, y);
    default:
      internal_error(__FILE__, __LINE__, "foldable", std::string(name_of(code)));
  }
}

}  // namespace

std::optional<int64_t> Builder::constant_of(Scalar x) const {
  const Definition& definition = definitions_[x.reg];
  if (x.dtype != DType::i64 || !definition.linear.terms.empty())
    return std::nullopt;
  return definition.linear.constant;
}

std::optional<Builder::Range> Builder::range_of(Scalar x) const {
  const Linear& linear = definitions_[x.reg].linear;
  Range range{linear.constant, linear.constant};
  for (auto [reg, coefficient] : linear.terms) {
    if (definitions_[reg].limit == 0)
      return std::nullopt;
    (coefficient > 0 ? range.most : range.least) += coefficient * (definitions_[reg].limit - 1);
  }
  return range;
}

Scalar Builder::index(int64_t value) {
  Scalar result = place({.code = Code::constant, .integer = value}, DType::i64, "c");
  definitions_[result.reg].linear = {value, {}};
  definitions_[result.reg].limit = value >= 0 && value < INT64_MAX ? value + 1 : 0;
  return result;
}

int64_t Builder::limit_of(const Linear& linear) const {
  if (linear.constant < 0)
    return 0;
  int64_t limit = linear.constant + 1;
  for (auto [reg, coefficient] : linear.terms) {
    if (definitions_[reg].limit == 0 || coefficient < 0)
      return 0;
    limit += coefficient * (definitions_[reg].limit - 1);
  }
  return limit;
}

int64_t Builder::limit_of(Code code, Scalar x, Scalar y) const {
  int64_t a = definitions_[x.reg].limit, b = definitions_[y.reg].limit;
  if (a == 0 || b == 0)
    return 0;
  switch (code) {
    case Code::mul:
      return (a - 1) * (b - 1) + 1;
    case Code::div:
      return a;
    case Code::rem:
    case Code::min:
      return std::min(a, b);
    case Code::max:
      return std::max(a, b);
    default:
      return 0;
  }
}

// k * c * (x / c) + k * (x % c) = k * x
bool Builder::join_quotient_and_remainder(Linear& linear) const {
  for (auto [reg, factor] : linear.terms) {
    const Definition& remainder = definitions_[reg];
    if (remainder.code != Code::rem)
      continue;
    int64_t divisor = definitions_[remainder.operands[1]].linear.constant;
    for (auto [other, coefficient] : linear.terms) {
      const Definition& quotient = definitions_[other];
      if (quotient.code != Code::div || quotient.operands != remainder.operands ||
          coefficient != factor * divisor)
        continue;
      linear = plus(linear, {0, {{reg, 1}}}, -factor);
      linear = plus(linear, {0, {{other, 1}}}, -coefficient);
      linear = plus(linear, definitions_[remainder.operands[0]].linear, factor);
      return true;
    }
  }
  return false;
}

// Terms of outer loops first, so that their sum stands outside of the inner ones; the constant
// last, where it becomes a displacement.
Scalar Builder::sum(Linear linear) {
  while (join_quotient_and_remainder(linear)) {
  }
  if (linear.terms.empty())
    return index(linear.constant);
  std::stable_sort(linear.terms.begin(), linear.terms.end(), [&](const auto& x, const auto& y) {
    return definitions_[x.first].depth < definitions_[y.first].depth;
  });
  auto number = [&](Code code, Scalar x, Scalar y, const Linear& value) {
    Scalar result = place({.code = code, .operands = {x.reg, y.reg}}, DType::i64, "t");
    definitions_[result.reg].linear = value;
    definitions_[result.reg].limit = limit_of(value);
    return result;
  };
  std::optional<Scalar> total;
  Linear value;
  for (auto [reg, coefficient] : linear.terms) {
    Linear term_value{0, {{reg, coefficient}}};
    Scalar term{reg, DType::i64};
    if (coefficient != 1)
      term = number(Code::mul, term, index(coefficient), term_value);
    value = plus(value, term_value, 1);
    total = total ? number(Code::add, *total, term, value) : term;
  }
  value.constant = linear.constant;
  return linear.constant == 0 ? *total : number(Code::add, *total, index(linear.constant), value);
}

// x / divisor for x >= 0. x = high + low, where high's coefficients are multiples of a factor of
// the divisor and low is below that factor, is (high / factor) / (divisor / factor).
Scalar Builder::quotient(Scalar x, int64_t divisor) {
  const Definition& definition = definitions_[x.reg];
  if (divisor == 1)
    return x;
  if (definition.limit <= divisor)
    return index(0);
  int64_t factor = divisor;
  for (auto [reg, coefficient] : definition.linear.terms)
    if (coefficient > 1)
      factor = std::gcd(factor, coefficient);
  Linear high, low{definition.linear.constant % factor, {}};
  high.constant = (definition.linear.constant - low.constant) / factor;
  for (auto [reg, coefficient] : definition.linear.terms)
    (coefficient % factor == 0 ? high : low)
        .terms.emplace_back(reg, coefficient % factor == 0 ? coefficient / factor : coefficient);
  int64_t low_limit = limit_of(low);
  if (factor > 1 && low_limit > 0 && low_limit <= factor && limit_of(high) > 0)
    return quotient(sum(std::move(high)), divisor / factor);
  Scalar result =
      place({.code = Code::div, .operands = {x.reg, index(divisor).reg}}, DType::i64, "q");
  definitions_[result.reg].limit = (definitions_[x.reg].limit - 1) / divisor + 1;
  return result;
}

// x % divisor = x - x / divisor * divisor: an instruction of its own only where the quotient is.
Scalar Builder::remainder(Scalar x, int64_t divisor) {
  if (divisor == 1)
    return index(0);
  if (definitions_[x.reg].limit <= divisor)
    return x;
  Scalar q = quotient(x, divisor), d = index(divisor);
  const Definition& whole = definitions_[q.reg];
  if (whole.code == Code::div && whole.operands == std::vector{x.reg, d.reg}) {
    Scalar result = place({.code = Code::rem, .operands = {x.reg, d.reg}}, DType::i64, "r");
    definitions_[result.reg].limit = divisor;
    return result;
  }
  Scalar result = sum(plus(definitions_[x.reg].linear, definitions_[q.reg].linear, -divisor));
  definitions_[result.reg].limit = divisor;
  return result;
}

Scalar Builder::index_arithmetic(Code code, Scalar x, Scalar y) {
  const Linear &a = definitions_[x.reg].linear, &b = definitions_[y.reg].linear;
  std::optional<int64_t> m = constant_of(x), n = constant_of(y);
  if (code == Code::add || code == Code::sub)
    return sum(plus(a, b, code == Code::add ? 1 : -1));
  if (code == Code::mul && (m || n))
    return sum(plus({}, m ? b : a, m ? *m : *n));
  bool folds = code == Code::min || code == Code::max ||
               ((code == Code::div || code == Code::rem) && n.value_or(0) > 0);
  if (folds && m && n)
    return index(fold(code, *m, *n));
  if (folds && n && definitions_[x.reg].limit > 0) {
    if (code == Code::div)
      return quotient(x, *n);
    if (code == Code::rem)
      return remainder(x, *n);
  }
  int64_t limit = limit_of(code, x, y);
  Scalar result = emit(code, std::array{x, y}, x.dtype);
  definitions_[result.reg].limit = limit;
  return result;
}

}  // namespace gradc::loop
