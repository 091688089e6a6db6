#pragma once
// How parameters and states begin: `init=he_uniform`, `init=normal(0.02)`, `init=0.5`.
#include <span>

#include "compiler/import/model_trace.h"

namespace gradc::model_text {

// What `init=` was given: a number, an initialiser, or the name of one.
Initializer initializer(const Value& value);

// Fails if `initializer` does not fit a tensor of `type`.
void check_initializer(const Initializer& initializer, const Type& type);

// `entry @init(%seed: i64[])`: one result per state, tied to it.
Function init_entry(std::span<const StateDecl> states);

}  // namespace gradc::model_text
