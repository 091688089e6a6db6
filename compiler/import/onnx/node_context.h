#pragma once
// What a handler of nodes_<family>.cpp sees of its node: inputs, attributes with their defaults,
// and where the results go. Getters fail with messages that name the input or attribute; the caller
// adds the node.
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "compiler/import/onnx/trace.h"

namespace gradc::onnx {

// What a node's results are.
using ImportValues = std::vector<ImportValue>;

class NodeContext {
 public:
  // `attributes` are the node's, those of an enclosing function put in; `weights` the names that
  // end in weight operands; `run_graph` runs a subgraph.
  NodeContext(Trace& trace, const Node& node, int64_t opset, ImportValues inputs,
              std::vector<const Attribute*> attributes,
              const std::unordered_set<std::string>& weights,
              std::function<ImportValues(const Graph&)> run_graph);

  Builder& b;  // appends to the function under construction
  const Node& node;
  const int64_t opset;

  // --- Inputs. Absent ones ("" in the file, or beyond its list) are not `has`.
  size_t input_count() const { return inputs_.size(); }
  bool has(size_t i) const;
  const Type type(size_t i) const;
  Dims dims(size_t i) const { return type(i).dims; }
  int64_t rank(size_t i) const { return type(i).rank(); }
  DType dtype(size_t i) const { return type(i).dtype; }
  // Input i as a tensor of the function.
  ValueId tensor(size_t i);
  ImportValues tensor_values() const;  // all inputs as given; fails when one is none, or a sequence
  // Input i when its value is known at compile time; else null.
  const Constant* find_constant(size_t i) const;
  // The same; else fails, saying how to bind it.
  const Constant& constant(size_t i) const;
  std::vector<int64_t> integers(size_t i) const;  // elements of a constant
  int64_t integer(size_t i) const;  // of a constant of one element
  std::vector<double> numbers(size_t i) const;
  double number(size_t i) const;
  // Input i as it was given, e.g. to hand it on as a result.
  const ImportValue& value(size_t i) const;
  // Input i, which is a sequence, and what its parts are.
  const ImportValues& parts(size_t i) const;
  Type type(const ImportValue& part) const;
  ValueId tensor(const ImportValue& part) { return trace_.tensor(part); }

  // --- State. Input i as a tensor that outlives the call, never trained; invalid when it is none
  // of the file's (the input of a graph, or computed).
  ValueId buffer(size_t i);
  void update(ValueId buffer, ValueId content) { trace_.update(buffer, content); }

  // --- Mode. Whether the node trains: as the file says, or, with --train-mode, in the entry that
  // trains.
  bool trains(bool in_file) const;
  ValueId seed();
  ValueId step();
  int64_t next_stream() { return trace_.next_stream(); }
  std::string add_body(Function body) { return trace_.add_body(std::move(body)); }

  // --- Attributes. One of another type than asked for fails; those that nobody asks for do, too.
  bool has_attribute(std::string_view name);
  int64_t attribute(std::string_view name, int64_t otherwise);
  bool flag(std::string_view name, bool otherwise = false);
  double real(std::string_view name, double otherwise);
  std::string text(std::string_view name, std::string_view otherwise);
  std::vector<int64_t> attribute(std::string_view name, std::vector<int64_t> otherwise);
  std::vector<double> reals(std::string_view name, std::vector<double> otherwise);
  std::vector<std::string> texts(std::string_view name);
  // Null or nothing when absent.
  std::optional<int64_t> find_integer(std::string_view name);
  std::optional<std::vector<int64_t>> find_integers(std::string_view name);
  const Attribute* find_attribute(std::string_view name, Attribute::Kind kind);
  // A TensorProto.DataType as one of our types.
  std::optional<DType> find_dtype(std::string_view name);
  // Fails when absent.
  int64_t required_integer(std::string_view name);
  std::vector<int64_t> required_integers(std::string_view name);
  // Attributes that say nothing that matters here.
  void ignore(std::initializer_list<std::string_view> names);

  // --- Results.
  size_t result_count() const { return node.outputs.size(); }
  bool wants(size_t i) const;  // whether output i has a name
  bool is_weight(size_t i) const;  // whether output i ends in a weight operand
  void result(size_t i, ValueId value);
  void result(size_t i, ConstantPtr constant);
  void result(size_t i, const ImportValue& value);  // handed on
  void result_sequence(ImportValues parts);
  // Result i holds numbers of this type of the file in a wider one.
  void narrower_result(size_t i, ElementType type);
  void result(ValueId value) { result(0, value); }
  void result(ConstantPtr constant) { result(0, std::move(constant)); }
  ImportValues run_graph(const Graph& graph) { return run_graph_(graph); }

  // --- For the caller: after the handler.
  // The results; fails when an output is missing, or an attribute was not asked for.
  ImportValues finish();

 private:
  std::string input_name(size_t i) const;
  const ImportValue& tensor_value(size_t i) const;
  const Attribute* find(std::string_view name);

  Trace& trace_;
  ImportValues inputs_, results_;
  std::vector<const Attribute*> attributes_;
  const std::unordered_set<std::string>& weights_;
  std::set<std::string_view> asked_;
  std::function<ImportValues(const Graph&)> run_graph_;
};

}  // namespace gradc::onnx
