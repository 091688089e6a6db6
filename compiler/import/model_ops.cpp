#include "compiler/import/model_ops.h"

#include <algorithm>
#include <cmath>

namespace gradc::model_text {
namespace {

// Such an op computes each element of its result from the elements at the same place.
bool is_elementwise(const OpDef& record) {
  return record.kernel == KernelClass::map && record.attrs.count == 0 && record.operands > 0;
}

// The shape both broadcast to.
Dims joint_dims(const Type& a, const Type& b) {
  size_t rank = std::max(a.dims.size(), b.dims.size());
  Dims dims(rank);
  for (size_t i = 1; i <= rank; ++i) {  // from the last axis
    int64_t from_a = i <= a.dims.size() ? a.dims[a.dims.size() - i] : 1;
    int64_t from_b = i <= b.dims.size() ? b.dims[b.dims.size() - i] : 1;
    if (from_a != from_b && from_a != 1 && from_b != 1)
      fail("{} and {} do not broadcast: axis -{} has sizes {} and {}", to_string(a), to_string(b),
           i, from_a, from_b);
    dims[rank - i] = std::max(from_a, from_b);
  }
  return dims;
}

bool all_numbers(const std::vector<Value>& values) {
  return std::all_of(values.begin(), values.end(), [](const Value& v) { return v.is_number(); });
}

// An op of single elements on numbers, by its evaluator.
Value fold(Opcode code, const std::vector<Value>& numbers) {
  const OpDef& record = def(code);
  std::vector<Tensor> operands;
  Types types;
  bool whole = true;
  for (const Value& number : numbers) {
    types.push_back(scalar_type(DType::f64));
    operands.push_back({types.back(), {number.number()}});
    whole &= number.get<int64_t>() != nullptr;
  }
  Types results = infer_types(code, types, {});
  double y = record.eval(operands, Op{code, {}, {}, {}, "", {}, ""}, results)[0].data[0];
  if (results[0].dtype == DType::boolean)
    return {y != 0};
  if (!std::isfinite(y))
    fail("`{}` of these numbers is not finite", record.name);
  if (whole && y == std::floor(y) && std::abs(y) < 0x1p53)
    return {static_cast<int64_t>(y)};
  return {y};
}

TensorRef constant(Trace& trace, const Value& number, const Type& type) {
  if (!is_float(type.dtype) && !number.get<int64_t>())
    fail("{} is not a whole number, but the tensor beside it is {}", describe(number),
         to_string(type));
  return trace.constant(type, number.number());
}

// Axes from the end are those of the first operand; the op's own rule judges the others.
void count_from_begin(std::vector<int64_t>& axes, int64_t rank) {
  bool any = false;
  for (int64_t& axis : axes)
    if (axis < 0) {
      axis = normalize_axis(axis, rank);
      any = true;
    }
  if (any)
    std::sort(axes.begin(), axes.end());
}

Attr attr_value(const AttrDef& attr, const Value& value, int64_t rank) {
  std::string what = fmt::format("`{}`", attr.key);
  switch (attr.kind) {
    case AttrKind::integer: {
      int64_t number = whole_number(value, what);
      return attr.key == "axis" && number < 0 ? normalize_axis(number, rank) : number;
    }
    case AttrKind::real:
      return real_number(value, what);
    case AttrKind::boolean:
      return truth(value, what);
    case AttrKind::string:
      return text(value, what);
    case AttrKind::dtype:
      if (const auto* dtype = value.get<DType>())
        return *dtype;
      fail("{} must be an element type such as f32, got {}", what, describe(value));
    case AttrKind::integers:
      break;
  }
  if (attr.key == "shape")
    return shape(value, what);
  std::vector<int64_t> numbers = whole_numbers(value, what);
  if (attr.key == "axes")
    count_from_begin(numbers, rank);
  return numbers;
}

const AttrDef& find_attr(const OpDef& record, const std::string& name) {
  std::vector<std::string> keys;
  for (const AttrDef& attr : record.attrs) {
    if (attr.key == name)
      return attr;
    keys.emplace_back(attr.key);
  }
  fail_no_argument(record.name, name, keys);
}

// The attributes of a call whose first `operands` positional arguments are operands.
Attrs call_attrs(const OpDef& record, const Arguments& arguments, size_t operands, int64_t rank) {
  Attrs attrs;
  if (arguments.positional.size() > operands + record.attrs.count)
    fail("`{}` takes {}, got {}", record.name, counted("argument", operands + record.attrs.count),
         arguments.positional.size());
  for (size_t i = operands; i < arguments.positional.size(); ++i) {
    const AttrDef& attr = record.attrs.items[i - operands];
    attrs.set(attr.key, attr_value(attr, arguments.positional[i], rank));
  }
  for (const NamedValue& named : arguments.named) {
    const AttrDef& attr = find_attr(record, named.name);
    if (!attr.required && named.value.is_none())
      continue;
    if (attrs.has(attr.key))
      fail("`{}` got the argument `{}` twice", record.name, named.name);
    attrs.set(attr.key, attr_value(attr, named.value, rank));
  }
  return attrs;
}

// Operands of an op that takes any number of them may also come as one list.
std::vector<Value> operands_of(const OpDef& record, const std::vector<Value>& positional) {
  if (record.operands >= 0)
    return {positional.begin(),
            positional.begin() + std::min<ptrdiff_t>(record.operands, std::ssize(positional))};
  if (positional.size() == 1 && positional[0].get<List>())
    return *positional[0].get<List>();
  return positional;
}

}  // namespace

void fail_no_argument(std::string_view callee, const std::string& given,
                      const std::vector<std::string>& names) {
  std::string near = nearest_name(given, names);
  std::string cure = !near.empty()   ? fmt::format("; did you mean `{}`?", near)
                     : names.empty() ? ""
                                     : fmt::format("; it has `{}`", fmt::join(names, "`, `"));
  fail("`{}` has no argument `{}`{}", callee, given, cure);
}

std::string counted(std::string_view what, size_t count) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

TensorRef tensor(const Value& value, std::string_view what) {
  const auto* ref = value.get<TensorRef>();
  if (!ref)
    fail("{} must be a tensor, got {}", what, describe(value));
  return *ref;
}

Value elementwise(Trace& trace, Opcode code, const std::vector<Value>& operands) {
  if (all_numbers(operands))
    return fold(code, operands);
  std::optional<Type> joint;  // the numbers' type
  for (const Value& operand : operands) {
    if (operand.is_number())
      continue;
    Type type = trace.type(tensor(operand, fmt::format("an operand of `{}`", def(code).name)));
    DType dtype = !joint || joint->dtype == DType::boolean ? type.dtype : joint->dtype;
    joint = Type{dtype, joint ? joint_dims(*joint, type) : type.dims};
  }
  std::vector<TensorRef> refs;
  for (const Value& operand : operands)
    refs.push_back(operand.is_number()
                       ? constant(trace, operand, *joint)
                       : trace.broadcast_to(*operand.get<TensorRef>(), joint->dims));
  return {trace.op(code, refs, {})[0]};
}

Value call_op(Trace& trace, Opcode code, const Arguments& arguments) {
  const OpDef& record = def(code);
  if (record.kernel == KernelClass::control)
    fail("`{}` runs a function of the module and cannot be called here", record.name);
  std::vector<Value> operands = operands_of(record, arguments.positional);
  if (record.operands >= 0 && operands.size() < static_cast<size_t>(record.operands))
    fail("`{}` takes {}, got {}", record.name,
         counted("operand", static_cast<size_t>(record.operands)), operands.size());
  if (is_elementwise(record)) {
    call_attrs(record, arguments, operands.size(), 0);  // there are none
    return elementwise(trace, code, operands);
  }
  std::vector<TensorRef> refs;
  for (size_t i = 0; i < operands.size(); ++i)
    refs.push_back(tensor(operands[i], fmt::format("operand {} of `{}`", i + 1, record.name)));
  size_t taken = record.operands >= 0 ? refs.size() : arguments.positional.size();
  Attrs attrs = call_attrs(record, arguments, taken, refs.empty() ? 0 : trace.type(refs[0]).rank());
  std::vector<TensorRef> results = trace.op(code, refs, std::move(attrs));
  if (results.size() == 1)
    return {results[0]};
  List list;
  for (const TensorRef& result : results)
    list.push_back({result});
  return {list};
}

}  // namespace gradc::model_text
