#include "compiler/lower/kernel_values.h"

#include <algorithm>

#include "ir/diagnostic.h"
#include "ir/op_def.h"

namespace gradc {

using loop::Code;
using loop::Scalar;

namespace {

// More than the caches that a core has for itself.
constexpr int64_t kStreamedBytes = 8 << 20;

}  // namespace

Scalar ravel(loop::Builder& b, std::span<const Scalar> indices, const Dims& dims) {
  GRADC_CHECK(indices.size() == dims.size(), "{} indices for {}", indices.size(), to_string(dims));
  Dims strides = row_major_strides(dims);
  Scalar linear = b.index(0);
  for (size_t axis = 0; axis < dims.size(); ++axis)
    linear = b.add(linear, b.scaled(indices[axis], strides[axis]));
  return linear;
}

std::vector<Scalar> unravel(loop::Builder& b, Scalar linear, const Dims& dims) {
  std::vector<Scalar> indices(dims.size(), b.index(0));
  int64_t left = element_count(dims);
  for (size_t axis = dims.size(); axis-- > 0 && left > 1; left /= dims[axis]) {
    if (left == dims[axis]) {  // nothing but 1 is ahead of this axis
      indices[axis] = linear;
      break;
    }
    indices[axis] = b.rem(linear, b.index(dims[axis]));
    linear = b.div(linear, b.index(dims[axis]));
  }
  return indices;
}

bool is_at(const Position& position, std::span<const Scalar> point) {
  return !position.condition &&
         std::ranges::equal(position.indices, point, {}, &Scalar::reg, &Scalar::reg);
}

// What an element rule sees.
class KernelValues::Context : public loop::ElementContext {
 public:
  Context(KernelValues& values, const Op& op, size_t result, const Position& position)
      : ElementContext(values.builder_, op, result), values_(values), position_(position) {}

  const Type& operand_type(size_t i) const override {
    return values_.function_.type(op().operand(i));
  }
  const Type& result_type() const override { return values_.function_.type(op().result(result())); }

  std::span<const Scalar> position() override { return position_.indices; }
  Scalar linear() override { return ravel(b, position_.indices, result_type().dims); }

  Scalar at(size_t i) override { return at(i, position_.indices); }
  Scalar at(size_t i, std::span<const Scalar> indices) override {
    return values_.element(op().operand(i),
                           {{indices.begin(), indices.end()}, position_.condition});
  }
  Scalar at_linear(size_t i, Scalar linear) override {
    return at(i, unravel(b, linear, operand_type(i).dims));
  }

  Scalar at_if(Scalar condition, size_t i, std::span<const Scalar> indices,
               Scalar otherwise) override {
    Position position{{indices.begin(), indices.end()}, condition};
    if (position_.condition)
      position.condition = b.binary(Code::bit_and, *position_.condition, condition);
    ValueId value = op().operand(i);
    if (std::optional<uint32_t> buffer = values_.buffer_of(value))
      return b.load_if(*position.condition, *buffer, ravel(b, indices, operand_type(i).dims),
                       otherwise);
    return b.select(condition, values_.element(value, position), otherwise);
  }

 private:
  KernelValues& values_;
  const Position& position_;
};

KernelValues::KernelValues(const Function& function, loop::Builder& builder)
    : function_(function), builder_(builder), definitions_(defining_ops(function)) {
  GRADC_CHECK(builder.kernel().buffers.empty());
  auto add = [&](ValueId value, const std::string& name, loop::Space space) {
    const Type& type = function.type(value);
    builder.add_buffer({name, space, type.dtype, type.elements()});
  };
  for (const Parameter& parameter : function.parameters)
    add(parameter.value, function[parameter.value].name, loop::Space::operand);
  for (const Result& result : function.results)
    add(result.value, function[result.value].name, loop::Space::result);
  bool updates = std::any_of(function.ops.begin(), function.ops.end(),
                             [](const Op& op) { return op.phase == Phase::update; });
  for (const Result& result : function.results)
    streamed_.push_back(!updates && function.type(result.value).bytes() >= kStreamedBytes);
}

void KernelValues::define(ValueId value, Source source) {
  sources_[value] = std::move(source);
}

std::optional<uint32_t> KernelValues::buffer_of(ValueId value) const {
  if (sources_.contains(value))
    return std::nullopt;
  for (size_t i = 0; i < function_.parameters.size(); ++i)
    if (function_.parameters[i].value == value)
      return operand_buffer(i);
  return std::nullopt;
}

Scalar KernelValues::element(ValueId value, const Position& position) {
  std::vector<uint32_t> key = {value.index};
  for (Scalar index : position.indices)
    key.push_back(index.reg);
  if (position.condition)
    key.push_back(position.condition->reg);
  if (auto known = known_.find(key); known != known_.end() && builder_.is_open(known->second.body))
    return known->second.scalar;
  Scalar scalar = compute(value, position);
  known_.insert_or_assign(std::move(key), Known{scalar, builder_.innermost_body()});
  return scalar;
}

Scalar KernelValues::compute(ValueId value, const Position& position) {
  const Type& type = function_.type(value);
  if (auto source = sources_.find(value); source != sources_.end())
    return source->second(position);
  if (std::optional<uint32_t> buffer = buffer_of(value)) {
    Scalar at = ravel(builder_, position.indices, type.dims);
    return position.condition ? builder_.load_if(*position.condition, *buffer, at,
                                                 builder_.constant(type.dtype, 0))
                              : builder_.load(*buffer, at);
  }
  const Op& op = function_.ops[definitions_[value.index]->index];
  const OpDef& record = def(op);
  GRADC_CHECK(record.element, "an element of `{}` in @{}", record.name, function_.name);
  auto result = std::find(op.results.begin(), op.results.end(), value) - op.results.begin();
  Context context(*this, op, static_cast<size_t>(result), position);
  return record.element(context);
}

void KernelValues::store(size_t result, std::span<const Scalar> indices, Scalar value) {
  const Dims& dims = function_.type(function_.results[result].value).dims;
  Scalar at = ravel(builder_, indices, dims);
  if (streamed_[result])
    builder_.store_streamed(result_buffer(result), at, value);
  else
    builder_.store(result_buffer(result), at, value);
}

}  // namespace gradc
