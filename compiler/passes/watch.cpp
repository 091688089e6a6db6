#include "compiler/passes/watch.h"

#include <algorithm>
#include <optional>
#include <set>

#include "compiler/entries.h"
#include "ir/op_def.h"

namespace gradc {
namespace {

class Watcher {
 public:
  Watcher(const Module& module, const Function& step)
      : module_(module),
        step_(step),
        data_(step.values.size()),
        layers_(step.values.size()),
        readers_(step.values.size()) {}

  std::vector<Result> run() {
    for (const Parameter& parameter : step_.parameters)
      classify(parameter);
    for (const Op& op : step_.ops)
      visit(op);
    for (const Result& result : step_.results)
      returned_.insert(result.value);
    std::vector<Result> results;
    for (const Op* op : main_ops_)
      add(*op, results);
    return results;
  }

 private:
  void classify(const Parameter& parameter) {
    const StateTensor* state =
        parameter.state.empty() ? nullptr : module_.find_state(parameter.state);
    if (state && state->role == Role::parameter)
      layers_[parameter.value.index] = layer_of_parameter(state->name);
    data_[parameter.value.index] =
        parameter.state.empty() && !is_control_input(step_[parameter.value].name);
  }

  // The layer that all operands of the op are made from, "" for none or several.
  std::string common_layer(const Op& op) const {
    std::string layer;
    for (ValueId operand : op.operands) {
      const std::string& of_operand = layers_[operand.index];
      if (!layer.empty() && !of_operand.empty() && layer != of_operand)
        return "";
      layer = layer.empty() ? of_operand : layer;
    }
    return layer;
  }

  void visit(const Op& op) {
    bool reads_data = std::any_of(op.operands.begin(), op.operands.end(),
                                  [&](ValueId operand) { return data_[operand.index]; });
    for (ValueId operand : op.operands)
      readers_[operand.index].push_back(&op);
    std::string layer = common_layer(op);
    for (ValueId result : op.results) {
      data_[result.index] = reads_data;
      if (!reads_data)
        layers_[result.index] = layer;
    }
    if (reads_data && !layer.empty() && is_float(step_.type(op.results[0]).dtype) &&
        def(op).kernel != KernelClass::control && known_.insert(layer).second)
      main_ops_.push_back(&op);
  }

  // Whether an op of the layer shares its parameter with others.
  bool shared(const Op& op) const {
    return std::any_of(op.operands.begin(), op.operands.end(), [&](ValueId operand) {
      return !layers_[operand.index].empty() && readers_[operand.index].size() > 1;
    });
  }

  // The op that takes `value` to another one of its shape, element by element, by means of nothing
  // but constants and the layer's own parameters; null if `value` is read by others too.
  const Op* next(ValueId value, const std::string& layer) const {
    if (readers_[value.index].size() != 1 || returned_.contains(value))
      return nullptr;
    const Op& op = *readers_[value.index][0];
    const OpDef& record = def(op);
    bool elementwise = record.kernel == KernelClass::map ||
                       (record.kernel == KernelClass::composite && op.operands.size() == 1 &&
                        !op.attrs.has("axis") && !op.attrs.has("axes"));
    if (!elementwise || !record.vjp || op.results.size() != 1 ||
        step_.type(op.result()).dims != step_.type(value).dims)
      return nullptr;
    for (ValueId operand : op.operands)
      if (operand != value &&
          (data_[operand.index] || step_.type(operand).dims != step_.type(value).dims ||
           (!layers_[operand.index].empty() && layers_[operand.index] != layer)))
        return nullptr;
    return &op;
  }

  bool reads_layer(const Op& op) const {
    return std::any_of(op.operands.begin(), op.operands.end(),
                       [&](ValueId operand) { return !layers_[operand.index].empty(); });
  }

  // The axis of the result along which only the parameter's index runs.
  int64_t unit_axis(const Op& op) const {
    const Type& type = step_.type(op.result());
    if (op.attrs.has("axis"))
      return std::clamp<int64_t>(op.attrs.integer("axis"), 0,
                                 std::max<int64_t>(type.rank() - 1, 0));
    if (def(op).contraction) {
      size_t weight = layers_[op.operand(0).index].empty() ? 1 : 0;
      std::vector<Type> types;
      for (ValueId operand : op.operands)
        types.push_back(step_.type(operand));
      Contraction loops = def(op).contraction(types, type, op.attrs);
      if (static_cast<int64_t>(loops.result_dims.size()) != type.rank())
        return 1;  // a grouped convolution: channels
      for (int axis = static_cast<int>(type.rank()) - 1; axis >= 0; --axis)
        if (runs(loops.operand_indices[weight], axis) &&
            !runs(loops.operand_indices[1 - weight], axis))
          return axis;
    }
    return type.rank() - 1;
  }

  static bool runs(const std::vector<AffineIndex>& indices, int loop) {
    for (const AffineIndex& index : indices)
      for (const auto& [term, coefficient] : index.terms)
        if (term == loop && coefficient != 0)
          return true;
    return false;
  }

  void add(const Op& op, std::vector<Result>& results) const {
    if (shared(op))
      return;
    std::string layer = common_layer(op);
    ValueId input = op.result(), output = input;
    bool activated = false;
    for (const Op* follower = next(output, layer); follower; follower = next(output, layer)) {
      output = follower->result();
      activated = activated || !reads_layer(*follower);
      if (!activated)
        input = output;
    }
    std::string name = std::to_string(unit_axis(op)) + "/" + layer;
    results.push_back({input, std::string(kWatchInput) + name, ""});
    results.push_back({output, std::string(kWatchOutput) + name, ""});
  }

  const Module& module_;
  const Function& step_;
  std::vector<bool> data_;  // by value: depends on the inputs
  std::vector<std::string> layers_;  // by value: the layer it is a parameter of, or is made from
  std::vector<std::vector<const Op*>> readers_;  // by value
  std::set<ValueId> returned_;
  std::set<std::string> known_;  // layers that have a main op
  std::vector<const Op*> main_ops_;  // the first of each layer, in order
};

}  // namespace

std::string layer_of_parameter(std::string_view parameter) {
  size_t dot = parameter.rfind('.');
  return std::string(parameter.substr(0, dot == parameter.npos ? parameter.size() : dot));
}

Module watch(const Module& module, const Options& options) {
  if (!options.measures_health() || !module.find_function(kTrainStep))
    return module;
  Module result = module;
  Function& step = *result.find_function(kTrainStep);
  std::vector<Result> watched = Watcher(module, module.function(kTrainStep)).run();
  step.results.insert(step.results.end(), watched.begin(), watched.end());
  return result;
}

}  // namespace gradc
