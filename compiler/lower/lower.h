#pragma once
// Turns a kernel (compiler/kernel.h) into loops. What the loops compute, and in which order they
// sum, depends on the kernel's ops, shapes and the target only; `threads`, and which other ops were
// fused into the kernel, change how the work is split, never a bit of a result.
#include <optional>

#include "compiler/target.h"
#include "ir/loop.h"
#include "ir/module.h"

namespace gradc {

struct IterationSpace;

// `threads` is the most that will run it; 1 means that no loop is made parallel.
loop::Kernel lower(const Function& kernel, const Target& target, int threads);

// One per class; `lower` picks by the kernel's attribute `class`.
loop::Kernel lower_map(const Function& kernel, const Target& target, int threads);
loop::Kernel lower_contract(const Function& kernel, const Target& target, int threads);
loop::Kernel lower_reduce(const Function& kernel, const Target& target, int threads);
loop::Kernel lower_custom(const Function& kernel, const Target& target, int threads);

// Of class map, where it transposes and does nothing else; none where it does.
std::optional<loop::Kernel> lower_move(const Function& kernel, int threads);
// The same where it computes with operands that it reads across.
std::optional<loop::Kernel> lower_map_across(const Function& kernel, const IterationSpace& space,
                                             const Target& target, int threads);

// Of custom ops, by which lower_custom picks.
loop::Kernel lower_attention_backward(const Function& kernel, const Target& target, int threads);
loop::Kernel lower_attention_forward(const Function& kernel, const Target& target, int threads);
loop::Kernel lower_scatter(const Function& kernel, const Target& target, int threads);
loop::Kernel lower_top_k(const Function& kernel, const Target& target, int threads);

}  // namespace gradc
