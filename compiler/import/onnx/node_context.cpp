#include "compiler/import/onnx/node_context.h"

#include <algorithm>

#include "compiler/entries.h"
#include "compiler/import/onnx/coverage.h"
#include "compiler/import/onnx/names.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

std::string_view name_of(Attribute::Kind kind) {
  switch (kind) {
    case Attribute::Kind::real:
      return "a number";
    case Attribute::Kind::integer:
      return "a whole number";
    case Attribute::Kind::string:
      return "a string";
    case Attribute::Kind::tensor:
      return "a tensor";
    case Attribute::Kind::graph:
      return "a graph";
    case Attribute::Kind::reals:
      return "a list of numbers";
    case Attribute::Kind::integers:
      return "a list of whole numbers";
    case Attribute::Kind::strings:
      return "a list of strings";
    case Attribute::Kind::tensors:
      return "a list of tensors";
    case Attribute::Kind::graphs:
      return "a list of graphs";
    case Attribute::Kind::undefined:
      break;
  }
  return "of no known type";
}

// The model's inputs that a value depends on, by their names in the file; none where one of them
// holds floats, which cannot be bound.
std::vector<std::string> bindable_inputs_of(const Trace& trace, ValueId value) {
  const Function& function = trace.function;
  std::vector<bool> reached(function.values.size());
  if (value.valid())
    reached[value.index] = true;
  for (auto op = function.ops.rbegin(); op != function.ops.rend(); ++op)
    if (std::any_of(op->results.begin(), op->results.end(),
                    [&](ValueId result) { return reached[result.index]; }))
      for (ValueId operand : op->operands)
        reached[operand.index] = true;
  std::set<std::string> read;
  for (const Parameter& parameter : function.parameters)
    if (reached[parameter.value.index] && parameter.state.empty()) {
      if (is_float(function.type(parameter.value).dtype))
        return {};
      read.insert(function[parameter.value].name);
    }
  std::vector<std::string> names;
  for (const ValueInfo& input : trace.import.model.graph.inputs)
    if (read.contains(ir_name(input.name)))
      names.push_back(input.name);
  return names;
}

}  // namespace

NodeContext::NodeContext(Trace& trace, const Node& of, int64_t version, ImportValues inputs,
                         std::vector<const Attribute*> attributes,
                         const std::unordered_set<std::string>& weights,
                         std::function<ImportValues(const Graph&)> run_graph)
    : b(trace.b),
      node(of),
      opset(version),
      trace_(trace),
      inputs_(std::move(inputs)),
      results_(of.outputs.size()),
      attributes_(std::move(attributes)),
      weights_(weights),
      run_graph_(std::move(run_graph)) {
  std::set<std::string_view> names;
  for (const Attribute* attribute : attributes_)
    if (!names.insert(attribute->name).second)
      fail("attribute `{}` is given twice", readable(attribute->name));
}

std::string NodeContext::input_name(size_t i) const {
  bool named = i < node.inputs.size() && !node.inputs[i].empty();
  return named ? fmt::format("input {} (`{}`)", i, readable(node.inputs[i]))
               : fmt::format("input {}", i);
}

bool NodeContext::has(size_t i) const {
  return i < inputs_.size() && inputs_[i].kind != ImportValue::Kind::absent;
}

const ImportValue& NodeContext::value(size_t i) const {
  if (!has(i))
    fail("input {} is missing", i);
  return inputs_[i];
}

const ImportValue& NodeContext::tensor_value(size_t i) const {
  const ImportValue& given = value(i);
  if (given.kind == ImportValue::Kind::sequence)
    fail("{} is a sequence of {} tensors, not a tensor", input_name(i), given.parts.size());
  return given;
}

Type NodeContext::type(const ImportValue& part) const {
  return part.constant ? part.constant->type : b.type(part.id);
}

const Type NodeContext::type(size_t i) const {
  return type(tensor_value(i));
}

ValueId NodeContext::tensor(size_t i) {
  return tensor(tensor_value(i));
}

const ImportValues& NodeContext::parts(size_t i) const {
  const ImportValue& given = value(i);
  if (given.kind != ImportValue::Kind::sequence)
    fail("{} must be a sequence of tensors, it is {}", input_name(i), to_string(type(given)));
  return given.parts;
}

ImportValues NodeContext::tensor_values() const {
  ImportValues all;
  for (size_t i = 0; i < inputs_.size(); ++i)
    all.push_back(tensor_value(i));
  return all;
}

const Constant* NodeContext::find_constant(size_t i) const {
  return has(i) ? inputs_[i].constant.get() : nullptr;
}

const Constant& NodeContext::constant(size_t i) const {
  tensor_value(i);
  if (const Constant* known = find_constant(i))
    return *known;
  UserError error("", fmt::format("{} {}", input_name(i), kMustBeKnown));
  std::vector<std::string> inputs = bindable_inputs_of(trace_, inputs_[i].id);
  if (inputs.empty())
    throw error;
  for (std::string& name : inputs)
    name = fmt::format("--bind {}=VALUE", readable(name));
  throw error.with_help(fmt::format("bind the input{} that it depends on: {}",
                                    inputs.size() == 1 ? "" : "s", fmt::join(inputs, " ")));
}

std::vector<int64_t> NodeContext::integers(size_t i) const {
  const Constant& known = constant(i);
  if (is_float(known.type.dtype))
    fail("{} must hold whole numbers, got {}", input_name(i), to_string(known.type));
  return integers_of(known);
}

int64_t NodeContext::integer(size_t i) const {
  std::vector<int64_t> values = integers(i);
  if (values.size() != 1)
    fail("{} must be one number, got {}", input_name(i), to_string(type(i)));
  return values[0];
}

std::vector<double> NodeContext::numbers(size_t i) const {
  if (exceeds_double(constant(i)))
    fail("{} holds whole numbers beyond 2^53, which are not supported here", input_name(i));
  return numbers_of(constant(i));
}

double NodeContext::number(size_t i) const {
  std::vector<double> values = numbers(i);
  if (values.size() != 1)
    fail("{} must be one number, got {}", input_name(i), to_string(type(i)));
  return values[0];
}

ValueId NodeContext::buffer(size_t i) {
  const ImportValue& given = tensor_value(i);
  return given.kind == ImportValue::Kind::tensor ? ValueId{} : trace_.state(given, Role::buffer);
}

bool NodeContext::trains(bool in_file) const {
  return trace_.import.options.train_mode ? trace_.is_train_step() : in_file;
}

ValueId NodeContext::seed() {
  return trace_.control(kSeed);
}

ValueId NodeContext::step() {
  return trace_.control(kStep);
}

const Attribute* NodeContext::find(std::string_view name) {
  asked_.insert(name);
  for (const Attribute* attribute : attributes_)
    if (attribute->name == name)
      return attribute;
  return nullptr;
}

bool NodeContext::has_attribute(std::string_view name) {
  return find(name) != nullptr;
}

const Attribute* NodeContext::find_attribute(std::string_view name, Attribute::Kind kind) {
  const Attribute* attribute = find(name);
  if (attribute && attribute->kind != kind)
    fail("attribute `{}` must be {}, it is {}", name, name_of(kind), name_of(attribute->kind));
  return attribute;
}

std::optional<int64_t> NodeContext::find_integer(std::string_view name) {
  const Attribute* found = find_attribute(name, Attribute::Kind::integer);
  return found ? std::optional(found->integer) : std::nullopt;
}

std::optional<std::vector<int64_t>> NodeContext::find_integers(std::string_view name) {
  const Attribute* found = find_attribute(name, Attribute::Kind::integers);
  return found ? std::optional(found->integers) : std::nullopt;
}

int64_t NodeContext::attribute(std::string_view name, int64_t otherwise) {
  return find_integer(name).value_or(otherwise);
}

std::vector<int64_t> NodeContext::attribute(std::string_view name, std::vector<int64_t> otherwise) {
  return find_integers(name).value_or(std::move(otherwise));
}

bool NodeContext::flag(std::string_view name, bool otherwise) {
  int64_t value = attribute(name, int64_t{otherwise});
  if (value != 0 && value != 1)
    fail("attribute `{}` must be 0 or 1, it is {}", name, value);
  return value == 1;
}

double NodeContext::real(std::string_view name, double otherwise) {
  const Attribute* found = find_attribute(name, Attribute::Kind::real);
  return found ? double{found->real} : otherwise;
}

std::string NodeContext::text(std::string_view name, std::string_view otherwise) {
  const Attribute* found = find_attribute(name, Attribute::Kind::string);
  return found ? found->string : std::string(otherwise);
}

std::vector<double> NodeContext::reals(std::string_view name, std::vector<double> otherwise) {
  const Attribute* found = find_attribute(name, Attribute::Kind::reals);
  return found ? std::vector<double>(found->reals.begin(), found->reals.end()) : otherwise;
}

std::vector<std::string> NodeContext::texts(std::string_view name) {
  const Attribute* found = find_attribute(name, Attribute::Kind::strings);
  return found ? found->strings : std::vector<std::string>();
}

std::optional<DType> NodeContext::find_dtype(std::string_view name) {
  std::optional<int64_t> number = find_integer(name);
  if (!number)
    return std::nullopt;
  auto element = static_cast<ElementType>(*number);
  std::optional<DType> dtype = element == *number ? dtype_of(element) : std::nullopt;
  if (!dtype)
    fail("attribute `{}` asks for {}; supported are f32 f64 f16 bf16 i8 u8 i16 i32 i64 bool", name,
         element == *number ? onnx::name_of(element) : std::to_string(*number));
  return dtype;
}

int64_t NodeContext::required_integer(std::string_view name) {
  std::optional<int64_t> value = find_integer(name);
  if (!value)
    fail("attribute `{}` is missing", name);
  return *value;
}

std::vector<int64_t> NodeContext::required_integers(std::string_view name) {
  std::optional<std::vector<int64_t>> value = find_integers(name);
  if (!value)
    fail("attribute `{}` is missing", name);
  return *std::move(value);
}

void NodeContext::ignore(std::initializer_list<std::string_view> names) {
  asked_.insert(names.begin(), names.end());
}

bool NodeContext::wants(size_t i) const {
  return i < node.outputs.size() && !node.outputs[i].empty();
}

bool NodeContext::is_weight(size_t i) const {
  return wants(i) && weights_.contains(node.outputs[i]);
}

void NodeContext::result(size_t i, const ImportValue& value) {
  if (i < results_.size())
    results_[i] = value;
}

void NodeContext::narrower_result(size_t i, ElementType type) {
  if (i < results_.size())
    results_[i].narrower = type;
}

void NodeContext::result(size_t i, ValueId value) {
  result(i, ImportValue{.kind = ImportValue::Kind::tensor, .id = value});
}

void NodeContext::result(size_t i, ConstantPtr constant) {
  result(i, ImportValue{.kind = ImportValue::Kind::constant, .constant = std::move(constant)});
}

void NodeContext::result_sequence(ImportValues parts) {
  for (const ImportValue& part : parts)
    if (part.kind == ImportValue::Kind::sequence)
      fail("a sequence of sequences is not supported");
  result(0, ImportValue{.kind = ImportValue::Kind::sequence, .parts = std::move(parts)});
}

ImportValues NodeContext::finish() {
  for (const Attribute* attribute : attributes_)
    if (!asked_.contains(attribute->name))
      fail("`{}` has no attribute `{}`{}", node.op_type, readable(attribute->name), [&] {
        std::string near = nearest_name(attribute->name, asked_);
        return near.empty() ? "" : fmt::format("; did you mean `{}`?", near);
      }());
  for (size_t i = 0; i < results_.size(); ++i)
    if (wants(i) && results_[i].kind == ImportValue::Kind::absent)
      fail("`{}` has no output {} (`{}`)", node.op_type, i, readable(node.outputs[i]));
  return std::move(results_);
}

}  // namespace gradc::onnx
