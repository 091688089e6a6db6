#pragma once
// Runs a graph of the file symbolically: each node appends its ops to the entry under construction,
// or, where all of its inputs are known, is evaluated now. For `gradc check` it goes on behind a
// node that fails: with results of the types that the file states, else without the nodes that read
// them.
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "compiler/import/onnx/node_context.h"
#include "compiler/import/onnx/node_order.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "compiler/import/onnx/problem.h"
#include "compiler/import/onnx/weights.h"

namespace gradc::onnx {

// What names mean in the graph, in a branch, or in the body of a function.
struct Scope {
  const Scope* outer = nullptr;  // of a branch: names of the graph around it are seen
  Opsets opsets;
  std::string prefix;  // makes names unique in the file
  std::string where;  // for messages: "", or ` in function "f"`
  std::vector<const Attribute*> attributes;  // of the call: what attribute references mean
  std::unordered_map<std::string, ImportValue> values;
  std::unordered_set<std::string> unknown;  // what failed nodes would have made
  std::unordered_set<std::string> weights;  // names that end in weight operands

  const ImportValue* find(const std::string& name) const;
  bool is_unknown(const std::string& name) const;
};

// Thrown for a value that failed nodes would have made; they are among the problems.
struct UnknownValue {};

class GraphRun {
 public:
  // With `problems`, errors of nodes and initializers are put there instead of thrown.
  explicit GraphRun(Trace& trace, std::vector<Problem>* problems = nullptr)
      : import_(trace.import), trace_(trace), problems_(problems) {}

  // The outputs of the model's graph, whose inputs are these values, those in `unknown` excepted.
  // Throws UnknownValue when an output is unknown.
  ImportValues run_model(std::unordered_map<std::string, ImportValue> inputs,
                         std::unordered_set<std::string> unknown = {});

 private:
  ImportValues run_graph(const Graph& graph, Scope& scope);
  void run_node(const Node& node, Scope& scope);
  void take_node(const Node& node, Scope& scope);
  bool skips(const Node& node, Scope& scope);
  std::optional<Type> stated_type(const std::string& name) const;
  void make_unknown(const Node& node, Scope& scope);
  void make_constant(const Tensor& tensor, Scope& scope);
  void run_call(const Node& node, const FunctionDef& function, ImportValues inputs, Scope& scope);
  ImportValues run_branch(const Graph& graph, const Node& node, const Scope& outer);
  ImportValues build(Trace& trace, const NodeRule& rule, const Node& node,
                     const ImportValues& inputs, Scope& scope);
  // In graph_fold.cpp. `of_weights`: some inputs are weights, or what was computed from them.
  std::optional<ImportValues> fold(const NodeRule& rule, const Node& node, ImportValues inputs,
                                   bool of_weights, Scope& scope);
  void define(const NodeRule& rule, const Node& node, const ImportValues& results, size_t first_new,
              Scope& scope);
  std::string place(const Node& node, const Scope& scope) const;

  Import& import_;
  Trace& trace_;
  std::vector<Problem>* problems_;
  std::vector<const FunctionDef*> open_;  // functions being run, outermost first
  size_t branches_ = 0, nodes_ = 0;
};

}  // namespace gradc::onnx
