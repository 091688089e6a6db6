// Attention: each query's average of the values, weighted by softmax of its products with the keys.
#include <limits>

#include "ir/ops/attention.h"
#include "ir/ops/composite.h"

namespace gradc::ops {
namespace {

Types infer_attention(std::span<const Type> x, const Attrs& attrs) {
  const Type* mask = attention_mask(x, 3);
  check_attention(x[0], x[1], x[2], mask, attrs);
  Type y = x[0];
  y.dims.back() = x[2].dims.back();
  return one(y);
}

std::vector<Tensor> eval_attention(std::span<const Tensor> x, const Op& op,
                                   std::span<const Type> types) {
  AttentionTensors a(x, x.size() > 3 ? &x[3] : nullptr, op.attrs);
  Tensor y{types[0], {}};
  for (int64_t head = 0; head < a.shape().heads; ++head)
    for (int64_t query = 0; query < a.shape().queries; ++query) {
      AttentionRow row = a.row(head, query);
      for (size_t d = 0; d < static_cast<size_t>(a.shape().width); ++d) {
        double sum = 0;
        for (size_t i = 0; i < row.keys.size(); ++i)
          sum += row.weights[i] * x[2].data[a.v_at(head, row.keys[i]) + d];
        y.data.push_back(row.is_empty ? 0 : sum / row.total);
      }
    }
  return {y};
}

// Finite, so that a masked score less the row's maximum is never infinity less infinity; far enough
// below any score that its exp is 0.
double masked_score(DType dtype) {
  return dtype == DType::f16 ? -6e4 : -1e30;
}

// Whether attention_forward is faster than the parts: what follows from docs/decisions/013.
bool stays_whole(Builder& b, const Op& op) {
  Type q = b.type(op.operand(0));
  AttentionShape s = attention_shape(q, b.type(op.operand(1)), b.type(op.operand(2)));
  bool is_wide = s.queries >= 32 && s.keys >= 32 && s.depth >= 8 && s.width >= 8;
  return byte_size(q.dtype) >= 4 && is_wide && s.depth <= 512 && s.width <= 512;
}

std::vector<ValueId> expand_attention(Builder& b, const Op& op) {
  if (stays_whole(b, op))
    return {b.op_multi(Opcode::attention_forward, op.operands, op.attrs)[0]};
  std::optional<ValueId> mask;
  if (op.operands.size() > 3)
    mask = op.operand(3);
  AttentionParts parts(b, op.operand(0), op.operand(1), op.operand(2), mask, op.attrs);
  int64_t last = b.type(op.operand(0)).rank() - 1;
  if (!mask) {
    ValueId scores = parts.scores(masked_score(b.type(op.operand(0)).dtype));
    return {parts.weighted_values(b.op(Opcode::softmax, {scores}, {{"axis", last}}))};
  }
  // The weights are the same for any number in place of the top.
  ValueId scores = parts.scores(-std::numeric_limits<double>::infinity());
  ValueId top = b.op(Opcode::stop_gradient, {parts.top(scores)});
  ValueId power = b.op(Opcode::exp_normal, {b.sub(scores, parts.along_keys(top))});
  ValueId total = b.reduce_sum(power, {last});
  ValueId weights = b.mul(power, parts.along_keys(parts.inverse(total)));
  return {parts.weighted_values(weights)};
}

}  // namespace

extern constexpr OpDef attention = {
    .name = "attention",
    .doc =
        "softmax(q k' * scale + mask) v for q [..., queries, depth], k [..., keys, depth] and v "
        "[..., keys, width]; of the heads, the last axis of `...`, q may have several times as "
        "many. With `causal` a query sees only keys up to its own position, counted from the end. "
        "The mask may be missing and is broadcast to [..., queries, keys]: numbers, or of bool "
        "whether a query sees a key. One from which the mask hides all, as -inf does, gives zeros.",
    .examples =
        "attention(f32[2,3,4], f32[2,5,4], f32[2,5,2]) {causal=false, scale=0.5}\n"
        "attention(f32[1,2,4,3], f32[1,2,4,3], f32[1,2,4,3]) {causal=true, scale=0.577}\n"
        "attention(f32[2,3], f32[4,3], f32[4,3]) {causal=true, scale=1.0}\n"
        "attention(f32[2,4,3,4], f32[2,2,5,4], f32[2,2,5,3], f32[2,1,1,5]) {causal=true, "
        "scale=0.5}\n"
        "attention(f32[2,3,4], f32[2,5,4], f32[2,5,2], bool[3,5]) {causal=false, scale=0.5}\n"
        "attention(f32[2,33,8], f32[1,40,8], f32[1,40,9]) {causal=true, scale=0.5}",
    .kernel = KernelClass::composite,
    .operands = -1,
    .attrs = {{"causal", AttrKind::boolean}, {"scale", AttrKind::real}},
    .infer = infer_attention,
    .eval = eval_attention,
    .flops =
        [](std::span<const Type> x, std::span<const Type>, const Attrs& attrs) {
          AttentionShape s = attention_shape(x[0], x[1], x[2]);
          return attention_flops(s, attrs.flag("causal"), 2 * s.depth + 2 * s.width + 5);
        },
    .expand = expand_attention,
};

}  // namespace gradc::ops
