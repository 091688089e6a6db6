#include "compiler/lower/map_pieces.h"

#include <algorithm>
#include <memory>

namespace gradc {
namespace {

using loop::Scalar;

// The concatenation of the space's dims whose axis has others behind it.
const Op* outer_concat(const Function& kernel, const Dims& dims) {
  for (const Op& op : kernel.ops) {
    if (op.code != Opcode::concat || kernel.type(op.result()).dims != dims)
      continue;
    auto axis = static_cast<size_t>(op.attrs.integer("axis"));
    if (std::any_of(dims.begin() + static_cast<std::ptrdiff_t>(axis) + 1, dims.end(),
                    [](int64_t extent) { return extent > 1; }))
      return &op;
  }
  return nullptr;
}

}  // namespace

std::vector<MapPiece> map_pieces(const Function& kernel, IterationSpace space) {
  std::vector<MapPiece> whole = {{std::move(space), lower_point}};
  const Op* concat = outer_concat(kernel, kernel.type(kernel.results.at(0).value).dims);
  if (!concat)
    return whole;
  auto axis = static_cast<size_t>(concat->attrs.integer("axis"));
  auto strayed = std::make_shared<bool>(false);  // read elsewhere, perhaps in another piece
  std::vector<MapPiece> pieces;
  int64_t begin = 0;
  for (ValueId operand : concat->operands) {
    const Dims& piece = kernel.type(operand).dims;
    auto body = [=, result = concat->result()](KernelValues& values,
                                               std::span<const Scalar> indices) {
      loop::Builder& b = values.builder();
      std::vector<Scalar> in_operand(indices.begin(), indices.end()), point = in_operand;
      point[axis] = b.add(point[axis], b.index(begin));
      values.define(result, [&](const Position& position) {
        *strayed |= !is_at(position, point);
        return values.element(operand, in_operand);
      });
      lower_point(values, point);
      values.undefine(result);
    };
    if (piece[axis] > 0)
      pieces.push_back({analyse(kernel, piece, body), body});
    begin += piece[axis];
  }
  return pieces.size() > 1 && !*strayed ? pieces : whole;
}

}  // namespace gradc
