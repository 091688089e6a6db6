#pragma once
// What of a model the importer cannot take whatever its shapes are: found by looking at nodes,
// those of branches and functions included, without running any.
#include <string>
#include <vector>

#include "compiler/import/onnx/onnx_model.h"

namespace gradc::onnx {

struct Gap {
  enum class Kind : uint8_t {
    op,  // no row, or none of this version
    type,  // elements of a type that is not ours
    strings,
    sequence  // sequences, optionals, maps and sparse tensors
  };
  Kind kind = Kind::op;
  std::string place;  // `model.onnx: node "/fc1/Gemm" (#12, Gemm)`, or of an input, ...
  std::string node, op, domain;  // "" where it is no node
  std::string message;
};

// In the order of the file: inputs, initializers, nodes, functions, outputs.
std::vector<Gap> find_gaps(const Model& model);
// Of one node, and of what it holds or calls. `where` is as for node_place.
std::vector<Gap> find_gaps(const Model& model, const Node& node,
                           const std::map<std::string, int64_t>& opsets, const std::string& where);

// What errors say of a value that a node must know, so that callers can tell them.
inline constexpr std::string_view kMustBeKnown = "must be known at compile time";
// And of inputs without elements.
inline constexpr std::string_view kAtLeastOne = "a size must be at least 1";

}  // namespace gradc::onnx
