// Elements in order.
#include <algorithm>
#include <numeric>

#include "ir/ops/rules.h"

namespace gradc::ops {
namespace {

Types infer_top_k(std::span<const Type> x, const Attrs& a) {
  same_number(x, a);
  auto axis = static_cast<size_t>(axis_of(a, x[0].rank()));
  int64_t k = a.integer("k"), size = x[0].dims[axis];
  if (k < 1 || k > size)
    fail("`k` must lie in [1, {}], the size of axis {} of {}, got {}", size, axis, to_string(x[0]),
         k);
  Type values = x[0];
  values.dims[axis] = k;
  return {values, {DType::i64, values.dims}};
}

std::vector<Tensor> eval_top_k(std::span<const Tensor> x, const Op& op,
                               std::span<const Type> types) {
  auto axis = static_cast<size_t>(op.attrs.integer("axis"));
  bool largest = op.attrs.flag("largest");
  Dims lines = types[0].dims;
  lines[axis] = 1;
  Tensor values{types[0], std::vector<double>(static_cast<size_t>(types[0].elements()))};
  Tensor indices{types[1], values.data};
  for (int64_t line = 0; line < element_count(lines); ++line) {
    Dims at = unravel(line, lines);
    auto value = [&](int64_t i) {
      at[axis] = i;
      return element(x[0], at);
    };
    std::vector<int64_t> order(static_cast<size_t>(x[0].type.dims[axis]));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
      double a = value(i), b = value(j);
      if (std::isnan(a) || std::isnan(b))
        return std::isnan(a) && !std::isnan(b);
      return largest ? a > b : a < b;
    });
    for (int64_t i = 0; i < types[0].dims[axis]; ++i) {
      double chosen = value(order[static_cast<size_t>(i)]);
      at[axis] = i;
      auto to = static_cast<size_t>(ravel(at, types[0].dims));
      values.data[to] = chosen;
      indices.data[to] = static_cast<double>(order[static_cast<size_t>(i)]);
    }
  }
  return {values, indices};
}

}  // namespace

// dx = dy at the indices, 0 elsewhere
extern constexpr OpDef top_k = {
    .name = "top_k",
    .doc =
        "The `k` largest (or smallest, if not `largest`) elements along `axis`, in order, and "
        "their indices (i64). Of equal elements the first comes first; NaN comes before all.",
    .examples =
        "top_k(f32[3,5]) {axis=1, k=2, largest=true}\n"
        "top_k(f32[4,3]) {axis=0, k=4, largest=false}\n"
        "top_k(f32[2,40]) {axis=1, k=40, largest=true}\n"
        "top_k(i32[20]) {axis=0, k=7, largest=false}",
    .kernel = KernelClass::custom,
    .results = 2,
    .attrs = {{"axis", AttrKind::integer},
              {"k", AttrKind::integer},
              {"largest", AttrKind::boolean}},
    .infer = infer_top_k,
    .eval = eval_top_k,
    .flops = [](std::span<const Type> x, std::span<const Type>,
                const Attrs&) { return x[0].elements(); },
    .vjp =
        [](Vjp& g) {
          g.add(0,
                g.b.op(Opcode::scatter_elements, {g.b.constant(g.x_type(), 0.0), g.y(1), g.dy(0)},
                       {{"axis", g.attrs().integer("axis")}, {"reduction", "add"}}));
        },
};

}  // namespace gradc::ops
