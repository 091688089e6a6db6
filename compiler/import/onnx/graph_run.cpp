#include "compiler/import/onnx/graph_run.h"

#include <algorithm>
#include <array>

#include "compiler/entries.h"
#include "compiler/import/onnx/coverage.h"
#include "compiler/import/onnx/inputs.h"
#include "compiler/import/onnx/names.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

constexpr size_t kMostNodes = 1'000'000;  // functions and branches run included
constexpr size_t kDeepest = 64;

using Kind = ImportValue::Kind;

// Attributes of the node, references into the enclosing function's call replaced; an attribute that
// the call does not give is absent. `kept` holds renamed copies.
std::vector<const Attribute*> attributes_of(const Node& node, const Scope& scope,
                                            std::vector<std::unique_ptr<Attribute>>& kept) {
  std::vector<const Attribute*> attributes;
  for (const Attribute& attribute : node.attributes) {
    if (attribute.reference.empty()) {
      attributes.push_back(&attribute);
      continue;
    }
    for (const Attribute* given : scope.attributes)
      if (given->name == attribute.reference) {
        kept.push_back(std::make_unique<Attribute>(*given));
        kept.back()->name = attribute.name;
        attributes.push_back(kept.back().get());
      }
  }
  return attributes;
}

// These give the same for whole numbers of any width.
constexpr std::array<std::string_view, 8> kOfAnyWidth = {
    "Cast", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Shape", "Size"};

// The narrower type of inputs that the node moves, if any; fails where it may not read it.
ElementType moved_narrower(const NodeRule& rule, const ImportValues& inputs) {
  ElementType moved = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].narrower == 0)
      continue;
    if (is_in(rule.moves, i))
      moved = inputs[i].narrower;
    else if (std::ranges::find(kOfAnyWidth, rule.op) == kOfAnyWidth.end())
      fail("input {} holds {}, which is only supported where it is moved, compared or cast", i,
           name_of(inputs[i].narrower));
  }
  return moved;
}

}  // namespace

const ImportValue* Scope::find(const std::string& name) const {
  for (const Scope* scope = this; scope; scope = scope->outer)
    if (auto value = scope->values.find(name); value != scope->values.end())
      return &value->second;
  return nullptr;
}

bool Scope::is_unknown(const std::string& name) const {
  for (const Scope* scope = this; scope; scope = scope->outer) {
    if (scope->unknown.contains(name))
      return true;
    if (scope->values.contains(name))
      return false;
  }
  return false;
}

std::string GraphRun::place(const Node& node, const Scope& scope) const {
  return node_place(import_.model.path, node, scope.where);
}

ImportValues GraphRun::run_model(std::unordered_map<std::string, ImportValue> inputs,
                                 std::unordered_set<std::string> unknown) {
  Scope scope;
  scope.opsets = import_.model.opsets;
  scope.values = std::move(inputs);
  scope.unknown = std::move(unknown);
  return run_graph(import_.model.graph, scope);
}

ImportValues GraphRun::run_graph(const Graph& graph, Scope& scope) {
  std::vector<std::string> outputs;
  for (const ValueInfo& output : graph.outputs)
    outputs.push_back(output.name);
  std::unordered_map<std::string, const Tensor*> initializers;
  for (const Tensor& tensor : graph.initializers)
    initializers[tensor.name] = &tensor;

  for (const Node& node : graph.nodes)
    for (const std::string& output : node.outputs)
      if (initializers.contains(output) || scope.values.contains(output))
        throw UserError(place(node, scope),
                        fmt::format("makes `{}`, which is an input or an initializer already",
                                    readable(output)));
  auto is_given = [&](const std::string& name) {
    return scope.find(name) || initializers.contains(name) || scope.is_unknown(name);
  };
  NodeOrder order = order_nodes(graph.nodes, outputs, is_given,
                                [&](const Node& node) { return place(node, scope); });
  if (!order.as_in_file && trace_.function.name == kInfer)
    import_.warn(fmt::format("{}: the nodes are not in an order in which they can run; sorted",
                             import_.model.path));
  scope.weights = weight_names(import_.model, order.nodes, scope.opsets, std::move(scope.weights));

  std::set<std::string> read(outputs.begin(), outputs.end());
  for (const Node* node : order.nodes)
    read.merge(names_read(*node));
  for (const auto& [name, tensor] : initializers)
    if (read.contains(name))
      make_constant(*tensor, scope);
  for (const Node* node : order.nodes)
    run_node(*node, scope);

  ImportValues results;
  for (const std::string& output : outputs) {
    if (scope.is_unknown(output))
      throw UnknownValue();
    const ImportValue* value = scope.find(output);
    if (!value)
      throw UserError(import_.model.path,
                      fmt::format("output `{}` is neither an input, an initializer nor made by a "
                                  "node",
                                  readable(output)));
    results.push_back(*value);
  }
  return results;
}

void GraphRun::make_constant(const Tensor& tensor, Scope& scope) {
  const std::string& name = tensor.name;
  try {
    ConstantPtr constant = constant_of(tensor);
    Kind kind = kind_of(name, *constant, true, scope.weights.contains(name), import_.options);
    scope.values[name] = {kind, {}, constant, scope.prefix + name, {}};
  } catch (const UserError& error) {
    UserError placed =
        error.at(fmt::format("{}: initializer `{}`", import_.model.path, readable(name)));
    if (!problems_)
      throw placed;
    problems_->push_back(problem_of(placed));
    scope.unknown.insert(name);
  }
}

// A node that reads what failed nodes would have made: what is wrong whatever its inputs are is
// found all the same.
bool GraphRun::skips(const Node& node, Scope& scope) {
  std::set<std::string> names = names_read(node);
  if (std::none_of(names.begin(), names.end(),
                   [&](const std::string& name) { return scope.is_unknown(name); }))
    return false;
  for (const Gap& gap : find_gaps(import_.model, node, scope.opsets, scope.where))
    problems_->push_back(problem_of(gap));
  return true;
}

// The type that the model's graph states for a value, if all of it is there.
std::optional<Type> GraphRun::stated_type(const std::string& name) const {
  const Graph& graph = import_.model.graph;
  for (const std::vector<ValueInfo>* infos : {&graph.value_infos, &graph.outputs})
    for (const ValueInfo& info : *infos) {
      std::optional<DType> dtype = dtype_of(info.element_type);
      if (info.name != name || !dtype || !info.shape)
        continue;
      Type type{*dtype, {}};
      for (const Dim& dim : *info.shape)
        if (dim.value)
          type.dims.push_back(*dim.value);
      if (type.dims.size() == info.shape->size())
        return type;
    }
  return std::nullopt;
}

void GraphRun::make_unknown(const Node& node, Scope& scope) {
  for (const std::string& name : node.outputs) {
    if (name.empty())
      continue;
    bool in_model = !scope.outer && scope.prefix.empty();
    std::optional<Type> type;
    if (in_model)
      type = stated_type(name);
    if (type)
      scope.values[name] = {Kind::tensor, trace_.input(*type, ir_name(name)), nullptr, name, {}};
    else
      scope.unknown.insert(name);
  }
}

void GraphRun::run_node(const Node& node, Scope& scope) {
  if (!problems_)
    return take_node(node, scope);
  try {
    if (!skips(node, scope))
      return take_node(node, scope);
  } catch (const UserError& error) {
    if (nodes_ > kMostNodes)
      throw;
    problems_->push_back(
        problem_of(error, node, find_gaps(import_.model, node, scope.opsets, scope.where)));
  } catch (const UnknownValue&) {
  }
  make_unknown(node, scope);
}

void GraphRun::take_node(const Node& node, Scope& scope) {
  trace_.b.loc = node_loc(import_.model.path, node, scope.prefix);
  std::string loc = trace_.b.loc;
  try {
    if (++nodes_ > kMostNodes)
      fail("the model has more than {} nodes, its functions inlined", kMostNodes);
    ImportValues inputs;
    for (const std::string& name : node.inputs) {
      const ImportValue* value = name.empty() ? nullptr : scope.find(name);
      inputs.push_back(value ? *value : ImportValue{});
    }
    if (const FunctionDef* function = find_function(import_.model, node))
      return run_call(node, *function, std::move(inputs), scope);
    if (!is_standard(node.domain))
      fail_unknown_domain(node);
    const NodeRule& rule = node_rule(node.op_type, standard_opset(scope.opsets));
    if (node.inputs.size() > most_inputs(node.op_type))
      fail("has {} inputs; `{}` takes at most {}", node.inputs.size(), node.op_type,
           most_inputs(node.op_type));
    bool known = rule.folds, of_weights = false;
    for (const ImportValue& input : inputs) {
      known &= input.kind == Kind::absent || input.constant != nullptr;
      of_weights |= input.kind == Kind::tensor || input.kind == Kind::weight;
    }
    size_t first_new = trace_.function.values.size();
    std::optional<ImportValues> folded;
    if (known)
      folded = fold(rule, node, inputs, of_weights, scope);
    if (folded && !of_weights)
      return define(rule, node, *folded, first_new, scope);
    ImportValues results = build(trace_, rule, node, inputs, scope);
    for (size_t i = 0; folded && i < results.size(); ++i)
      if (results[i].kind == Kind::tensor)
        results[i].constant = (*folded)[i].constant;
    define(rule, node, results, first_new, scope);
  } catch (const UserError& error) {
    if (error.place().empty() || error.place() == loc)
      throw error.at(place(node, scope));
    throw;
  }
}

ImportValues GraphRun::build(Trace& trace, const NodeRule& rule, const Node& node,
                             const ImportValues& inputs, Scope& scope) {
  std::vector<std::unique_ptr<Attribute>> kept;
  ElementType narrower = moved_narrower(rule, inputs);
  size_t first_op = trace.function.ops.size();
  NodeContext context(trace, node, standard_opset(scope.opsets), inputs,
                      attributes_of(node, scope, kept), scope.weights,
                      [&](const Graph& graph) { return run_branch(graph, node, scope); });
  rule.build(context);
  for (size_t i = first_op; i < trace.function.ops.size(); ++i)
    for (ValueId value : trace.function.ops[i].results)
      check_sizes(trace.function.type(value).dims);
  ImportValues results = context.finish();
  for (size_t i = 0; narrower != 0 && i < results.size(); ++i)
    results[i].narrower = narrower;
  return results;
}

// Values from `first_new` on are the node's own, and get its names.
void GraphRun::define(const NodeRule& rule, const Node& node, const ImportValues& results,
                      size_t first_new, Scope& scope) {
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    const std::string& name = node.outputs[i];
    if (name.empty())
      continue;
    ImportValue value = results[i];
    bool is_new = value.name.empty();  // else handed on, under the name that it has
    if (is_new)
      value.name = scope.prefix + name;
    auto set_name = [&](const ImportValue& made, const std::string& its_name) {
      if (made.name.empty() && made.kind == Kind::tensor && made.id.index >= first_new)
        trace_.b.set_name(made.id, ir_name(its_name));
    };
    set_name(results[i], value.name);
    for (size_t k = 0; k < value.parts.size(); ++k)
      set_name(value.parts[k], fmt::format("{}.{}", value.name, k));
    if (is_new && value.kind == Kind::constant && rule.holds)
      value.kind = kind_of(value.name, *value.constant, false, scope.weights.contains(name),
                           import_.options);
    scope.values[name] = std::move(value);
  }
}

void GraphRun::run_call(const Node& node, const FunctionDef& function, ImportValues inputs,
                        Scope& scope) {
  if (std::find(open_.begin(), open_.end(), &function) != open_.end() || open_.size() >= kDeepest)
    fail("function `{}` calls itself", readable(function.name));
  if (inputs.size() > function.inputs.size())
    fail("function `{}` takes {} inputs, got {}", readable(function.name), function.inputs.size(),
         inputs.size());
  if (node.outputs.size() > function.outputs.size())
    fail("function `{}` gives {} outputs, {} are named", readable(function.name),
         function.outputs.size(), node.outputs.size());
  Scope body;
  body.opsets = function.opsets;
  body.prefix = scope.prefix +
                (node.name.empty() ? fmt::format("{}_{}", node.op_type, node.index) : node.name) +
                "/";
  body.where = fmt::format(" in function \"{}\"{}", readable(function.name), scope.where);
  std::vector<std::unique_ptr<Attribute>> kept;
  body.attributes = attributes_of(node, scope, kept);
  for (const Attribute& otherwise : function.default_attributes)
    if (std::none_of(body.attributes.begin(), body.attributes.end(),
                     [&](const Attribute* given) { return given->name == otherwise.name; }))
      body.attributes.push_back(&otherwise);
  for (size_t i = 0; i < function.inputs.size(); ++i)
    body.values[function.inputs[i]] = i < inputs.size() ? inputs[i] : ImportValue{};

  NodeOrder order = order_nodes(
      function.nodes, function.outputs,
      [&](const std::string& name) { return body.values.contains(name); },
      [&](const Node& inner) { return place(inner, body); });
  std::unordered_set<std::string> marked;
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (scope.weights.contains(node.outputs[i]))
      marked.insert(function.outputs[i]);
  body.weights = weight_names(import_.model, order.nodes, body.opsets, std::move(marked));
  open_.push_back(&function);
  for (const Node* inner : order.nodes)
    run_node(*inner, body);
  open_.pop_back();
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (body.is_unknown(function.outputs[i]))
      throw UnknownValue();
    const ImportValue* value = body.find(function.outputs[i]);
    if (!value || value->kind == Kind::absent)
      fail("function `{}` does not make its output `{}`", readable(function.name),
           readable(function.outputs[i]));
    if (!node.outputs[i].empty())
      scope.values[node.outputs[i]] = *value;
  }
}

ImportValues GraphRun::run_branch(const Graph& graph, const Node& node, const Scope& outer) {
  if (!graph.inputs.empty())
    fail("a branch takes no inputs, this one takes {}", graph.inputs.size());
  std::string loc = trace_.b.loc;
  Scope scope;
  scope.outer = &outer;
  scope.opsets = outer.opsets;
  scope.attributes = outer.attributes;
  scope.prefix = fmt::format("{}{}.{}/", outer.prefix, node.op_type, branches_++);
  scope.where = branch_where(node) + outer.where;
  scope.weights = outer.weights;
  ImportValues results = run_graph(graph, scope);
  trace_.b.loc = loc;
  return results;
}

}  // namespace gradc::onnx
