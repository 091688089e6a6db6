#pragma once
// Compile-time tensors of the importer: shapes, axes, fills, and what is folded from them. They are
// kept as the file has them, so that whole numbers of 64 bits stay exact.
#include <memory>
#include <optional>
#include <vector>

#include "compiler/import/onnx/onnx_model.h"
#include "ir/eval_types.h"

namespace gradc::onnx {

struct Constant {
  Type type;
  SharedBytes content;  // row-major, in the type's own elements
};
using ConstantPtr = std::shared_ptr<const Constant>;

// What a TensorProto holds; fails when its element type is not one of ours.
ConstantPtr constant_of(const Tensor& tensor);
ConstantPtr constant_of(const Type& type, SharedBytes content);
ConstantPtr integers_constant(const std::vector<int64_t>& values);  // i64, one axis
ConstantPtr integer_constant(int64_t value);  // i64, a scalar
ConstantPtr numbers_constant(const Type& type, const std::vector<double>& values);
ConstantPtr filled_constant(const Type& type, double value);

// Elements of whole numbers or booleans, exactly; fails for floats.
std::vector<int64_t> integers_of(const Constant& constant);
std::vector<double> numbers_of(const Constant& constant);
// The number that all elements are, if there is one that a double holds exactly. Empty tensors have
// none.
std::optional<double> uniform_value(const Constant& constant);
// Whether some element is a whole number that a double does not hold.
bool exceeds_double(const Constant& constant);

// To and from the evaluator. From it, whole numbers are cut to their type's range.
gradc::Tensor to_tensor(const Constant& constant);
ConstantPtr from_tensor(const gradc::Tensor& tensor);
// i64 as two numbers of 32 bits, for ops that only move elements.
gradc::Tensor low_half(const Constant& constant);
gradc::Tensor high_half(const Constant& constant);
ConstantPtr from_halves(const gradc::Tensor& low, const gradc::Tensor& high);

}  // namespace gradc::onnx
