#pragma once
// What training minimises: the loss that the model brings, or one of --loss on one of its outputs.
#include <string>
#include <utility>
#include <vector>

#include "compiler/import/onnx/trace.h"

namespace gradc::onnx {

// The input that a loss of --loss compares with.
inline constexpr std::string_view kTarget = "target";

using NamedValues = std::vector<std::pair<std::string, ValueId>>;

// Adds a result named `loss` to those of the training entry, and, for --loss, the input `target`.
// The target's type follows from the output and from the shape that the options give it.
void add_loss(Trace& trace, NamedValues& results);

// The names that --loss takes.
std::vector<std::string> loss_names();

// Fails when --loss is not of the form NAME[:OUTPUT] with a name of these.
void check_loss_option(const std::string& loss);

}  // namespace gradc::onnx
