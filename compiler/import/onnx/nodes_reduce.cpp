// Folds along axes.
#include <numeric>

#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

// What is done to the elements before and to the sum after.
using Map = ValueId (*)(NodeContext& c, ValueId x);

ValueId same(NodeContext&, ValueId x) {
  return x;
}
ValueId absolute(NodeContext& c, ValueId x) {
  return c.b.op(Opcode::abs, {x});
}
ValueId square(NodeContext& c, ValueId x) {
  return c.b.mul(x, x);
}
ValueId logarithm(NodeContext& c, ValueId x) {
  return c.b.op(Opcode::log, {x});
}

// Of a node that folds nothing: a mean of one number is that number, its length the absolute value.
Map map_of_one(Opcode code) {
  return code == Opcode::reduce_l2 ? absolute : same;
}

// Which axes a node folds, none of them where it is told to fold nothing.
std::vector<int64_t> folded_axes(NodeContext& c, int64_t since) {
  bool keeps_without_axes = c.opset >= since && c.flag("noop_with_empty_axes");
  std::optional<std::vector<int64_t>> given = axes_of(c, 1, since);
  if (given && !given->empty())
    return normalized_axes(*given, c.rank(0));
  if (keeps_without_axes)
    return {};
  std::vector<int64_t> all(static_cast<size_t>(c.rank(0)));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

// after(fold(before(x))), computed in `dtype`
void reduce(NodeContext& c, Opcode code, int64_t since, DType dtype, Map before, Map after) {
  bool keeps = c.flag("keepdims", true);
  std::vector<int64_t> axes = folded_axes(c, since);
  ValueId x = before(c, cast(c, c.tensor(0), dtype));
  ValueId y = axes.empty() ? map_of_one(code)(c, x) : c.b.op(code, {x}, {{"axes", axes}});
  y = cast(c, after(c, y), c.dtype(0));
  c.result(keeps ? with_kept_axes(c, y, axes, c.dims(0)) : y);
}

// Axes are an input from opset `since` on.
template <Opcode code, int since, Map before = same, Map after = same>
void reduce_node(NodeContext& c) {
  // Of bool, which is ordered as 0 and 1 are.
  DType dtype = c.dtype(0) == DType::boolean ? DType::u8 : c.dtype(0);
  reduce(c, code, since, dtype, before, after);
}

// Of whole numbers, the result that f64 gives, cut to a whole number.
template <Opcode code, Map after = same>
void real_reduce_node(NodeContext& c) {
  reduce(c, code, 18, is_float(c.dtype(0)) ? c.dtype(0) : DType::f64, same, after);
}

template <Opcode code>
void position_node(NodeContext& c) {
  int64_t axis = normalized_axis(c.attribute("axis", 0), c.rank(0));
  bool keeps = c.flag("keepdims", true);
  Attrs attrs{{"axis", axis}};
  if (c.flag("select_last_index"))
    attrs.set("last", true);
  ValueId found = cast(c, c.b.op(code, {c.tensor(0)}, attrs), DType::i64);
  c.result(keeps ? with_kept_axes(c, found, {axis}, c.dims(0)) : found);
}

constexpr NodeRule kRules[] = {
    {"ArgMax", 1, position_node<Opcode::arg_max>},
    {"ArgMin", 1, position_node<Opcode::arg_min>},
    {"ReduceL1", 1, reduce_node<Opcode::reduce_sum, 18, absolute>},
    {"ReduceL2", 1, real_reduce_node<Opcode::reduce_l2>},
    {"ReduceLogSum", 1, real_reduce_node<Opcode::reduce_sum, logarithm>},
    {"ReduceLogSumExp", 1, real_reduce_node<Opcode::reduce_log_sum_exp>},
    {"ReduceMax", 1, reduce_node<Opcode::reduce_max, 18>},
    {"ReduceMean", 1, real_reduce_node<Opcode::reduce_mean>},
    {"ReduceMin", 1, reduce_node<Opcode::reduce_min, 18>},
    {"ReduceProd", 1, reduce_node<Opcode::reduce_prod, 18>},
    {"ReduceSum", 1, reduce_node<Opcode::reduce_sum, 13>},
    {"ReduceSumSquare", 1, reduce_node<Opcode::reduce_sum, 18, square>},
};

}  // namespace

std::span<const NodeRule> reduce_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
