#pragma once
// How the element rule of an op (OpDef::element) sees the kernel that it is lowered into.
#include "ir/loop_builder.h"
#include "ir/module.h"

namespace gradc::loop {

// What an op's `element` rule is handed: where it is, and how to read the operands there. The
// operands may be buffers or expressions that were fused into this kernel.
class ElementContext {
 public:
  ElementContext(Builder& builder, const Op& op, size_t result)
      : b(builder), op_(op), result_(result) {}
  virtual ~ElementContext() = default;

  Builder& b;

  const Op& op() const { return op_; }
  const Attrs& attrs() const { return op_.attrs; }
  size_t result() const { return result_; }  // the result whose element is asked for
  virtual const Type& operand_type(size_t i) const = 0;
  virtual const Type& result_type() const = 0;

  // The position asked for: one index per axis of the result, or the same as one row-major number.
  virtual std::span<const Scalar> position() = 0;
  virtual Scalar linear() = 0;

  // The element of operand i at the same position (operand of the result's shape) ...
  virtual Scalar at(size_t i) = 0;
  // ... at the given indices ...
  virtual Scalar at(size_t i, std::span<const Scalar> indices) = 0;
  // ... at a row-major number ...
  virtual Scalar at_linear(size_t i, Scalar linear) = 0;
  // ... at the given indices where `condition` holds, `otherwise` elsewhere (nothing is read
  // there).
  virtual Scalar at_if(Scalar condition, size_t i, std::span<const Scalar> indices,
                       Scalar otherwise) = 0;

 private:
  const Op& op_;
  size_t result_;
};

}  // namespace gradc::loop
