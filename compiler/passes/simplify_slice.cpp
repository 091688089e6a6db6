// Rules on parts of tensors and their composition. Unrolled loops and their gradients are full of
// them: without the last rule, a sequence of n slices would have a gradient of n padded sums.
#include <utility>

#include "compiler/passes/simplify_rules.h"

namespace gradc {
namespace {

using Axes = std::vector<int64_t>;

std::optional<ValueId> same_type(Site& s) {
  return s.type(s.x()) == s.result_type() ? std::optional(s.x()) : std::nullopt;
}

std::optional<ValueId> slice_of_slice(Site& s) {
  const Op* inner = s.producer(s.x(), Opcode::slice);
  if (!inner)
    return std::nullopt;
  Axes begin = s.attrs().integers("begin"), end = s.attrs().integers("end");
  Axes step = s.attrs().integers("step");
  for (size_t i = 0; i < begin.size(); ++i) {
    int64_t inner_begin = inner->attrs.integers("begin")[i];
    int64_t inner_step = inner->attrs.integers("step")[i];
    int64_t last = begin[i] + (s.result_type().dims[i] - 1) * step[i];
    begin[i] = inner_begin + begin[i] * inner_step;
    end[i] = inner_begin + last * inner_step + 1;
    step[i] *= inner_step;
  }
  ValueId x = inner->operand(0);
  return s.emit(Opcode::slice, {x}, {{"begin", begin}, {"end", end}, {"step", step}});
}

// The smaller tensor is transposed, or none if a product absorbs it: heads of attention are slices
// of one transposed projection.
std::optional<ValueId> slice_of_transpose(Site& s) {
  const Op* inner = s.producer(s.x(), Opcode::transpose);
  if (!inner)
    return std::nullopt;
  const Axes permutation = inner->attrs.integers("permutation");
  Attrs attrs;
  for (std::string_view key : {"begin", "end", "step"}) {
    Axes of_result = s.attrs().integers(key), of_x(of_result.size());
    for (size_t i = 0; i < of_result.size(); ++i)
      of_x[static_cast<size_t>(permutation[i])] = of_result[i];
    attrs.set(key, of_x);
  }
  ValueId x = inner->operand(0);
  return s.transpose(s.emit(Opcode::slice, {x}, attrs), permutation);
}

// When the slice lies in one of the pieces.
std::optional<ValueId> slice_of_concat(Site& s) {
  const Op* concat = s.producer(s.x(), Opcode::concat);
  if (!concat)
    return std::nullopt;
  auto axis = static_cast<size_t>(concat->attrs.integer("axis"));
  Axes begin = s.attrs().integers("begin"), end = s.attrs().integers("end");
  for (ValueId piece : concat->operands) {
    int64_t size = s.type(piece).dims[axis];
    if (begin[axis] < size) {
      if (end[axis] > size)
        return std::nullopt;
      return s.emit(Opcode::slice, {piece},
                    {{"begin", begin}, {"end", end}, {"step", s.attrs().integers("step")}});
    }
    begin[axis] -= size;
    end[axis] -= size;
  }
  return std::nullopt;
}

// Pieces that are a concatenation along the same axis, and nothing else reads, give their pieces.
std::optional<ValueId> concat_of_concat(Site& s) {
  std::vector<ValueId> pieces;
  for (ValueId operand : s.op().operands) {
    const Op* inner = s.producer(operand, Opcode::concat);
    if (inner && s.only_use(operand) && inner->attrs == s.attrs())
      pieces.insert(pieces.end(), inner->operands.begin(), inner->operands.end());
    else
      pieces.push_back(operand);
  }
  if (pieces == s.op().operands)
    return std::nullopt;
  return s.emit(Opcode::concat, pieces, s.attrs());
}

// Adjacent slices of one tensor, in order, are one slice of it.
std::optional<ValueId> concat_of_slices(Site& s) {
  const Op* first = s.producer(s.x(), Opcode::slice);
  if (!first || s.op().operands.size() < 2)
    return std::nullopt;
  auto axis = static_cast<size_t>(s.attrs().integer("axis"));
  ValueId x = first->operand(0);
  Axes begin = first->attrs.integers("begin"), end = first->attrs.integers("end");
  Axes step = first->attrs.integers("step");
  if (!all_are(step, 1))
    return std::nullopt;
  for (size_t i = 1; i < s.op().operands.size(); ++i) {
    const Op* next = s.producer(s.x(i), Opcode::slice);
    if (!next || next->operand(0) != x || next->attrs.integers("step") != step)
      return std::nullopt;
    Axes next_begin = begin;
    next_begin[axis] = end[axis];
    end[axis] = next->attrs.integers("end")[axis];
    if (next->attrs.integers("begin") != next_begin || next->attrs.integers("end") != end)
      return std::nullopt;
  }
  return s.emit(Opcode::slice, {x}, {{"begin", begin}, {"end", end}, {"step", step}});
}

// A tensor padded with zeros along one axis: where it begins on it, and what surrounds it.
struct Part {
  ValueId x;
  size_t axis = 0;
  int64_t begin = 0, end = 0;
};

std::optional<Part> part_of(Site& s, ValueId value) {
  const Op* pad = s.producer(value, Opcode::pad);
  if (!pad || pad->attrs.real("value") != 0 || !s.only_use(value))
    return std::nullopt;
  if (pad->attrs.has("interior") && !all_are(pad->attrs.integers("interior"), 0))
    return std::nullopt;
  const Axes &low = pad->attrs.integers("low"), &high = pad->attrs.integers("high");
  std::optional<Part> part;
  for (size_t axis = 0; axis < low.size(); ++axis) {
    if (low[axis] == 0 && high[axis] == 0)
      continue;
    if (part)
      return std::nullopt;
    part = Part{pad->operand(0), axis, low[axis], s.type(value).dims[axis] - high[axis]};
  }
  return part;
}

// The sum of zero-padded tensors that lie next to each other.
std::optional<ValueId> add_adjacent_parts(Site& s) {
  std::optional<Part> a = part_of(s, s.x(0)), b = part_of(s, s.x(1));
  if (!a || !b || a->axis != b->axis)
    return std::nullopt;
  if (b->end == a->begin)
    std::swap(a, b);
  if (a->end != b->begin)
    return std::nullopt;
  const Dims dims = s.result_type().dims;
  ValueId both = s.emit(Opcode::concat, {a->x, b->x}, {{"axis", static_cast<int64_t>(a->axis)}});
  Axes low(dims.size()), high(dims.size());
  low[a->axis] = a->begin;
  high[a->axis] = dims[a->axis] - b->end;
  return s.emit(Opcode::pad, {both}, {{"low", low}, {"high", high}, {"value", 0.0}});
}

constexpr SimplifyRule kRules[] = {
    {Opcode::slice, "slice(x) = x, of all of it", same_type},
    {Opcode::slice, "slice(slice(x)) = slice(x)", slice_of_slice},
    {Opcode::slice, "slice(transpose(x)) = transpose(slice(x))", slice_of_transpose},
    {Opcode::slice, "slice(concat(x, y)) = slice(x), where it lies in x", slice_of_concat},
    {Opcode::pad, "pad(x) = x, by nothing", same_type},
    {Opcode::concat, "concat(x) = x", same_type},
    {Opcode::concat, "concat(concat(x, y), z) = concat(x, y, z)", concat_of_concat},
    {Opcode::concat, "concat(slice(x), slice(x)) = slice(x), when they are adjacent",
     concat_of_slices},
    {Opcode::reverse, "reverse(x) = x, along axes of size 1",
     [](Site& s) -> std::optional<ValueId> {
       for (int64_t axis : s.attrs().integers("axes"))
         if (s.result_type().dims[static_cast<size_t>(axis)] != 1)
           return std::nullopt;
       return s.x();
     }},
    {Opcode::add, "pad(x) + pad(y) = pad(concat(x, y)), zeros around adjacent parts",
     add_adjacent_parts},
};

}  // namespace

std::span<const SimplifyRule> slice_rules() {
  return kRules;
}

}  // namespace gradc
