#pragma once
// Which tensors of the file may be parameters. A float tensor in a weight operand (Conv W, norm
// scale, ...) is one, wherever it is stored, also through ops that only move elements. Any other
// float initializer is a candidate that becomes one if gradients reach it, except masks and the
// literals of an exporter. --params overrules all of that.
#include <span>
#include <string>
#include <unordered_set>

#include "compiler/import/onnx/trace.h"

namespace gradc::onnx {

using Opsets = std::map<std::string, int64_t>;

// The names among `nodes` (in an order in which they can run) that end in weight operands.
std::unordered_set<std::string> weight_names(const Model& model, std::span<const Node* const> nodes,
                                             const Opsets& opsets,
                                             std::unordered_set<std::string> marked = {});

// The function of the model that the node calls, or null.
const FunctionDef* find_function(const Model& model, const Node& node);
// The opset of ai.onnx among these; fails when there is none.
int64_t standard_opset(const Opsets& opsets);
bool is_standard(const std::string& domain);
[[noreturn]] void fail_unknown_domain(const Node& node);

// What an initializer, or with `initializer` false a tensor that a node holds or fills, stands for.
ImportValue::Kind kind_of(const std::string& name, const Constant& constant, bool initializer,
                          bool is_weight, const Options& options);

}  // namespace gradc::onnx
