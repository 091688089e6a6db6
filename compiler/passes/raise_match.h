#pragma once
// What the rules of `raise` ask of values.
#include <optional>
#include <vector>

#include "compiler/passes/simplify_rules.h"

namespace gradc {

// Whether a number in the file is this one, in the digits that elements of `value` have.
bool is_near(const Site& s, ValueId value, double number, double expected);

// number * value, where the value is no product with a number.
struct Scaled {
  double number = 1;
  ValueId value;
};
Scaled scaled(const Site& s, ValueId value);

// x of x + number, in either order; nullopt when it is no such sum.
struct Shifted {
  ValueId value;
  double number = 0;
};
std::optional<Shifted> shifted(const Site& s, ValueId value);
std::optional<ValueId> one_more(const Site& s, ValueId value);  // x of x + 1

// number * a * b at the rule's op; the factors are no numbers.
struct Product {
  double number = 1;
  ValueId a, b;
};
std::optional<Product> product(const Site& s);

// The operand of `code` that makes `value`; invalid when another op does.
ValueId operand_of(const Site& s, ValueId value, Opcode code);
// x of x^2, x * x; invalid when it is none.
ValueId root_of_square(const Site& s, ValueId value);

// value through reshapes.
ValueId unreshaped(const Site& s, ValueId value);
// What `value` repeats along `axes`, a tensor of its shape without them. The axes are those that
// the repeated value does not have.
struct Repeated {
  ValueId value;
  std::vector<int64_t> axes;
};
std::optional<Repeated> repeated(const Site& s, ValueId value);
// x of a fold over `axes`, kept or not.
struct Folded {
  ValueId value;
  std::vector<int64_t> axes;
};
std::optional<Folded> folded(const Site& s, ValueId value, Opcode code);
std::optional<Folded> mean(const Site& s, ValueId value);

}  // namespace gradc
