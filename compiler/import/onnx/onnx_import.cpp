#include "compiler/import/onnx/onnx_import.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "compiler/entries.h"
#include "compiler/import/onnx/graph_run.h"
#include "compiler/import/onnx/inputs.h"
#include "compiler/import/onnx/loss.h"
#include "compiler/import/onnx/names.h"
#include "compiler/import/onnx/onnx_file.h"
#include "ir/diagnostic.h"
#include "ir/ops/rules.h"

namespace gradc::onnx {
namespace {

void check_versions(const Import& import) {
  int64_t opset = standard_opset(import.model.opsets);
  if (opset < 1 || opset > 1000)
    fail("its opset is {}, which no version of ONNX has; the newest known is {}", opset,
         kNewestOpset);
  if (opset > kNewestOpset)
    import.warn(
        fmt::format("{}: opset {} is newer than {}, the newest known; its ops are taken to "
                    "be unchanged",
                    import.model.path, opset, kNewestOpset));
}

void check_names(const Model& model) {
  std::set<std::string> seen;
  for (const Tensor& tensor : model.graph.initializers)
    if (!seen.insert(tensor.name).second)
      fail("there are two initializers `{}`", readable(tensor.name));
  seen.clear();
  for (const ValueInfo& input : model.graph.inputs)
    if (!seen.insert(input.name).second)
      fail("there are two inputs `{}`", readable(input.name));
  seen.clear();
  for (const ValueInfo& output : model.graph.outputs)
    if (!seen.insert(output.name).second)
      fail("there are two outputs `{}`", readable(output.name));
  if (model.graph.outputs.empty())
    fail("the graph has no outputs");
}

// Names of inputs and outputs in the IR; the scalars that every training step takes keep theirs.
class EntryNames {
 public:
  std::string unique(const std::string& name) {
    std::string base = ir_name(name);
    if (is_control_input(base))
      base += "_input";
    std::string result = base;
    for (int i = 1; !taken_.insert(result).second; ++i)
      result = base + "." + std::to_string(i);
    return result;
  }

 private:
  std::set<std::string> taken_;
};

// What the file says of an output against what it is. Sizes follow --batch and --shape, so they are
// compared only without them.
void check_output(const Import& import, const ValueInfo& stated, const Type& type) {
  auto shown = [&] { return fmt::format("output `{}`", readable(stated.name)); };
  if (stated.element_type != 0 && dtype_of(stated.element_type) != type.dtype)
    fail("{} is said to hold {}, the nodes make {}", shown(), name_of(stated.element_type),
         to_string(type));
  if (!stated.shape)
    return;
  const Options& options = import.options;
  bool resized = !options.shapes.empty() || options.binds.contains("batch");
  bool fits = stated.shape->size() == type.dims.size();
  for (size_t i = 0; fits && !resized && i < type.dims.size(); ++i)
    fits = (*stated.shape)[i].value.value_or(type.dims[i]) == type.dims[i];
  if (fits)
    return;
  std::vector<std::string> sizes;
  for (const Dim& dim : *stated.shape)
    sizes.push_back(dim.value ? std::to_string(*dim.value) : dim.symbol.empty() ? "?" : dim.symbol);
  import.warn(fmt::format("{}: {} is said to be [{}], the nodes make {}", import.model.path,
                          shown(), fmt::join(sizes, ","), to_string(type)));
}

NamedValues run_entry(Trace& trace, const std::vector<Input>& inputs,
                      std::vector<Problem>* problems) {
  EntryNames input_names, output_names;
  std::unordered_map<std::string, ImportValue> values;
  std::unordered_set<std::string> unknown;
  for (const Input& input : inputs) {
    if (input.is_unknown) {
      unknown.insert(input.name);
      continue;
    }
    ImportValue value{ImportValue::Kind::constant, {}, input.bound, input.name, {}};
    if (!input.bound) {
      value.kind = ImportValue::Kind::tensor;
      value.id = trace.input(input.type, input_names.unique(input.name));
      value.constant = input.known;
    }
    values.emplace(input.name, std::move(value));
  }
  ImportValues outputs = GraphRun(trace, problems).run_model(std::move(values), std::move(unknown));
  NamedValues results;
  trace.b.loc.clear();
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::string& name = trace.import.model.graph.outputs[i].name;
    if (outputs[i].kind == ImportValue::Kind::absent)
      fail("output `{}` is an optional value that is absent", readable(name));
    if (outputs[i].kind == ImportValue::Kind::sequence)
      fail("output `{}` is a sequence of tensors; take it apart by `SequenceAt`", readable(name));
    results.emplace_back(output_names.unique(name), trace.tensor(outputs[i]));
    if (trace.function.name == kInfer)
      check_output(trace.import, trace.import.model.graph.outputs[i],
                   trace.b.type(results.back().second));
  }
  return results;
}

// By value: whether the gradient of one of `from` reaches it. Ops that are constant piece by piece
// let none through; whole numbers carry none.
std::vector<bool> reached(const Function& function, const std::vector<ValueId>& from) {
  std::vector<bool> reached(function.values.size());
  auto reach = [&](ValueId value) {
    reached[value.index] = reached[value.index] || is_float(function.type(value).dtype);
  };
  for (ValueId value : from)
    reach(value);
  for (auto op = function.ops.rbegin(); op != function.ops.rend(); ++op) {
    bool needed = std::any_of(op->results.begin(), op->results.end(),
                              [&](ValueId result) { return reached[result.index]; });
    if (needed && def(*op).vjp != ops::zero_gradient && op->code != Opcode::stop_gradient)
      for (ValueId operand : op->operands)
        reach(operand);
  }
  return reached;
}

std::set<std::string> reached_states(const Function& function, bool loss_only) {
  std::vector<ValueId> from;
  for (const Result& result : function.results)
    if (result.state.empty() && (!loss_only || result.name == kLoss))
      from.push_back(result.value);
  std::vector<bool> values = reached(function, from);
  std::set<std::string> states;
  for (const Parameter& parameter : function.parameters)
    if (!parameter.state.empty() && values[parameter.value.index])
      states.insert(parameter.state);
  return states;
}

// Float tensors that no gradient reaches are no parameters; those that only other outputs than the
// loss depend on are not trained.
void settle_roles(Module& module, const Options& options) {
  std::set<std::string> by_outputs = reached_states(module.function(kInfer), false), by_loss;
  if (const Function* step = module.find_function(kTrainStep))
    by_loss = reached_states(*step, true);
  for (StateTensor& state : module.states) {
    if (state.role != Role::parameter || by_loss.contains(state.name))
      continue;
    if (!by_outputs.contains(state.name) && options.parameters.empty())
      state.role = Role::buffer;
    else if (options.train)
      state.attrs.set(kFrozen, true);
  }
  std::stable_partition(module.states.begin(), module.states.end(),
                        [](const StateTensor& state) { return state.role == Role::parameter; });
}

void drop_unused_states(Module& module) {
  std::set<std::string> used;
  for (const Function& function : module.functions)
    for (const Parameter& parameter : function.parameters)
      used.insert(parameter.state);
  std::erase_if(module.states,
                [&](const StateTensor& state) { return !used.contains(state.name); });
}

std::map<std::string, size_t> places_in_file(const Model& model) {
  std::map<std::string, size_t> places;
  for (size_t i = 0; i < model.graph.initializers.size(); ++i)
    places.emplace(model.graph.initializers[i].name, i);
  return places;
}

void check_parameter_patterns(const Module& module, const Options& options) {
  bool any = std::any_of(module.states.begin(), module.states.end(),
                         [](const StateTensor& state) { return state.role == Role::parameter; });
  if (!options.parameters.empty() && !any)
    throw UserError("",
                    fmt::format("--params {}: the model has no float tensor of this name",
                                fmt::join(options.parameters, " --params ")),
                    Fault::command_line);
}

// With `problems`, throws UnknownValue when an entry cannot be made for them.
Module imported(const Model& model, const Options& options, const KnownInputs& known,
                std::vector<Problem>* problems) {
  Import import{model, options, States(places_in_file(model)), {}};
  check_versions(import);
  check_names(model);
  check_loss_option(options.loss);
  std::vector<Input> inputs =
      resolve_inputs(model, options,
                     options.loss.empty() ? std::vector<std::string>()
                                          : std::vector<std::string>{std::string(kTarget)},
                     known, problems);
  Module module;
  module.name = ir_name(std::filesystem::path(model.path).stem().string());
  std::vector<Function> entries;
  for (std::string_view entry : {kInfer, kTrainStep}) {
    if (entry == kTrainStep && !options.train)
      continue;
    Trace trace(import, entry);
    NamedValues results = run_entry(trace, inputs, problems);
    if (problems && !problems->empty())
      throw UnknownValue();
    if (entry == kTrainStep)
      add_loss(trace, results);
    entries.push_back(trace.finish(results));
  }
  module.states = import.states.ordered();
  module.functions = std::move(import.bodies);
  for (Function& entry : entries)
    module.functions.push_back(std::move(entry));
  drop_unused_states(module);
  settle_roles(module, options);
  check_parameter_patterns(module, options);
  return module;
}

}  // namespace

Module import_onnx(const std::string& path, const Options& options) {
  return import_model(read_onnx(path), options);
}

Module import_model(const Model& model, const Options& options, const KnownInputs& known) {
  try {
    return imported(model, options, known, nullptr);
  } catch (const UserError& error) {
    throw error.place().empty() ? error.at(model.path) : error;
  }
}

std::optional<Module> try_import(const Model& model, const Options& options,
                                 std::vector<Problem>& problems) {
  try {
    return imported(model, options, {}, &problems);
  } catch (const UnknownValue&) {
  } catch (const UserError& error) {
    if (error.fault() == Fault::command_line)
      throw error.place().empty() ? error.at(model.path) : error;
    problems.push_back(problem_of(error.place().empty() ? error.at(model.path) : error));
  }
  return std::nullopt;
}

}  // namespace gradc::onnx
