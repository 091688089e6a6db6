#include "compiler/passes/layout_rules.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "compiler/lower/lower_contract.h"
#include "compiler/passes/access.h"
#include "compiler/passes/axis_order.h"
#include "ir/op_def.h"

namespace gradc {
namespace {

// Vectors with fewer elements waste more than transposes cost.
constexpr int64_t kFewestChannels = 8;

// Where old axis `axis` is now.
int64_t place_of(int64_t axis, const std::vector<int64_t>& order) {
  return std::find(order.begin(), order.end(), axis) - order.begin();
}

// What a rule gets: the order of the axes of all operands and of the result.
using Rule = std::optional<Attrs> (*)(const Attrs&, const std::vector<int64_t>& order);

// One entry per axis.
std::optional<Attrs> lists_by_axis(const Attrs& attrs, const std::vector<int64_t>& order) {
  return reordered(attrs, order);
}

std::optional<Attrs> named_axis(const Attrs& attrs, const std::vector<int64_t>& order) {
  Attrs moved = attrs;
  moved.set("axis", place_of(attrs.integer("axis"), order));
  return moved;
}

std::optional<Attrs> named_axes(const Attrs& attrs, const std::vector<int64_t>& order) {
  std::vector<int64_t> axes;
  for (int64_t axis : attrs.integers("axes"))
    axes.push_back(place_of(axis, order));
  std::sort(axes.begin(), axes.end());
  Attrs moved = attrs;
  moved.set("axes", axes);
  return moved;
}

// Whether a fold keeps batch and channels, axes 0 and 1 of its result too.
bool keeps_image(const std::vector<int64_t>& folded) {
  return !contains(folded, int64_t{0}) && !contains(folded, int64_t{1});
}

// What is kept must be in channels-last order again, or in the order that it had.
std::optional<Attrs> folded_axes(const Attrs& attrs, const std::vector<int64_t>& order) {
  const std::vector<int64_t>& folded = attrs.integers("axes");
  std::vector<int64_t> kept;
  for (int64_t axis : order)
    if (!contains(folded, axis))
      kept.push_back(axis);
  if (!std::ranges::is_sorted(kept) && !keeps_image(folded))
    return std::nullopt;
  return named_axes(attrs, order);
}

// One entry per last axis; the axes before them are windows of one element.
std::optional<Attrs> windows(const Attrs& attrs, const std::vector<int64_t>& order) {
  size_t listed = attrs.integers("window").size();
  Attrs moved = attrs;
  for (std::string_view key : {"base_dilation", "dilation", "high", "low", "stride", "window"}) {
    if (!attrs.has(key))
      continue;
    std::vector<int64_t> list(order.size() - listed, key == "high" || key == "low" ? 0 : 1);
    const std::vector<int64_t>& given = attrs.integers(key);
    list.insert(list.end(), given.begin(), given.end());
    list = reordered(list, order);
    list.erase(list.begin());
    moved.set(key, list);
  }
  bool over_batch = listed == order.size();
  return over_batch ? std::nullopt : std::optional(moved);
}

struct RuleOf {
  Opcode code;
  Rule rule;
};

constexpr RuleOf kRules[] = {
    {Opcode::concat, named_axis},         {Opcode::gather, named_axis},
    {Opcode::pad, lists_by_axis},         {Opcode::reverse, named_axes},
    {Opcode::slice, lists_by_axis},       {Opcode::window_max, windows},
    {Opcode::window_max_gather, windows}, {Opcode::window_max_scatter, windows},
    {Opcode::window_sum, windows},
};

struct ImageOpOf {
  Opcode code;
  ImageOp op;
};

constexpr ImageOpOf kImageOps[] = {
    {Opcode::conv, {1, true}},
    {Opcode::conv_data_gradient, {1, true}},
    {Opcode::conv_weight_gradient, {2, false}},
};

// Each element of the result is made of the elements at its place, wherever that is.
bool is_elementwise(const Function& function, const Op& op) {
  if (def(op).kernel != KernelClass::map || op.operands.empty())
    return false;
  const Dims& dims = function.type(op.result()).dims;
  for (ValueId operand : op.operands)
    if (function.type(operand).dims != dims)
      return false;
  for (const auto& [key, value] : op.attrs)
    if (std::holds_alternative<std::vector<int64_t>>(value) || key == "axis")
      return false;
  std::vector<AxisMap> accesses = operand_accesses(function, op);
  return std::all_of(accesses.begin(), accesses.end(), [&](const AxisMap& map) {
    return map == identity_map(static_cast<int64_t>(dims.size()));
  });
}

}  // namespace

std::vector<int64_t> channels_last_order(int64_t rank) {
  std::vector<int64_t> order = {0};
  for (int64_t axis = 2; axis < rank; ++axis)
    order.push_back(axis);
  order.push_back(1);
  return order;
}

std::vector<int64_t> channels_first_order(int64_t rank) {
  std::vector<int64_t> order = {0, rank - 1};
  for (int64_t axis = 1; axis + 1 < rank; ++axis)
    order.push_back(axis);
  return order;
}

std::optional<Attrs> channels_last_attrs(const Function& function, const Op& op) {
  if (op.results.size() != 1 || op.operands.empty())
    return std::nullopt;
  int64_t rank = function.type(op.operand(0)).rank();
  for (size_t i = 0; i < op.operands.size(); ++i)
    if (function.type(op.operand(i)).rank() != (i < images_of(op) ? rank : 1))
      return std::nullopt;
  std::vector<int64_t> order = channels_last_order(rank);
  if (def(op).kernel == KernelClass::reduce)
    return folded_axes(op.attrs, order);
  for (const RuleOf& entry : kRules)
    if (entry.code == op.code)
      return entry.rule(op.attrs, order);
  return is_elementwise(function, op) ? std::optional(op.attrs) : std::nullopt;
}

size_t images_of(const Op& op) {
  return op.code == Opcode::gather ? 1 : op.operands.size();
}

bool gives_image(const Op& op) {
  return def(op).kernel != KernelClass::reduce || keeps_image(op.attrs.integers("axes"));
}

std::optional<ImageOp> image_op(const Op& op) {
  for (const ImageOpOf& entry : kImageOps)
    if (entry.code == op.code)
      return entry.op;
  return std::nullopt;
}

// Vectors run along what the result has of a group's weight [outputs, inputs, ...], or along the
// groups, where each is one channel.
bool wants_channels_last(const Function& function, const Op& op) {
  int64_t groups = op.attrs.integer("groups");
  const Dims& weight =
      function.type(image_op(op)->result_is_image ? op.operand(1) : op.result()).dims;
  int64_t outputs = weight[0] / groups, inputs = weight[1];
  if (outputs == 1 && inputs == 1 && element_count(weight) <= groups * kMostDepthwiseTaps)
    return groups >= kFewestChannels;
  if (op.code == Opcode::conv_weight_gradient)
    return std::max(outputs, inputs) >= kFewestChannels;
  return (op.code == Opcode::conv ? outputs : inputs) >= kFewestChannels;
}

}  // namespace gradc
