#pragma once
// Gradients as ops of the same graph (docs/autodiff.md).
#include <span>
#include <string>
#include <string_view>

#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

// A floating point tensor of role parameter that is neither marked frozen nor named by
// Options::frozen.
bool is_trainable(const StateTensor& state, const Options& options);

// Appends the backward pass of result `loss` to entry train_step, with one result grad/<parameter>
// for each trainable parameter. With Options::input_gradients also grad_<input> for each floating
// point input. A parameter that the loss does not depend on gets zeros.
//
// First, composites that have no gradient rule (with Options::expand_all every composite) are
// expanded. Without Options::train the entry train_step is dropped.
Module autodiff(const Module& module, const Options& options);

// Appends to `entry` the gradient of `of`, summed over its elements, with respect to each of `wrt`,
// as results grad/<wrt> where `of` is the loss, else grad/<of>/<wrt>. `of` and `wrt` name results,
// parameters, bound state or values, so the gradient of a gradient is
// `gradient(gradient(m, e, "loss", {"w"}), e, "grad/w", {"x"})`, result grad/grad/w/x.
Module gradient(const Module& module, std::string_view entry, std::string_view of,
                std::span<const std::string> wrt);

// The same for train_step, named as `gradc grad` writes it: the gradients are results
// grad/<parameter> and grad_<value>, and `of` may be the gradient of the loss by that name (then it
// is computed first, and is no result). An empty `wrt` means what autodiff takes: trainable
// parameters, and with Options::input_gradients floating point inputs. Errors about names are the
// command line's.
Module gradients_by_name(const Module& module, const std::string& of,
                         std::span<const std::string> wrt, const Options& options);

}  // namespace gradc
