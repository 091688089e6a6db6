#pragma once
// The gradient of a scan is another scan, over what the forward one leaves for it: the body's
// values that the backward body reads (residuals) become stacked outputs of the forward scan.
//
//   forward   (c, x, k)           -> (c', y, residuals)          trips 0 .. n-1
//   backward  (dc', dk, dy, residuals, x, k) -> (dc, dk + .., dx)   trips n-1 .. 0
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ir/builder.h"
#include "ir/module.h"

namespace gradc {

// How the backward scan of one scan is called. Indices are of the forward scan's operands and
// results.
struct ScanGradient {
  std::string body;  // backward
  std::vector<size_t> carries;  // of float type: carry i is operand i and result i
  std::vector<size_t> outputs;  // stacked results of float type
  std::vector<size_t> residuals;  // results that the backward scan takes slices of
  std::vector<size_t> sequences, constants;  // operands that the backward body reads
  std::vector<size_t> sequence_gradients, constant_gradients;  // operands that get a gradient
};

using ScanGradients = std::map<size_t, ScanGradient>;  // by index of the op

// Makes the scans of `function` that depend on `inputs` leave their residuals. Adds forward and
// backward bodies to the module. Value ids of the function stay as they are.
ScanGradients prepare_scans(Module& module, Function& function, std::span<const ValueId> inputs);

// Appends the backward scan; returns the gradients by operand of `scan`.
std::vector<std::optional<ValueId>> append_scan_gradient(
    Builder& builder, const Op& scan, const ScanGradient& gradient,
    std::span<const std::optional<ValueId>> result_gradients);

// `function` with calls inlined and composites that have no gradient rule expanded.
Function ready_for_reverse(const Module& module, const Function& function, bool expand_all = false);

}  // namespace gradc
