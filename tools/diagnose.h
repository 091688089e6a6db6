#pragma once
// Why a loss is not a number: the first value of the forward pass that is not finite.
#include <string>

#include "tools/session.h"

namespace gradc {

// Runs the forward pass of train_step again, every value of it an output, on the state and the
// inputs as they were before the step. Says which parameter or which op, at which line of the
// model, is the first to hold a value that is not finite, or that none does (then the backward pass
// or the update overflowed).
std::string first_bad_layer(const Session& session, const ModelFlags& flags,
                            std::span<const std::byte> state_before, EntryCall& failed_step);

}  // namespace gradc
