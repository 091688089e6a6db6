// Rules that let `dot` read and write any order of axes, so that no product waits for a transposed
// copy.
#include <algorithm>

#include "compiler/passes/simplify_rules.h"

namespace gradc {
namespace {

using Axes = std::vector<int64_t>;

struct Side {
  Axes batch, sum;
};

Side side(const Op& dot, size_t i) {
  return {dot.attrs.integers(i == 0 ? "batch_a" : "batch_b"),
          dot.attrs.integers(i == 0 ? "sum_a" : "sum_b")};
}

Attrs dot_attrs(const Side& a, const Side& b) {
  return {{"batch_a", a.batch}, {"batch_b", b.batch}, {"sum_a", a.sum}, {"sum_b", b.sum}};
}

Axes pick(const Axes& from, const Axes& indices) {
  Axes picked;
  for (int64_t index : indices)
    picked.push_back(from[static_cast<size_t>(index)]);
  return picked;
}

Axes free_axes(const Side& operand, int64_t rank) {
  Axes used = operand.batch;
  used.insert(used.end(), operand.sum.begin(), operand.sum.end());
  return other_axes(used, rank);
}

// Axis i of the operand is axis permutation[i] of what was transposed. The result's axes come in
// the order of the operand's free axes, so these must keep theirs.
std::optional<ValueId> transposed_operand(Site& s) {
  for (size_t i : {0, 1}) {
    const Op* transpose = s.producer(s.x(i), Opcode::transpose);
    if (!transpose)
      continue;
    const Axes& permutation = transpose->attrs.integers("permutation");
    Side own = side(s.op(), i), other = side(s.op(), 1 - i);
    Axes free = pick(permutation, free_axes(own, s.type(s.x(i)).rank()));
    if (!std::is_sorted(free.begin(), free.end()))
      continue;
    own = {pick(permutation, own.batch), pick(permutation, own.sum)};
    std::vector<ValueId> operands = s.op().operands;
    operands[i] = transpose->operand(0);
    return s.emit(Opcode::dot, operands, i == 0 ? dot_attrs(own, other) : dot_attrs(other, own));
  }
  return std::nullopt;
}

Axes range(int64_t begin, size_t count) {
  Axes axes;
  for (size_t i = 0; i < count; ++i)
    axes.push_back(begin + static_cast<int64_t>(i));
  return axes;
}

Axes joined(const Axes& first, const Axes& second) {
  Axes all = first;
  all.insert(all.end(), second.begin(), second.end());
  return all;
}

// The result's axes are batch, free of a, free of b. The batch axes may be named in any order, and
// exchanging the operands exchanges the other two groups.
std::optional<ValueId> transposed_result(Site& s) {
  const Op* found = s.producer(s.x(), Opcode::dot);
  if (!found || !s.only_use(s.x()))
    return std::nullopt;
  const Op dot = *found;
  Side a = side(dot, 0), b = side(dot, 1);
  size_t batch = a.batch.size();
  size_t free_a = free_axes(a, s.type(dot.operand(0)).rank()).size();
  size_t free_b = free_axes(b, s.type(dot.operand(1)).rank()).size();
  const Axes& permutation = s.attrs().integers("permutation");
  auto batch_end = permutation.begin() + static_cast<std::ptrdiff_t>(batch);
  Axes order(permutation.begin(), batch_end), rest(batch_end, permutation.end());
  if (std::any_of(order.begin(), order.end(),
                  [&](int64_t axis) { return axis >= static_cast<int64_t>(batch); }))
    return std::nullopt;
  a.batch = pick(a.batch, order);
  b.batch = pick(b.batch, order);
  auto begin_a = static_cast<int64_t>(batch), begin_b = static_cast<int64_t>(batch + free_a);
  if (rest == joined(range(begin_a, free_a), range(begin_b, free_b)))
    return s.emit(Opcode::dot, dot.operands, dot_attrs(a, b));
  if (rest == joined(range(begin_b, free_b), range(begin_a, free_a)))
    return s.emit(Opcode::dot, {dot.operand(1), dot.operand(0)}, dot_attrs(b, a));
  return std::nullopt;
}

// Each pixel of the image meets one tap of the one pixel that there is: the first layer of a
// generator. The conv that it is the gradient of is a product of neighbouring axes as it is.
std::optional<ValueId> gradient_of_one_pixel(Site& s) {
  const Attrs& attrs = s.attrs();
  Dims x = s.type(s.x()).dims, w = s.type(s.x(1)).dims, pixel(x.begin() + 2, x.end());
  bool is_whole = all_are(pixel, 1) && all_are(attrs.integers("low"), 0) &&
                  all_are(attrs.integers("dilation"), 1) &&
                  attrs.integers("size") == Dims(w.begin() + 2, w.end());
  if (!is_whole || attrs.flag("channels_last") || attrs.integer("groups") != 1)
    return std::nullopt;
  return s.emit(Opcode::dot, {s.reshape(s.x(), {x[0], x[1]}), s.x(1)},
                dot_attrs({{}, {1}}, {{}, {0}}));
}

constexpr SimplifyRule kRules[] = {
    {Opcode::conv_data_gradient, "conv_data_gradient(x, w) = dot(x, w), of one pixel",
     gradient_of_one_pixel},
    {Opcode::dot, "dot(transpose(x), y) = dot(x, y), its axes renamed", transposed_operand},
    {Opcode::transpose, "transpose(dot(x, y)) = dot(y, x) or dot(x, y), its axes renamed",
     transposed_result},
};

}  // namespace

std::span<const SimplifyRule> dot_rules() {
  return kRules;
}

}  // namespace gradc
