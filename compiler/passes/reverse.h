#pragma once
// Reverse-mode differentiation of one function: the part of `autodiff` that applies the chain rule.
#include <optional>
#include <span>
#include <vector>

#include "compiler/passes/reverse_scan.h"
#include "ir/builder.h"
#include "ir/module.h"

namespace gradc {

// Which values are floating point and depend on one of `inputs`: only through these do gradients
// flow.
std::vector<bool> active_values(const Function& function, std::span<const ValueId> inputs);

// Walks the ops that `function` has at construction from last to first and appends, in phase
// `backward`, the ops that compute gradients with respect to `inputs`. Each op's rule (OpDef::vjp)
// turns the gradients of its results into contributions to those of its operands; contributions are
// summed. The gradient of %x is named %d.x.
class Reverse {
 public:
  // `scans` is what prepare_scans gave for the same inputs.
  Reverse(Function& function, std::span<const ValueId> inputs, ScanGradients scans = {});

  // Adds `gradient`, a value of the function, to the gradient of `value`.
  void add(ValueId value, ValueId gradient);
  // The function must be ready_for_reverse. Fails at an op on the way that has no rule.
  void run();
  // The gradient of an input; zeros when nothing that was seeded depends on it.
  ValueId gradient(ValueId input);

 private:
  void visit(size_t index);
  std::vector<std::optional<ValueId>> operand_gradients(size_t index, const Op& op);
  [[noreturn]] void fail_not_differentiable(const Op& op) const;

  Function& function_;
  Builder builder_;
  ScanGradients scans_;
  size_t op_count_;  // at construction
  std::vector<bool> active_;  // by values at construction
  std::vector<std::optional<ValueId>> gradients_;  // the same
};

}  // namespace gradc
