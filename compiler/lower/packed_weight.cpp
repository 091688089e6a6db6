#include "compiler/lower/packed_weight.h"

#include <algorithm>
#include <numeric>

#include "ir/integer_math.h"

namespace gradc {
namespace {

// One axis of a weight that is split by loops.
struct Part {
  enum Place : uint8_t { panel, summed, column };
  int64_t extent = 1;
  size_t loop = 0;
  Place place = summed;

  std::pair<Place, size_t> rank() const { return {place, loop}; }
};

using Terms = std::vector<std::pair<int, int64_t>>;

// The terms that move an index, the furthest apart first; none if they do not walk over all of an
// axis of `dim` elements, one after the other.
std::optional<Terms> walking_terms(const ContractionNest& nest, const AffineIndex& index,
                                   int64_t dim) {
  Terms terms;
  for (const auto& term : index.terms)
    if (nest.loops[static_cast<size_t>(term.first)].extent > 1)
      terms.push_back(term);
  std::sort(terms.begin(), terms.end(),
            [](const auto& x, const auto& y) { return x.second > y.second; });
  int64_t walked = 1;
  for (size_t i = terms.size(); i-- > 0;) {
    if (terms[i].second != walked)
      return std::nullopt;
    walked *= nest.loops[static_cast<size_t>(terms[i].first)].extent;
  }
  if (index.offset != 0 || index.divisor != 1 || walked != dim)
    return std::nullopt;
  return terms;
}

// Dims with the vector axis in whole panels.
Dims in_panels(const PackedOrder& order) {
  Dims dims = order.joined;
  dims[order.vector_axis] = round_up(dims[order.vector_axis], order.columns);
  return dims;
}

std::vector<int64_t> inverse(const std::vector<int64_t>& permutation) {
  std::vector<int64_t> inverse(permutation.size());
  for (size_t i = 0; i < permutation.size(); ++i)
    inverse[static_cast<size_t>(permutation[i])] = static_cast<int64_t>(i);
  return inverse;
}

}  // namespace

Dims PackedOrder::packed() const {
  Dims dims;
  for (int64_t axis : permutation)
    dims.push_back(split[static_cast<size_t>(axis)]);
  return dims;
}

std::optional<PackedOrder> packed_order(const Function& kernel, const ContractionNest& nest,
                                        size_t operand, size_t vector_loop, int64_t columns) {
  PackedOrder order{.columns = columns,
                    .step = std::vector<int64_t>(nest.loops.size()),
                    .weight = kernel.type(nest.operands[operand]).dims,
                    .joined = nest.types[operand].dims};
  std::vector<Part> parts;
  bool has_columns = false;
  for (size_t axis = 0; axis < order.joined.size(); ++axis) {
    std::optional<Terms> terms =
        walking_terms(nest, nest.contraction.operand_indices[operand][axis], order.joined[axis]);
    if (!terms)
      return std::nullopt;
    for (const auto& term : *terms) {
      auto l = static_cast<size_t>(term.first);
      if (l == vector_loop && terms->size() == 1) {
        has_columns = true;
        order.vector_axis = axis;
        parts.push_back({ceil_div(nest.loops[l].extent, columns), l, Part::panel});
        parts.push_back({columns, l, Part::column});
      } else if (nest.loops[l].summed) {
        parts.push_back({nest.loops[l].extent, l, Part::summed});
      } else {
        return std::nullopt;
      }
    }
  }
  if (!has_columns)
    return std::nullopt;
  for (const Part& part : parts)
    order.split.push_back(part.extent);
  order.permutation.resize(parts.size());
  std::iota(order.permutation.begin(), order.permutation.end(), 0);
  auto rank = [&](int64_t i) { return parts[static_cast<size_t>(i)].rank(); };
  std::ranges::sort(order.permutation, {}, rank);
  order.panel_step = 1;
  for (size_t i = parts.size(); i-- > 1; order.panel_step *= order.packed()[i]) {
    const Part& part = parts[static_cast<size_t>(order.permutation[i])];
    order.step[part.loop] = order.panel_step;
  }
  return order;
}

ValueId pack_weight(Builder& b, ValueId weight, const PackedOrder& order) {
  ValueId x = b.reshape(weight, order.joined);
  if (Dims wanted = in_panels(order); wanted != order.joined) {
    std::vector<int64_t> low(wanted.size()), high(wanted.size());
    high[order.vector_axis] = wanted[order.vector_axis] - order.joined[order.vector_axis];
    x = b.op(Opcode::pad, {x}, {{"low", low}, {"high", high}, {"value", 0.0}});
  }
  return b.transpose(b.reshape(x, order.split), order.permutation);
}

ValueId unpack_weight(Builder& b, ValueId packed, const PackedOrder& order) {
  Dims dims = in_panels(order);
  ValueId x = b.reshape(b.transpose(packed, inverse(order.permutation)), dims);
  if (dims != order.joined)
    x = b.op(Opcode::slice, {x},
             {{"begin", std::vector<int64_t>(dims.size())},
              {"end", order.joined},
              {"step", std::vector<int64_t>(dims.size(), 1)}});
  return b.reshape(x, order.weight);
}

std::optional<ValueId> packed_source(const Function& kernel, ValueId value,
                                     const PackedOrder& order) {
  Function wanted;
  Builder builder(wanted);
  ValueId packed = builder.parameter({kernel.type(value).dtype, order.packed()}, "");
  unpack_weight(builder, packed, order);
  std::vector<std::optional<OpId>> definitions = defining_ops(kernel);
  for (size_t i = wanted.ops.size(); i-- > 0;) {
    std::optional<OpId> id = definitions[value.index];
    if (!id)
      return std::nullopt;
    const Op& op = kernel.ops[id->index];
    if (op.code != wanted.ops[i].code || op.attrs != wanted.ops[i].attrs ||
        kernel.type(value) != wanted.type(wanted.ops[i].result()))
      return std::nullopt;
    value = op.operand(0);
  }
  bool is_packed = !definitions[value.index] && kernel.type(value) == wanted.type(packed);
  return is_packed ? std::optional(value) : std::nullopt;
}

}  // namespace gradc
