#include "compiler/import/onnx/trace.h"

#include <algorithm>
#include <array>
#include <set>

#include "compiler/entries.h"
#include "compiler/import/onnx/names.h"
#include "ir/diagnostic.h"
#include "ir/rewrite.h"

namespace gradc::onnx {
namespace {

constexpr std::array<std::string_view, 4> kControls = {kLearningRate, kStep, kTotalSteps, kSeed};

auto control_order(std::string_view name) {
  return std::find(kControls.begin(), kControls.end(), name);
}

// The two numbers of a constant mask of causal attention, which tells keys up to a query's own,
// counted from the end, from later ones.
struct CausalMask {
  double seen = 0, hidden = 0;
};

std::optional<CausalMask> causal_mask(const Constant& constant) {
  const Dims& dims = constant.type.dims;
  int64_t queries = dims.size() < 2 ? 0 : dims[dims.size() - 2];
  int64_t keys = queries == 0 ? 0 : dims.back();
  if (queries < 2 || keys < queries || constant.type.elements() != queries * keys)
    return std::nullopt;
  std::vector<double> values = numbers_of(constant);
  CausalMask mask{values.front(), values[static_cast<size_t>(keys - queries + 1)]};
  for (int64_t query = 0; query < queries; ++query)
    for (int64_t key = 0; key < keys; ++key)
      if (values[static_cast<size_t>(query * keys + key)] !=
          (key <= query + keys - queries ? mask.seen : mask.hidden))
        return std::nullopt;
  return mask.seen == mask.hidden ? std::nullopt : std::optional(mask);
}

// From positions: nothing to be kept in memory, and `raise` knows what it means.
ValueId from_positions(Builder& b, const Type& type, const CausalMask& mask) {
  Dims square = {type.dims[type.dims.size() - 2], type.dims.back()};
  auto position = [&](int64_t axis) {
    return b.op(Opcode::iota, {}, {{"axis", axis}, {"dtype", DType::i32}, {"shape", square}});
  };
  ValueId query = b.shift(position(0), static_cast<double>(square[1] - square[0]));
  ValueId seen = b.op(Opcode::less_equal, {position(1), query});
  if (type.dtype == DType::boolean)
    return b.reshape(mask.seen != 0 ? seen : b.op(Opcode::logical_not, {seen}), type.dims);
  Type numbers{type.dtype, square};
  return b.reshape(b.select(seen, b.constant(numbers, mask.seen), b.constant(numbers, mask.hidden)),
                   type.dims);
}

}  // namespace

Trace::Trace(Import& shared, std::string_view entry) : import(shared) {
  function.name = entry;
}

bool Trace::is_train_step() const {
  return function.name == kTrainStep;
}

ValueId Trace::input(const Type& type, const std::string& name) {
  return b.parameter(type, name);
}

ValueId Trace::control(std::string_view name) {
  auto [entry, is_new] = controls_.try_emplace(std::string(name));
  if (is_new)
    entry->second = b.parameter(scalar_type(name == kLearningRate ? DType::f32 : DType::i64),
                                std::string(name));
  return entry->second;
}

ValueId Trace::tensor(const ImportValue& value) {
  if (value.kind == ImportValue::Kind::tensor && !is_scratch())
    return value.id;
  if (value.kind == ImportValue::Kind::weight && !is_scratch())
    return state(value, Role::parameter);
  GRADC_CHECK(value.constant);
  auto [entry, is_new] = constants_.try_emplace(value.constant.get());
  if (!is_new)
    return entry->second;
  kept_.push_back(value.constant);
  const Constant& constant = *value.constant;
  std::optional<double> number =
      constant.type.elements() == 0 ? std::optional(0.0) : uniform_value(constant);
  if (is_scratch()) {
    arguments_.push_back(value.constant);
    entry->second = b.parameter(constant.type, ir_name(value.name));
  } else if (number) {
    entry->second = b.constant(constant.type, *number);
    b.set_name(entry->second, ir_name(value.name));
  } else if (std::optional<CausalMask> mask = causal_mask(constant)) {
    entry->second = from_positions(b, constant.type, *mask);
    b.set_name(entry->second, ir_name(value.name));
  } else {
    entry->second = state(value, Role::buffer);
  }
  return entry->second;
}

ValueId Trace::state(const ImportValue& value, Role role) {
  GRADC_CHECK(value.constant && !is_scratch());
  std::string name = import.states.declare(value.name, *value.constant, role, b.loc);
  auto [entry, is_new] = states_.try_emplace(name);
  if (is_new)
    entry->second = b.parameter(value.constant->type, name, name);
  return entry->second;
}

void Trace::update(ValueId state, ValueId content) {
  if (!is_train_step())
    return;
  for (const auto& [name, value] : states_)
    if (value == state)
      updates_[name] = content;
}

std::string Trace::add_body(Function body) {
  body.kind = FunctionKind::body;
  std::string base = body.name;
  std::set<std::string> taken{std::string(kInit), std::string(kInfer), std::string(kTrainStep)};
  for (const Function& other : import.bodies)
    taken.insert(other.name);
  for (int i = 1; taken.contains(body.name); ++i)
    body.name = fmt::format("{}.{}", base, i);
  import.bodies.push_back(std::move(body));
  return import.bodies.back().name;
}

Function Trace::finish(const std::vector<std::pair<std::string, ValueId>>& results) {
  if (is_train_step())
    for (std::string_view name : kControls)
      control(name);
  std::set<ValueId> given;
  for (const Parameter& parameter : function.parameters)
    given.insert(parameter.value);
  for (auto [name, value] : results) {
    // A result has memory of its own, so neither two of them nor a parameter share it.
    if (!given.insert(value).second) {
      value = b.op(Opcode::copy, {value});
      b.set_name(value, name);
    }
    b.result(value, name);
  }
  for (const auto& [state, content] : updates_)
    b.result(content, "", state);

  Function live = without_dead_ops(function);
  std::vector<int> uses = use_counts(live);
  std::vector<Parameter> inputs, controls, states;
  for (const Parameter& parameter : live.parameters)
    if (!parameter.state.empty()) {
      if (uses[parameter.value.index] > 0)
        states.push_back(parameter);
    } else if (is_control_input(live[parameter.value].name)) {
      controls.push_back(parameter);
    } else {
      inputs.push_back(parameter);
    }
  std::sort(controls.begin(), controls.end(), [&](const Parameter& x, const Parameter& y) {
    return control_order(live[x.value].name) < control_order(live[y.value].name);
  });
  live.parameters = std::move(inputs);
  live.parameters.insert(live.parameters.end(), controls.begin(), controls.end());
  live.parameters.insert(live.parameters.end(), states.begin(), states.end());
  return live;
}

}  // namespace gradc::onnx
