// Attention as one kernel, which does not store the scores, and its gradient.
#include <limits>

#include "ir/ops/attention.h"

namespace gradc::ops {
namespace {

// [..., queries] of q [..., queries, depth]
Type rows_of(const Type& q) {
  Type rows = q;
  rows.dims.pop_back();
  return rows;
}

std::optional<ValueId> mask_of(const Op& op, size_t fixed) {
  return op.operands.size() > fixed ? std::optional(op.operands[fixed]) : std::nullopt;
}

AttentionParts parts_of(Builder& b, const Op& op, size_t fixed) {
  return {b, op.operand(0), op.operand(1), op.operand(2), mask_of(op, fixed), op.attrs};
}

// Statistics of rows need more digits than 16 bits have; `attention` of such types stays in parts.
void check_wide(const Type& q) {
  if (byte_size(q.dtype) < 4)
    fail("queries are {}; they must be f32 or f64", to_string(q));
}

// --- Forward.

Types infer_forward(std::span<const Type> x, const Attrs& attrs) {
  check_attention(x[0], x[1], x[2], attention_mask(x, 3), attrs);
  check_wide(x[0]);
  Type y = x[0];
  y.dims.back() = x[2].dims.back();
  return {y, rows_of(x[0]), rows_of(x[0])};
}

std::vector<Tensor> eval_forward(std::span<const Tensor> x, const Op& op,
                                 std::span<const Type> types) {
  Op whole = op;
  whole.code = Opcode::attention;
  Tensor y = def(Opcode::attention).eval(x, whole, types.first(1))[0];
  Tensor top{types[1], {}}, total{types[2], {}};
  AttentionTensors a(x, x.size() > 3 ? &x[3] : nullptr, op.attrs);
  for (int64_t head = 0; head < a.shape().heads; ++head)
    for (int64_t query = 0; query < a.shape().queries; ++query) {
      AttentionRow row = a.row(head, query);
      top.data.push_back(row.top);
      total.data.push_back(row.total);
    }
  return {y, top, total};
}

std::vector<ValueId> expand_forward(Builder& b, const Op& op) {
  AttentionParts parts = parts_of(b, op, 3);
  ValueId scores = parts.scores(-std::numeric_limits<double>::infinity());
  ValueId top = parts.top(scores);
  ValueId power = b.op(Opcode::exp_normal, {b.sub(scores, parts.along_keys(top))});
  ValueId total = b.reduce_sum(power, {b.type(scores).rank() - 1});
  ValueId weights = b.mul(power, parts.along_keys(parts.inverse(total)));
  return {parts.weighted_values(weights), top, total};
}

// What gradients of `top` and `total` mean for the scores. With e = e^(score - top):
// d score = e * d total, and where the score is the top, d top - total * d total
ValueId gradient_of_rows(Vjp& g, AttentionParts& parts) {
  Builder& b = g.b;
  ValueId scores = parts.scores(-std::numeric_limits<double>::infinity());
  ValueId top = parts.along_keys(g.y(1));
  ValueId power = b.op(Opcode::exp_normal, {b.sub(scores, top)});
  ValueId is_top = b.op(Opcode::equal, {scores, top});
  ValueId at_top = b.sub(g.dy(1), b.mul(g.y(2), g.dy(2)));
  ValueId spread = b.mul(power, parts.along_keys(g.dy(2)));
  ValueId share = b.select(is_top, parts.along_keys(at_top), b.constant_like(scores, 0));
  return b.add(spread, share);
}

// d score = weight * (dy . value - delta), where delta = y . dy
ValueId gradient_of_scores(Builder& b, AttentionParts& parts, ValueId weights, ValueId delta,
                           ValueId dy) {
  ValueId products = parts.products_with_values(dy);
  return b.mul(weights, b.sub(products, parts.along_keys(delta)));
}

void forward_vjp(Vjp& g) {
  Builder& b = g.b;
  AttentionParts parts = parts_of(b, g.op(), 3);
  bool has_numbers = g.operand_count() > 3 && is_float(g.x_type(3).dtype);
  if (g.has_dy(0)) {
    ValueId dy = g.dy(0);
    ValueId delta = b.reduce_sum(b.mul(g.y(0), dy), {b.type(dy).rank() - 1});
    std::vector<ValueId> operands = {g.x(0), g.x(1), g.x(2), g.y(1), g.y(2), delta, dy};
    if (g.operand_count() > 3)
      operands.push_back(g.x(3));
    std::vector<ValueId> d = b.op_multi(Opcode::attention_backward, operands, g.attrs());
    for (size_t i = 0; i < 3; ++i)
      g.add(i, d[i]);
    if (has_numbers) {
      ValueId weights = parts.weights(g.y(1), g.y(2));
      g.add(3, parts.mask_gradient(gradient_of_scores(b, parts, weights, delta, dy)));
    }
  }
  if (g.has_dy(1) || g.has_dy(2)) {
    ValueId d_scores = gradient_of_rows(g, parts);
    g.add(0, parts.q_gradient(d_scores));
    g.add(1, parts.k_gradient(d_scores));
    if (has_numbers)
      g.add(3, parts.mask_gradient(d_scores));
  }
}

// --- Backward.

Types infer_backward(std::span<const Type> x, const Attrs& attrs) {
  if (x.size() < 7)
    fail("there are {} operands, there must be 7, or a mask behind them", x.size());
  check_attention(x[0], x[1], x[2], attention_mask(x, 7), attrs);
  check_wide(x[0]);
  Type rows = rows_of(x[0]), y = x[0];
  y.dims.back() = x[2].dims.back();
  for (size_t i : {3, 4, 5})
    if (x[i] != rows)
      fail("operand {} is {}, it must be {}, a number per query", i, to_string(x[i]),
           to_string(rows));
  if (x[6] != y)
    fail("the gradient is {}, it must be {}", to_string(x[6]), to_string(y));
  return {x[0], x[1], x[2]};
}

std::vector<Tensor> eval_backward(std::span<const Tensor> x, const Op& op,
                                  std::span<const Type> types) {
  AttentionTensors a(x, x.size() > 7 ? &x[7] : nullptr, op.attrs);
  std::vector<Tensor> d;
  for (const Type& type : types)
    d.push_back({type, std::vector<double>(static_cast<size_t>(type.elements()))});
  const auto depth = static_cast<size_t>(a.shape().depth);
  const auto width = static_cast<size_t>(a.shape().width);
  double scale = op.attrs.real("scale");
  size_t n = 0;  // the query's number among all
  for (int64_t head = 0; head < a.shape().heads; ++head)
    for (int64_t query = 0; query < a.shape().queries; ++query, ++n) {
      AttentionRow row = a.row(head, query);
      for (size_t i = 0; i < row.keys.size(); ++i) {
        size_t q = a.q_at(head, query), k = a.k_at(head, row.keys[i]);
        size_t v = a.v_at(head, row.keys[i]);
        bool is_empty = x.size() > 7 && x[4].data[n] == 0;
        double weight = is_empty ? 0 : std::exp(row.scores[i] - x[3].data[n]) / x[4].data[n];
        double product = 0;
        for (size_t c = 0; c < width; ++c) {
          product += x[6].data[n * width + c] * x[2].data[v + c];
          d[2].data[v + c] += weight * x[6].data[n * width + c];
        }
        double d_score = weight * (product - x[5].data[n]) * scale;
        for (size_t c = 0; c < depth; ++c) {
          d[0].data[q + c] += d_score * x[1].data[k + c];
          d[1].data[k + c] += d_score * x[0].data[q + c];
        }
      }
    }
  return d;
}

std::vector<ValueId> expand_backward(Builder& b, const Op& op) {
  AttentionParts parts = parts_of(b, op, 7);
  ValueId weights = parts.weights(op.operand(3), op.operand(4)), dy = op.operand(6);
  ValueId d_scores = gradient_of_scores(b, parts, weights, op.operand(5), dy);
  return {parts.q_gradient(d_scores), parts.k_gradient(d_scores), parts.v_gradient(weights, dy)};
}

}  // namespace

extern constexpr OpDef attention_forward = {
    .name = "attention_forward",
    .doc =
        "`attention` as one kernel, in memory that grows with the queries and keys and not with "
        "their product. Further results are, per query, the largest score `top` (or the lowest "
        "number) and the sum of exp(score - top).",
    .examples =
        "attention_forward(f32[2,3,4], f32[2,5,4], f32[2,5,2]) {causal=false, scale=0.5}\n"
        "attention_forward(f32[20,8], f32[20,8], f32[20,8]) {causal=true, scale=0.35}\n"
        "attention_forward(f32[1,4,35,9], f32[1,2,70,9], f32[1,2,70,17], bool[35,70]) "
        "{causal=true, scale=0.3}\n"
        "attention_forward(f32[2,2,17,5], f32[2,1,21,5], f32[2,1,21,3], f32[2,1,1,21]) "
        "{causal=false, scale=0.5}\n"
        "attention_forward(f32[2,17,5], f32[2,21,5], f32[2,21,3], f32[17,21]) {causal=false, "
        "scale=0.5}\n"
        "attention_forward(f64[2,19,4], f64[2,19,4], f64[2,19,4]) {causal=true, scale=0.5}",
    .kernel = KernelClass::custom,
    .operands = -1,
    .results = 3,
    .attrs = {{"causal", AttrKind::boolean}, {"scale", AttrKind::real}},
    .infer = infer_forward,
    .eval = eval_forward,
    .flops =
        [](std::span<const Type> x, std::span<const Type>, const Attrs& attrs) {
          AttentionShape s = attention_shape(x[0], x[1], x[2]);
          return attention_flops(s, attrs.flag("causal"), 2 * s.depth + 2 * s.width + 5);
        },
    .vjp = forward_vjp,
    .expand = expand_forward,
};

// With weight = e^(score - top) / total: d value = sum of weight * dy over queries, d score =
// weight * (dy . value - delta), of which dq and dk are products with keys and queries.
extern constexpr OpDef attention_backward = {
    .name = "attention_backward",
    .doc =
        "The gradients of `attention_forward` by q, k and v. Operands: q, k, v; its results top "
        "and total; delta, per query the sum of y dy; dy; the mask, if there is one.",
    .examples =
        "attention_backward(f32[2,3,4], f32[2,5,4], f32[2,5,2], f32[2,3], f32[2,3], f32[2,3], "
        "f32[2,3,2]) {causal=false, scale=0.1}\n"
        "attention_backward(f32[4,3], f32[4,3], f32[4,3], f32[4], f32[4], f32[4], f32[4,3]) "
        "{causal=true, scale=0.1}\n"
        "attention_backward(f32[1,4,3,2], f32[1,2,4,2], f32[1,2,4,3], f32[1,4,3], f32[1,4,3], "
        "f32[1,4,3], f32[1,4,3,3], bool[3,4]) {causal=true, scale=0.1}\n"
        "attention_backward(f32[2,3,5], f32[2,4,5], f32[2,4,3], f32[2,3], f32[2,3], f32[2,3], "
        "f32[2,3,3], f32[2,1,4]) {causal=false, scale=0.1}\n"
        "attention_backward(f64[2,19,4], f64[2,19,4], f64[2,19,4], f64[2,19], f64[2,19], "
        "f64[2,19], f64[2,19,4]) {causal=true, scale=0.1}",
    .kernel = KernelClass::custom,
    .operands = -1,
    .results = 3,
    .attrs = {{"causal", AttrKind::boolean}, {"scale", AttrKind::real}},
    .domains = {Domain::real, Domain::real, Domain::real, Domain::positive, Domain::positive,
                Domain::real, Domain::real, Domain::real},
    .infer = infer_backward,
    .eval = eval_backward,
    .flops =
        [](std::span<const Type> x, std::span<const Type>, const Attrs& attrs) {
          AttentionShape s = attention_shape(x[0], x[1], x[2]);
          return attention_flops(s, attrs.flag("causal"), 6 * s.depth + 4 * s.width + 8);
        },
    .expand = expand_backward,
};

}  // namespace gradc::ops
