#pragma once
// Names of ONNX in the forms that messages and the IR's text allow.
#include <string>
#include <string_view>

#include "compiler/import/onnx/onnx_model.h"

namespace gradc::onnx {

// The name with what the IR's text does not allow replaced: letters, digits and `_`, and inside of
// it `.` `/` `:` `-`, stay. Never empty.
std::string ir_name(std::string_view name);

// `model.onnx: node "/fc1/Gemm" (#12, Gemm)`: where an error is. `where` says in which function or
// branch, "" for the graph itself.
std::string node_place(const std::string& path, const Node& node, const std::string& where = "");

// ` in a branch of node "/If"`: the part of such a place about a graph that the node holds.
std::string branch_where(const Node& node);

// `model.onnx:/fc1/Gemm`, or `model.onnx:Gemm_12` without a name: what the IR and reports show.
std::string node_loc(const std::string& path, const Node& node, const std::string& prefix = "");

// For messages: without control characters, and cut when it is very long.
std::string readable(std::string_view name);

}  // namespace gradc::onnx
