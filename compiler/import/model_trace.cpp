#include "compiler/import/model_trace.h"

#include <algorithm>

#include "ir/op_def.h"
#include "ir/rewrite.h"

namespace gradc::model_text {
namespace {

constexpr size_t kMaxOps = 200'000;
constexpr size_t kMaxOpenScans = 16;

}  // namespace

Trace::Trace(std::string entry_name, bool training, std::vector<Function>& bodies)
    : training_(training), bodies_(bodies) {
  levels_.push_back(std::make_unique<Level>());
  top().function.name = std::move(entry_name);
}

TensorRef Trace::input(const Type& type, const std::string& name) {
  ++inputs_;
  return wrap(top().builder.parameter(type, name));
}

void Trace::inputs_done() {
  if (!training_)
    return;
  top().builder.parameter(scalar_type(DType::f32), "lr");
  for (const char* name : {"step", "total_steps", "seed"})
    top().builder.parameter(scalar_type(DType::i64), name);
}

TensorRef Trace::training_input(std::string_view name) const {
  const Function& entry = levels_[0]->function;
  for (size_t i = inputs_; training_ && i < inputs_ + 4; ++i)
    if (entry[entry.parameters[i].value].name == name)
      return {entry.parameters[i].value, 0};
  return {};
}

TensorRef Trace::state(StateDecl decl) {
  if (!state_names_.insert(decl.tensor.name).second)
    fail("`{}` is declared twice; give one of the calls another `name=`", decl.tensor.name);
  ValueId id = levels_[0]->builder.parameter(decl.tensor.type, decl.tensor.name, decl.tensor.name);
  decl.tensor.loc = loc_;
  states_.push_back(std::move(decl));
  bound_.insert(id);
  return {id, 0};
}

void Trace::update(const TensorRef& state, const TensorRef& content) {
  if (in_scan())
    fail("a state cannot be updated inside of a scan");
  if (state.level != 0 || !bound_.contains(state.id))
    fail("the first argument of `update` must be what `state` gave");
  const Function& entry = levels_[0]->function;
  const std::string& name = entry[state.id].name;
  if (entry.type(state.id) != type(content))
    fail("state `{}` is {}, its update is {}", name, to_string(entry.type(state.id)),
         to_string(type(content)));
  if (!updates_.emplace(state.id, content.id).second)
    fail("state `{}` is updated twice", name);
}

Type Trace::type(const TensorRef& tensor) const {
  GRADC_CHECK(static_cast<size_t>(tensor.level) < levels_.size(), "a tensor left its scan");
  return levels_[static_cast<size_t>(tensor.level)]->function.type(tensor.id);
}

// A value of an outer function enters each body on the way as one more parameter.
ValueId Trace::at_level(const TensorRef& tensor, int level) {
  GRADC_CHECK(tensor.level <= level, "a tensor left its scan");
  if (tensor.level == level)
    return tensor.id;
  ValueId outer = at_level(tensor, level - 1);
  Level& inner = *levels_[static_cast<size_t>(level)];
  auto [entry, is_new] = inner.captured.emplace(outer, ValueId{});
  if (is_new) {
    const Function& from = levels_[static_cast<size_t>(level) - 1]->function;
    entry->second = inner.builder.parameter(from.type(outer), from[outer].name);
    inner.captures.push_back(outer);
  }
  return entry->second;
}

Builder& Trace::builder() {
  if (++ops_ > kMaxOps)
    fail("the model has more than {} ops", kMaxOps);
  top().builder.loc = loc_;
  return top().builder;
}

template <typename Append>
std::vector<TensorRef> Trace::appended(std::string_view op_name, Append append) {
  std::vector<ValueId> results;
  try {
    results = append(builder());
  } catch (const UserError& error) {  // without the place: the caller adds it, with the source line
    std::string quoted = fmt::format("`{}`", op_name);
    bool names_op = error.message().find(quoted) != std::string::npos;
    fail("{}{}", names_op ? "" : quoted + ": ", error.message());
  }
  std::vector<TensorRef> refs;
  for (ValueId id : results) {
    check_size(top().function.type(id).dims);
    refs.push_back(wrap(id));
  }
  return refs;
}

std::vector<TensorRef> Trace::op(Opcode code, std::span<const TensorRef> operands, Attrs attrs) {
  std::vector<ValueId> ids;
  for (const TensorRef& operand : operands)
    ids.push_back(here(operand));
  return appended(def(code).name, [&](Builder& b) { return b.op_multi(code, ids, attrs); });
}

TensorRef Trace::op1(Opcode code, std::initializer_list<TensorRef> operands, Attrs attrs) {
  return op(code, std::span(operands.begin(), operands.size()), std::move(attrs))[0];
}

TensorRef Trace::constant(const Type& type, double value) {
  return wrap(builder().constant(type, value));
}

TensorRef Trace::broadcast_to(const TensorRef& x, const Dims& dims) {
  if (type(x).dims == dims)
    return x;
  ValueId id = here(x);
  return appended("broadcast_to",
                  [&](Builder& b) { return std::vector{b.broadcast_to(id, dims)}; })[0];
}

TensorRef Trace::reshape(const TensorRef& x, Dims dims) {
  if (type(x).dims == dims)
    return x;
  return op1(Opcode::reshape, {x}, {{"shape", std::move(dims)}});
}

TensorRef Trace::matmul(const TensorRef& x, const TensorRef& y, bool transpose_x,
                        bool transpose_y) {
  ValueId a = here(x), b = here(y);
  return appended("matmul", [&](Builder& builder) {
    return std::vector{builder.matmul(a, b, transpose_x, transpose_y)};
  })[0];
}

TensorRef Trace::composed(const ComposedFunction& function, const TensorRef& x) {
  ValueId operand = here(x);
  return appended(function.name,
                  [&](Builder& b) { return std::vector{compose(function, b, operand)}; })[0];
}

void Trace::name(const TensorRef& x, const std::string& name, size_t value_count) {
  bool is_state = x.level == 0 && bound_.contains(x.id);
  if (static_cast<size_t>(x.level) + 1 == levels_.size() && x.id.index >= value_count && !is_state)
    top().builder.set_name(x.id, name);
}

// Body: carries, one slice of each sequence, captured values -> next carries, collected values.
std::vector<TensorRef> Trace::open_scan(const ScanShape& scan) {
  if (levels_.size() > kMaxOpenScans)
    fail("scans nest more than {} deep", kMaxOpenScans);
  auto level = std::make_unique<Level>();
  level->function.kind = FunctionKind::body;
  level->function.name = fmt::format("{}.scan_{}", levels_[0]->function.name, ++scans_);
  std::vector<ValueId> parameters;
  auto add = [&](const TensorRef& from, Type parameter_type) {
    const Function& outer = levels_[static_cast<size_t>(from.level)]->function;
    parameters.push_back(level->builder.parameter(std::move(parameter_type), outer[from.id].name));
  };
  for (const TensorRef& carry : scan.carries)
    add(carry, type(carry));
  for (const TensorRef& sequence : scan.sequences) {
    Type slice = type(sequence);
    slice.dims.erase(slice.dims.begin());
    add(sequence, slice);
  }
  levels_.push_back(std::move(level));
  std::vector<TensorRef> refs;
  for (ValueId id : parameters)
    refs.push_back(wrap(id));
  return refs;
}

std::vector<TensorRef> Trace::close_scan(const ScanShape& scan,
                                         std::span<const TensorRef> results) {
  int inner_level = innermost();
  int64_t trips = type(scan.sequences[0]).dims[0];
  std::vector<Type> types;
  for (const TensorRef& result : results) {
    top().builder.result(at_level(result, inner_level));
    types.push_back(type(result));
    if (types.size() > scan.carries.size())
      types.back().dims.insert(types.back().dims.begin(), trips);
    check_size(types.back().dims);
  }
  std::unique_ptr<Level> inner = std::move(levels_.back());
  levels_.pop_back();
  std::vector<ValueId> operands;
  for (const auto* group : {&scan.carries, &scan.sequences})
    for (const TensorRef& operand : *group)
      operands.push_back(at_level(operand, inner_level - 1));
  operands.insert(operands.end(), inner->captures.begin(), inner->captures.end());
  Attrs attrs = {{"carries", static_cast<int64_t>(scan.carries.size())},
                 {"sequences", static_cast<int64_t>(scan.sequences.size())},
                 {"trips", trips}};
  if (scan.reverse)
    attrs.set("reverse", true);
  std::string body = inner->function.name;
  bodies_.push_back(without_dead_ops(inner->function));
  std::vector<TensorRef> refs;
  for (ValueId id : builder().call(Opcode::scan, body, std::move(operands), types, attrs))
    refs.push_back(wrap(id));
  return refs;
}

Function Trace::finish(const std::vector<std::pair<std::string, TensorRef>>& results) {
  Function& entry = levels_[0]->function;
  for (const auto& [name, tensor] : results)
    levels_[0]->builder.result(tensor.id, name);
  for (const auto& [state, content] : training_ ? updates_ : std::map<ValueId, ValueId>())
    levels_[0]->builder.result(content, "", entry[state].name);
  std::vector<int> uses = use_counts(without_dead_ops(entry));  // parameters keep their ids
  std::vector<gradc::Parameter> kept;
  for (size_t i = 0; i < entry.parameters.size(); ++i)
    if ((training_ && i < inputs_ + 4) || uses[i] > 0)
      kept.push_back(entry.parameters[i]);
  entry.parameters = std::move(kept);
  return without_dead_ops(entry);
}

std::vector<std::vector<bool>> Trace::input_dependence(
    const std::vector<std::pair<std::string, TensorRef>>& results) const {
  const Function& entry = levels_[0]->function;
  std::vector<std::vector<bool>> depends(entry.values.size(), std::vector<bool>(inputs_));
  for (size_t i = 0; i < inputs_; ++i)
    depends[entry.parameters[i].value.index][i] = true;
  for (const Op& op : entry.ops)
    for (ValueId operand : op.operands)
      for (ValueId result : op.results)
        for (size_t i = 0; i < inputs_; ++i)
          if (depends[operand.index][i])
            depends[result.index][i] = true;
  std::vector<std::vector<bool>> of_results;
  for (const auto& [name, tensor] : results)
    of_results.push_back(depends[tensor.id.index]);
  return of_results;
}

}  // namespace gradc::model_text
