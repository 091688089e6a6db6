// Rules on ops that change shapes, move axes or repeat elements.
#include <algorithm>

#include "compiler/passes/axis_order.h"
#include "compiler/passes/simplify_rules.h"

namespace gradc {
namespace {

bool all_size_one(const Dims& dims, const std::vector<int64_t>& axes) {
  return std::all_of(axes.begin(), axes.end(),
                     [&](int64_t axis) { return dims[static_cast<size_t>(axis)] == 1; });
}

std::optional<ValueId> reshape_to_same(Site& s) {
  return s.type(s.x()) == s.result_type() ? std::optional(s.x()) : std::nullopt;
}

std::optional<ValueId> reshape_of_reshape(Site& s) {
  const Op* inner = s.producer(s.x(), Opcode::reshape);
  if (!inner)
    return std::nullopt;
  ValueId x = inner->operand(0);
  return s.reshape(x, s.result_type().dims);
}

// A transpose is a reshape when the axes longer than 1 keep their order.
std::optional<ValueId> transpose_of_ones(Site& s) {
  Dims dims = s.type(s.x()).dims;
  int64_t previous = -1;
  for (int64_t axis : s.attrs().integers("permutation")) {
    if (dims[static_cast<size_t>(axis)] == 1)
      continue;
    if (axis < previous)
      return std::nullopt;
    previous = axis;
  }
  return s.reshape(s.x(), s.result_type().dims);
}

std::optional<ValueId> transpose_of_transpose(Site& s) {
  const Op* inner = s.producer(s.x(), Opcode::transpose);
  if (!inner)
    return std::nullopt;
  std::vector<int64_t> order;
  for (int64_t axis : s.attrs().integers("permutation"))
    order.push_back(inner->attrs.integers("permutation")[static_cast<size_t>(axis)]);
  ValueId x = inner->operand(0);
  return s.transpose(x, order);
}

// The steps of `to` in what `from` walks with `steps`; nothing where an axis would have no one
// step. Axes of size 1 have any.
std::optional<Dims> steps_of(const Dims& from, const Dims& steps, const Dims& to) {
  if (element_count(from) == 0)
    return std::nullopt;
  Dims result(to.size(), 0);
  size_t axis = from.size(), at = to.size();
  while (axis > 0) {
    --axis;
    int64_t step = steps[axis], whole = from[axis];
    while (axis > 0 && (from[axis - 1] == 1 || whole == 1 || steps[axis - 1] == step * whole)) {
      --axis;
      step = whole == 1 ? steps[axis] : step;
      whole *= from[axis];
    }
    int64_t inside = 1;
    while (at > 0 && whole % (inside * to[at - 1]) == 0 && (inside < whole || to[at - 1] == 1)) {
      result[--at] = step * inside;
      inside *= to[at];
    }
    if (inside != whole)
      return std::nullopt;
  }
  return result;
}

// Images that become lists of their pixels, and those images again: the axes are back in order.
std::optional<ValueId> transpose_back(Site& s) {
  const Op* merge = s.producer(s.x(), Opcode::reshape);
  const Op* moved = merge ? s.producer(merge->operand(0), Opcode::transpose) : nullptr;
  if (!moved)
    return std::nullopt;
  ValueId x = moved->operand(0);
  Dims steps = reordered(row_major_strides(s.type(x).dims), moved->attrs.integers("permutation"));
  std::optional<Dims> merged = steps_of(s.type(merge->operand(0)).dims, steps, s.type(s.x()).dims);
  if (!merged)
    return std::nullopt;
  Dims dims = s.result_type().dims, found = reordered(*merged, s.attrs().integers("permutation"));
  Dims wanted = row_major_strides(dims);
  for (size_t axis = 0; axis < dims.size(); ++axis)
    if (dims[axis] != 1 && found[axis] != wanted[axis])
      return std::nullopt;
  return s.reshape(x, dims);
}

// Axis j of x lies at result axis `at` where permutation[at] = axes[j]; the operand is transposed
// so that these rise.
std::optional<ValueId> transpose_of_broadcast(Site& s) {
  const Op* inner = s.producer(s.x(), Opcode::broadcast);
  if (!inner)
    return std::nullopt;
  const auto& permutation = s.attrs().integers("permutation");
  const auto& axes = inner->attrs.integers("axes");
  std::vector<int64_t> order, places;
  for (size_t at = 0; at < permutation.size(); ++at) {
    auto axis = std::find(axes.begin(), axes.end(), permutation[at]);
    if (axis == axes.end())
      continue;
    order.push_back(axis - axes.begin());
    places.push_back(static_cast<int64_t>(at));
  }
  ValueId x = s.transpose(inner->operand(0), order);
  return s.emit(Opcode::broadcast, {x}, {{"axes", places}, {"shape", s.result_type().dims}});
}

// Where the axes of `split` begin that each axis of `merged` is made of, and the end; nothing where
// an axis is not the product of some that follow one another.
std::optional<std::vector<size_t>> parts_of(const Dims& merged, const Dims& split) {
  std::vector<size_t> begins;
  size_t at = 0;
  for (int64_t size : merged) {
    begins.push_back(at);
    int64_t product = 1;
    while (product < size && at < split.size())
      product *= split[at++];
    if (product != size)
      return std::nullopt;
  }
  if (std::any_of(split.begin() + static_cast<std::ptrdiff_t>(at), split.end(),
                  [](int64_t size) { return size != 1; }))
    return std::nullopt;
  begins.push_back(split.size());
  return begins;
}

// The axes that those in `order` are made of.
std::vector<int64_t> parts_in_order(const std::vector<int64_t>& order,
                                    const std::vector<size_t>& begins) {
  std::vector<int64_t> parts;
  for (int64_t axis : order)
    for (size_t part = begins[static_cast<size_t>(axis)];
         part < begins[static_cast<size_t>(axis) + 1]; ++part)
      parts.push_back(static_cast<int64_t>(part));
  return parts;
}

// Enlarged images: the transpose moves to what is repeated, of which there is less.
std::optional<ValueId> transpose_of_repeated(Site& s) {
  const Op* merge = s.producer(s.x(), Opcode::reshape);
  if (!merge || !s.producer(merge->operand(0), Opcode::broadcast))
    return std::nullopt;
  ValueId repeated = merge->operand(0);
  auto begins = parts_of(s.type(s.x()).dims, s.type(repeated).dims);
  if (!begins)
    return std::nullopt;
  ValueId x = s.transpose(repeated, parts_in_order(s.attrs().integers("permutation"), *begins));
  return s.reshape(x, s.result_type().dims);
}

// Their gradient: what is summed is not moved before. The order of the terms stays.
std::optional<ValueId> reduce_of_transposed(Site& s) {
  const Op* split = s.producer(s.x(), Opcode::reshape);
  const Op* moved = split ? s.producer(split->operand(0), Opcode::transpose) : nullptr;
  if (!moved)
    return std::nullopt;
  const Dims dims = s.type(s.x()).dims;
  auto begins = parts_of(s.type(split->operand(0)).dims, dims);
  if (!begins)
    return std::nullopt;
  const std::vector<int64_t> permutation = moved->attrs.integers("permutation");
  std::vector<int64_t> order(permutation.size());  // of what is moved, as it was
  for (size_t at = 0; at < permutation.size(); ++at)
    order[static_cast<size_t>(permutation[at])] = static_cast<int64_t>(at);
  const std::vector<int64_t> parts = parts_in_order(order, *begins);
  const std::vector<int64_t>& reduced = s.attrs().integers("axes");
  std::vector<int64_t> axes, terms, kept;
  for (size_t at = 0; at < parts.size(); ++at)
    if (std::ranges::find(reduced, parts[at]) == reduced.end()) {
      kept.push_back(parts[at]);
    } else {
      axes.push_back(static_cast<int64_t>(at));
      terms.push_back(parts[at]);
    }
  if (!std::ranges::is_sorted(terms))
    return std::nullopt;
  std::vector<int64_t> back, rising = kept;
  std::ranges::sort(rising);
  for (int64_t axis : rising)
    back.push_back(std::ranges::find(kept, axis) - kept.begin());
  ValueId x = s.reshape(moved->operand(0), reordered(dims, parts));
  return s.transpose(s.emit(s.op().code, {x}, {{"axes", axes}}), back);
}

// The transpose moves fewer elements, and is the same for each pad of x.
std::optional<ValueId> transpose_of_pad(Site& s) {
  const std::vector<int64_t>& permutation = s.attrs().integers("permutation");
  std::optional<Attrs> part;
  const Op* pad = s.producer(s.x(), Opcode::pad);
  if (const Op* slice = s.producer(s.x(), Opcode::slice)) {
    part = reordered(slice->attrs, permutation);
    pad = s.producer(slice->operand(0), Opcode::pad);
  }
  if (!pad)
    return std::nullopt;
  Attrs padding = reordered(pad->attrs, permutation);
  ValueId x = pad->operand(0);
  ValueId padded = s.emit(Opcode::pad, {s.transpose(x, permutation)}, padding);
  return part ? s.emit(Opcode::slice, {padded}, *part) : padded;
}

// Fewer elements for relu, and none for the backward pass to hold of what is before the windows.
std::optional<ValueId> windows_of_relu(Site& s) {
  const Op* inner = s.producer(s.x(), Opcode::relu);
  if (!inner || !s.only_use(s.x()))
    return std::nullopt;
  ValueId x = inner->operand(0);
  return s.emit(Opcode::relu, {s.emit(Opcode::window_max, {x}, s.attrs())}, {});
}

std::optional<ValueId> broadcast_to_same(Site& s) {
  return s.type(s.x()) == s.result_type() ? std::optional(s.x()) : std::nullopt;
}

std::optional<ValueId> broadcast_along_ones(Site& s) {
  if (s.type(s.x()).elements() != s.result_type().elements())
    return std::nullopt;
  return s.reshape(s.x(), s.result_type().dims);
}

std::optional<ValueId> broadcast_of_broadcast(Site& s) {
  const Op* inner = s.producer(s.x(), Opcode::broadcast);
  if (!inner)
    return std::nullopt;
  std::vector<int64_t> axes;
  for (int64_t axis : inner->attrs.integers("axes"))
    axes.push_back(s.attrs().integers("axes")[static_cast<size_t>(axis)]);
  ValueId x = inner->operand(0);
  return s.emit(Opcode::broadcast, {x}, {{"axes", axes}, {"shape", s.result_type().dims}});
}

std::optional<ValueId> reduce_size_one(Site& s) {
  if (!all_size_one(s.type(s.x()).dims, s.attrs().integers("axes")))
    return std::nullopt;
  return s.reshape(s.x(), s.result_type().dims);
}

constexpr SimplifyRule kRules[] = {
    {Opcode::reshape, "reshape(x) = x, to its own shape", reshape_to_same},
    {Opcode::reshape, "reshape(reshape(x)) = reshape(x)", reshape_of_reshape},
    {Opcode::transpose, "transpose(x) = reshape(x), when only axes of size 1 move",
     transpose_of_ones},
    {Opcode::transpose, "transpose(transpose(x)) = transpose(x)", transpose_of_transpose},
    {Opcode::transpose,
     "transpose(reshape(transpose(x))) = reshape(x), where the axes are in order again",
     transpose_back},
    {Opcode::transpose, "transpose(broadcast(x)) = broadcast(transpose(x))",
     transpose_of_broadcast},
    {Opcode::transpose,
     "transpose(reshape(broadcast(x))) = reshape(broadcast(transpose(x))), where "
     "whole axes are merged",
     transpose_of_repeated},
    {Opcode::transpose, "transpose(pad(x)) = pad(transpose(x)), or of a slice of pad(x)",
     transpose_of_pad},
    {Opcode::broadcast, "broadcast(x) = x, to its own shape", broadcast_to_same},
    {Opcode::broadcast, "broadcast(x) = reshape(x), along axes of size 1", broadcast_along_ones},
    {Opcode::broadcast, "broadcast(broadcast(x)) = broadcast(x)", broadcast_of_broadcast},
    {Opcode::reduce_max, "reduce_max(x) = reshape(x), over axes of size 1", reduce_size_one},
    {Opcode::reduce_min, "reduce_min(x) = reshape(x), over axes of size 1", reduce_size_one},
    {Opcode::reduce_sum, "reduce_sum(x) = reshape(x), over axes of size 1", reduce_size_one},
    {Opcode::reduce_sum,
     "reduce_sum(reshape(transpose(x))) = transpose(reduce_sum(reshape(x))), where "
     "axes are split and terms stay in order",
     reduce_of_transposed},
    {Opcode::window_max, "window_max(relu(x)) = relu(window_max(x)), if nothing else reads relu(x)",
     windows_of_relu},
};

}  // namespace

std::span<const SimplifyRule> shape_rules() {
  return kRules;
}

}  // namespace gradc
