#pragma once
// The nodes of a graph in an order in which they can run. The specification asks for that order in
// the file; files that break it are sorted.
#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "compiler/import/onnx/onnx_model.h"

namespace gradc::onnx {

// The names that a node reads: its inputs, and what its subgraphs read from outside of them.
std::set<std::string> names_read(const Node& node);

struct NodeOrder {
  std::vector<const Node*> nodes;  // those that `outputs` need
  bool as_in_file = true;
};

// `is_given` says which names are there before the first node. Fails when a value is made twice,
// read and never made, or needs itself; `place` gives a node's place for such an error.
NodeOrder order_nodes(std::span<const Node> nodes, std::span<const std::string> outputs,
                      const std::function<bool(const std::string&)>& is_given,
                      const std::function<std::string(const Node&)>& place);

}  // namespace gradc::onnx
