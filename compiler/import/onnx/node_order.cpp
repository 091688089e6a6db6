#include "compiler/import/onnx/node_order.h"

#include <algorithm>
#include <queue>
#include <unordered_map>

#include "compiler/import/onnx/names.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

std::vector<const Graph*> subgraphs(const Node& node) {
  std::vector<const Graph*> graphs;
  for (const Attribute& attribute : node.attributes)
    if (attribute.graph)
      graphs.push_back(attribute.graph.get());
  return graphs;
}

// Adds what the graph reads from outside.
void add_free_names(const Graph& graph, std::set<std::string>& names) {
  std::set<std::string> own, read;
  for (const ValueInfo& input : graph.inputs)
    own.insert(input.name);
  for (const Tensor& tensor : graph.initializers)
    own.insert(tensor.name);
  for (const Node& node : graph.nodes) {
    own.insert(node.outputs.begin(), node.outputs.end());
    read.merge(names_read(node));
  }
  for (const ValueInfo& output : graph.outputs)
    read.insert(output.name);
  std::set_difference(read.begin(), read.end(), own.begin(), own.end(),
                      std::inserter(names, names.end()));
}

struct Dependences {
  std::vector<std::vector<size_t>> before;  // by node: the nodes that make what it reads
  std::unordered_map<std::string, size_t> maker;  // by value
};

Dependences dependences(std::span<const Node> nodes,
                        const std::function<bool(const std::string&)>& is_given,
                        const std::function<std::string(const Node&)>& place) {
  Dependences result;
  for (size_t i = 0; i < nodes.size(); ++i)
    for (const std::string& output : nodes[i].outputs)
      if (!output.empty() && !result.maker.emplace(output, i).second)
        throw UserError(place(nodes[i]),
                        fmt::format("value `{}` is already made by {}", readable(output),
                                    place(nodes[result.maker[output]])));
  result.before.resize(nodes.size());
  for (size_t i = 0; i < nodes.size(); ++i)
    for (const std::string& name : names_read(nodes[i])) {
      if (auto maker = result.maker.find(name); maker != result.maker.end()) {
        result.before[i].push_back(maker->second);
      } else if (!is_given(name)) {
        throw UserError(place(nodes[i]),
                        fmt::format("reads `{}`, which is neither an input, an initializer nor "
                                    "made by a node",
                                    readable(name)));
      }
    }
  return result;
}

std::vector<bool> needed_nodes(const Dependences& all, std::span<const std::string> outputs) {
  std::vector<bool> needed(all.before.size());
  std::vector<size_t> open;
  auto need = [&](size_t node) {
    if (!needed[node])
      open.push_back(node);
    needed[node] = true;
  };
  for (const std::string& output : outputs)
    if (auto maker = all.maker.find(output); maker != all.maker.end())
      need(maker->second);
  while (!open.empty()) {
    size_t node = open.back();
    open.pop_back();
    for (size_t before : all.before[node])
      need(before);
  }
  return needed;
}

}  // namespace

std::set<std::string> names_read(const Node& node) {
  std::set<std::string> names;
  for (const std::string& input : node.inputs)
    if (!input.empty())
      names.insert(input);
  for (const Graph* graph : subgraphs(node))
    add_free_names(*graph, names);
  return names;
}

NodeOrder order_nodes(std::span<const Node> nodes, std::span<const std::string> outputs,
                      const std::function<bool(const std::string&)>& is_given,
                      const std::function<std::string(const Node&)>& place) {
  Dependences all = dependences(nodes, is_given, place);
  std::vector<std::vector<size_t>> after(nodes.size());
  std::vector<size_t> waits(nodes.size());
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>>
      ready;  // first in the file first
  for (size_t i = 0; i < nodes.size(); ++i) {
    waits[i] = all.before[i].size();
    for (size_t before : all.before[i])
      after[before].push_back(i);
    if (waits[i] == 0)
      ready.push(i);
  }
  std::vector<bool> needed = needed_nodes(all, outputs);
  NodeOrder order;
  size_t done = 0;
  for (; !ready.empty(); ++done) {
    size_t node = ready.top();
    ready.pop();
    order.as_in_file &= node == done;
    if (needed[node])
      order.nodes.push_back(&nodes[node]);
    for (size_t next : after[node])
      if (--waits[next] == 0)
        ready.push(next);
  }
  if (done == nodes.size())
    return order;
  for (size_t i = 0; i < nodes.size(); ++i)
    for (const std::string& output : nodes[i].outputs)
      if (waits[i] > 0 && is_given(output))
        throw UserError(place(nodes[i]),
                        fmt::format("makes `{}`, which is an input or a value of a graph around "
                                    "it already",
                                    readable(output)));
  size_t stuck = 0;
  while (waits[stuck] == 0)
    ++stuck;
  // Whatever waits waits for something that does: going back ends in the cycle.
  for (size_t steps = 0; steps < nodes.size(); ++steps)
    for (size_t before : all.before[stuck])
      if (waits[before] > 0) {
        stuck = before;
        break;
      }
  throw UserError(place(nodes[stuck]),
                  "its input depends on its own output: the graph has a cycle");
}

}  // namespace gradc::onnx
