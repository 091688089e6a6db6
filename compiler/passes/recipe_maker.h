#pragma once
// Other ways to make what a kernel reads or gives, as functions of primitive ops.
#include <optional>
#include <vector>

#include "ir/module.h"

namespace gradc {

// Operand i of a kernel is numbered i, its result i as i after all of its operands.
struct Recipe {
  Function function;  // an entry with one result, no kernel yet
  std::vector<int64_t> takes;  // by parameter: what of the kernel it is
  int64_t gives = 0;
  bool exact = true;  // gives the same bits
  double growth = 1;  // what a difference of the result that an inverse begins with grows by
};

// An operand, or a result, by its number, from another result: each op between them has an inverse
// (OpDef::inverse). What is needed besides is computed as in the kernel, or read where it follows
// from what is sought and is a small result (a batch norm's mean).
std::optional<Recipe> inverse_recipe(const Function& kernel, size_t number);

// A result without the kernel's sums and products, from other results: the activation from what
// was before it. Up to two recipes, of which the second reads no large result. And one with sums
// and products, where the other results, which it does without, take as many bytes.
std::vector<Recipe> part_recipes(const Function& kernel, size_t result);

}  // namespace gradc
