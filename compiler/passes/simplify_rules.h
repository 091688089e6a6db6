#pragma once
// The rewrite rules of `simplify` and `raise`. Each is one identity; docs/passes.md lists them.
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ir/builder.h"
#include "ir/op_def.h"

namespace gradc {

// What a rule is shown: an op that is about to be appended. Its operands are values of the new
// function, simplified already.
class Site {
 public:
  explicit Site(const Op& op) : op_(op) {}
  virtual ~Site() = default;

  const Op& op() const { return op_; }
  const Attrs& attrs() const { return op_.attrs; }
  ValueId x(size_t i = 0) const { return op_.operands[i]; }

  virtual Type type(ValueId value) const = 0;
  virtual Type result_type() const = 0;  // of the only result
  // The op that makes `value`, if it is a `code`; else null. Valid until the next emit.
  virtual const Op* producer(ValueId value, Opcode code) const = 0;
  // Whether this op is the only reader of `value`.
  virtual bool only_use(ValueId value) const = 0;
  // Appends an op with one result, simplified in its turn, or finds the equal one.
  virtual ValueId emit(Opcode code, std::vector<ValueId> operands, Attrs attrs) = 0;

  // The number that all elements of `value` are known to equal.
  std::optional<double> number(ValueId value) const;
  ValueId constant(const Type& type, double value);
  // These give x itself where they would change nothing.
  ValueId reshape(ValueId x, const Dims& dims);
  ValueId transpose(ValueId x, const std::vector<int64_t>& permutation);

 private:
  const Op& op_;
};

struct SimplifyRule {
  std::optional<Opcode> code;  // nullopt: any op with one result
  std::string_view identity;
  // The value to use instead of the op's result; nullopt when the rule does not apply.
  std::optional<ValueId> (*apply)(Site& site);
};

// By topic, in the order in which they are tried.
std::span<const SimplifyRule> constant_rules();
std::span<const SimplifyRule> arithmetic_rules();
std::span<const SimplifyRule> shape_rules();
std::span<const SimplifyRule> slice_rules();
std::span<const SimplifyRule> dot_rules();

std::vector<SimplifyRule> all_simplify_rules();

// The identity of a rule that is the one above for another op.
inline constexpr std::string_view kSameAsAbove = "";

// Rules of `raise`, which finds composites in their parts.
std::span<const SimplifyRule> raise_activation_rules();
std::span<const SimplifyRule> raise_norm_rules();
std::span<const SimplifyRule> raise_softmax_rules();
std::span<const SimplifyRule> raise_attention_rules();
std::vector<SimplifyRule> all_raise_rules();

// The module with every function rewritten until no rule applies any more, equal ops computed once,
// and without what nobody reads.
Module rewritten(const Module& module, const std::vector<SimplifyRule>& rules);

}  // namespace gradc
