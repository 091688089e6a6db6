// Local response normalisation (Krizhevsky et al. 2012, section 3.3).
#include <algorithm>

#include "ir/ops/composite.h"

namespace gradc::ops {
namespace {

Types infer_lrn(std::span<const Type> x, const Attrs& attrs) {
  check_floats(x);
  if (x[0].rank() < 2)
    fail("{} has no channel axis: expected [batch, channels, ...]", to_string(x[0]));
  if (attrs.integer("size") < 1)
    fail("`size` must be at least 1, got {}", attrs.integer("size"));
  return one(x[0]);
}

// The channels from `before` before to `after` behind a channel count for it.
struct Reach {
  int64_t before = 0, after = 0;
};

Reach reach_of(const Attrs& attrs) {
  int64_t size = attrs.integer("size");
  return {(size - 1) / 2, size / 2};
}

std::vector<Tensor> eval_lrn(std::span<const Tensor> x, const Op& op, std::span<const Type> types) {
  Reach reach = reach_of(op.attrs);
  return {tensor_of(types[0], [&](const Dims& at) {
    double sum = 0;
    Dims from = at;
    int64_t first = std::max<int64_t>(0, at[1] - reach.before);
    int64_t last = std::min(types[0].dims[1] - 1, at[1] + reach.after);
    for (from[1] = first; from[1] <= last; ++from[1])
      sum += element(x[0], from) * element(x[0], from);
    double mean = sum / static_cast<double>(op.attrs.integer("size"));
    double base = op.attrs.real("bias") + op.attrs.real("alpha") * mean;
    return element(x[0], at) / std::pow(base, op.attrs.real("beta"));
  })};
}

}  // namespace

extern constexpr OpDef lrn = {
    .name = "lrn",
    .doc =
        "x [batch, channels, ...] divided by (bias + alpha * m) to the power of beta, with m the "
        "sum of squares over `size` neighbouring channels, (size - 1) / 2 of them before, divided "
        "by `size`.",
    .examples =
        "lrn(f32[2,5,3]) {alpha=0.5, beta=0.75, bias=1.0, size=3}\n"
        "lrn(f32[1,4,2,2]) {alpha=1.0, beta=0.5, bias=2.0, size=4}",
    .kernel = KernelClass::composite,
    .attrs = {{"alpha", AttrKind::real},
              {"beta", AttrKind::real},
              {"bias", AttrKind::real},
              {"size", AttrKind::integer}},
    .infer = infer_lrn,
    .eval = eval_lrn,
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      ValueId x = op.operand(0);
      size_t axes = b.dims(x).size() - 1;  // the channels and those behind them
      std::vector<int64_t> window(axes, 1), low(axes), high(axes), stride(axes, 1);
      Reach reach = reach_of(op.attrs);
      window[0] = op.attrs.integer("size");
      low[0] = reach.before;
      high[0] = reach.after;
      ValueId sum = b.op(Opcode::window_sum, {b.mul(x, x)},
                         {{"high", high}, {"low", low}, {"stride", stride}, {"window", window}});
      double scale = op.attrs.real("alpha") / static_cast<double>(window[0]);
      ValueId base = b.shift(b.scale(sum, scale), op.attrs.real("bias"));
      ValueId exponent = b.constant_like(x, -op.attrs.real("beta"));
      return {b.mul(x, b.op(Opcode::pow, {base, exponent}))};
    },
};

}  // namespace gradc::ops
