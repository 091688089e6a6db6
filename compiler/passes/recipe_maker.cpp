#include "compiler/passes/recipe_maker.h"

#include <algorithm>

#include "ir/builder.h"
#include "ir/magnitude.h"
#include "ir/op_def.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

// A small result takes no more than this share of what is sought.
constexpr int64_t kSmallShare = 8;

// Takes values over from a kernel into a recipe, each once.
class RecipeMaker {
 public:
  explicit RecipeMaker(const Function& kernel)
      : kernel_(kernel), definitions_(defining_ops(kernel)) {}

 protected:
  void start() {
    recipe_ = {.function = {.kind = FunctionKind::entry, .name = "recipe"}};
    map_.assign(kernel_.values.size(), ValueId{});
  }

  Recipe finish(ValueId sought, ValueId made) {
    recipe_.gives = number_of(sought);
    recipe_.function[made].name = kernel_[sought].name;
    Builder(recipe_.function).result(made);
    return std::move(recipe_);
  }

  bool is_result(ValueId value) const {
    return std::any_of(kernel_.results.begin(), kernel_.results.end(),
                       [&](const Result& result) { return result.value == value; });
  }

  bool is_small(ValueId value, ValueId sought) const {
    return kernel_.type(value).bytes() * kSmallShare <= kernel_.type(sought).bytes();
  }

  int64_t number_of(ValueId value) const {
    for (size_t i = 0; i < kernel_.parameters.size(); ++i)
      if (kernel_.parameters[i].value == value)
        return static_cast<int64_t>(i);
    auto result = std::find_if(kernel_.results.begin(), kernel_.results.end(),
                               [&](const Result& r) { return r.value == value; });
    return static_cast<int64_t>(kernel_.parameters.size()) + (result - kernel_.results.begin());
  }

  ValueId take(ValueId value) {
    recipe_.takes.push_back(number_of(value));
    ValueId taken = Builder(recipe_.function).parameter(kernel_.type(value), kernel_[value].name);
    if (double least = least_magnitude(kernel_, value); least > 0)
      set_least_magnitude(recipe_.function, taken, least);
    return map_[value.index] = taken;
  }

  // `value` in the recipe: read if `reads` it, else computed as in the kernel by ops that
  // `computes`. Not valid if it is no parameter either.
  template <typename Reads, typename Computes>
  ValueId copy(ValueId value, const Reads& reads, const Computes& computes) {
    if (ValueId known = map_[value.index]; known.valid())
      return known;
    const std::optional<OpId>& definition = definitions_[value.index];
    if (reads(value))
      return take(value);
    if (!definition || !computes(kernel_.ops[definition->index]))
      return {};
    const Op& op = kernel_.ops[definition->index];
    for (ValueId operand : op.operands)
      if (!copy(operand, reads, computes).valid())
        return {};
    append_copy(recipe_.function, kernel_, op, map_);
    return map_[value.index];
  }

  const Function& kernel_;
  std::vector<std::optional<OpId>> definitions_;  // by value of the kernel
  Recipe recipe_;
  std::vector<ValueId> map_;  // by value of the kernel: the same in the recipe, if it is there
};

class InverseMaker : RecipeMaker {
 public:
  InverseMaker(const Function& kernel, size_t number)
      : RecipeMaker(kernel), sought_(value_of(number)), depends_(kernel.values.size()) {
    depends_[sought_.index] = true;
    for (const Op& op : kernel.ops)
      for (ValueId read : op.operands)
        if (depends_[read.index])
          for (ValueId result : op.results)
            depends_[result.index] = true;
  }

  std::optional<Recipe> run() {
    for (const Result& result : kernel_.results) {
      if (!depends_[result.value.index] || result.value == sought_)
        continue;
      start();
      inverted_ = result.value;
      if (ValueId x = solve(result.value, take(result.value)); x.valid())
        return finish(sought_, x);
    }
    return std::nullopt;
  }

 private:
  ValueId value_of(size_t number) const {
    size_t operands = kernel_.parameters.size();
    return number < operands ? kernel_.parameters[number].value
                             : kernel_.results[number - operands].value;
  }

  // What is sought, from `value` of the kernel, which is `known` in the recipe.
  ValueId solve(ValueId value, ValueId known) {
    if (value == sought_)
      return known;
    const std::optional<OpId>& definition = definitions_[value.index];
    if (!definition || !def(kernel_.ops[definition->index]).inverse)
      return {};
    const Op& op = kernel_.ops[definition->index];
    std::vector<Type> types;
    for (ValueId operand : op.operands)
      types.push_back(kernel_.type(operand));
    for (size_t i = 0; i < op.operands.size(); ++i) {
      if (!depends_[op.operands[i].index])
        continue;
      Op inside = op;
      for (size_t j = 0; j < op.operands.size(); ++j)
        inside.operands[j] = j == i ? ValueId{} : side(op.operands[j]);
      Builder builder(recipe_.function);
      size_t made = recipe_.function.ops.size();
      ValueId before = def(op).inverse(builder, inside, types, i, known);
      if (!before.valid())
        continue;
      bool exact = recipe_.exact;
      double growth = recipe_.growth;
      for (; made < recipe_.function.ops.size(); ++made)
        note(recipe_.function.ops[made]);
      if (ValueId x = solve(op.operands[i], before); x.valid())
        return x;
      recipe_.exact = exact;
      recipe_.growth = growth;
    }
    return {};
  }

  // What an op on the way to what is sought does to the bits.
  void note(const Op& op) {
    if (!def(op).exact && is_float(recipe_.function.type(op.result()).dtype))
      recipe_.exact = false;
    recipe_.growth *= error_growth(recipe_.function, op);
  }

  ValueId side(ValueId value) {
    auto reads = [&](ValueId v) {
      if (!depends_[v.index])
        return !definitions_[v.index];
      return is_result(v) && v != inverted_ && is_small(v, sought_);
    };
    auto computes = [](const Op& op) { return def(op).results == 1; };
    return copy(value, reads, computes);
  }

  ValueId sought_, inverted_;
  std::vector<bool> depends_;  // by value of the kernel: on what is sought
};

class PartMaker : RecipeMaker {
 public:
  PartMaker(const Function& kernel, size_t result)
      : RecipeMaker(kernel), sought_(kernel.results[result].value) {}

  std::optional<Recipe> run(bool from_large) {
    start();
    auto reads = [&](ValueId value) {
      return !definitions_[value.index] ||
             (value != sought_ && is_result(value) && (from_large || is_small(value, sought_)));
    };
    auto computes = [](const Op& op) {
      KernelClass kind = def(op).kernel;
      return def(op).results == 1 && (kind == KernelClass::map || kind == KernelClass::view);
    };
    ValueId made = copy(sought_, reads, computes);
    return made.valid() ? std::optional(finish(sought_, made)) : std::nullopt;
  }

  // From the kernel's operands alone, where the other results take as many bytes.
  std::optional<Recipe> run_alone() {
    start();
    int64_t others = 0;
    for (const Result& result : kernel_.results)
      others += result.value == sought_ ? 0 : kernel_.type(result.value).bytes();
    bool pays = others >= kernel_.type(sought_).bytes();
    auto reads = [&](ValueId value) { return !definitions_[value.index]; };
    auto computes = [](const Op& op) { return def(op).results == 1; };
    ValueId made = pays ? copy(sought_, reads, computes) : ValueId{};
    return made.valid() ? std::optional(finish(sought_, made)) : std::nullopt;
  }

 private:
  ValueId sought_;
};

}  // namespace

std::optional<Recipe> inverse_recipe(const Function& kernel, size_t number) {
  return InverseMaker(kernel, number).run();
}

std::vector<Recipe> part_recipes(const Function& kernel, size_t result) {
  std::vector<Recipe> recipes;
  PartMaker maker(kernel, result);
  for (bool from_large : {true, false}) {
    std::optional<Recipe> recipe = maker.run(from_large);
    if (recipe && (recipes.empty() || recipes[0].takes != recipe->takes))
      recipes.push_back(std::move(*recipe));
  }
  if (std::optional<Recipe> alone = maker.run_alone())
    if (std::ranges::none_of(recipes, [&](const Recipe& r) { return r.takes == alone->takes; }))
      recipes.push_back(std::move(*alone));
  return recipes;
}

}  // namespace gradc
