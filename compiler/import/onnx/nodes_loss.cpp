// Losses in the graph, from logarithms of probabilities or from scores.
#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

struct Labels {
  ValueId classes;  // a number each, in the input's shape without axis 1
  std::optional<int64_t> ignored;
  int64_t count = 0;  // of classes
};

Labels read_labels(NodeContext& c) {
  require_float(c, 0);
  Dims dims = c.dims(0), kept = dims;
  if (dims.size() < 2)
    fail("{} must be [batch, classes, ...]", to_string(c.type(0)));
  kept.erase(kept.begin() + 1);
  if (c.dims(1) != kept || is_float(c.dtype(1)))
    fail("the labels must be whole numbers of shape {}, they are {}", to_string(kept),
         to_string(c.type(1)));
  return {c.tensor(1), c.find_integer("ignore_index"), dims[1]};
}

// -weight of the label's class * logarithm there, for each label; the mean divides by the sum of
// those weights. What is ignored has weight 0.
void weighted_loss(NodeContext& c, ValueId logarithms, const Labels& labels,
                   const std::string& reduction) {
  Builder& b = c.b;
  Dims dims = b.dims(labels.classes), index_dims = dims;
  index_dims.insert(index_dims.begin() + 1, 1);
  ValueId classes = labels.classes, is_ignored;
  if (labels.ignored) {
    ValueId number = number_like(c, classes, static_cast<double>(*labels.ignored));
    is_ignored = b.op(Opcode::equal, {classes, number});
    classes = b.select(is_ignored, b.constant_like(classes, 0), classes);
  }
  ValueId chosen =
      b.reshape(b.op(Opcode::gather_elements, {logarithms, b.reshape(classes, index_dims)},
                     {{"axis", int64_t{1}}}),
                dims);
  ValueId weights = b.constant_like(chosen, 1);
  if (c.has(2)) {
    if (c.dims(2) != Dims{labels.count} || c.dtype(2) != c.dtype(0))
      fail("the weights must be {}, one number a class, they are {}",
           to_string(Type{c.dtype(0), {labels.count}}), to_string(c.type(2)));
    weights = b.op(Opcode::gather, {c.tensor(2), classes}, {{"axis", int64_t{0}}});
  }
  if (labels.ignored) {
    ValueId zero = b.constant_like(chosen, 0);
    weights = b.select(is_ignored, zero, weights);
    chosen = b.select(is_ignored, zero, chosen);
  }
  ValueId losses = b.neg(b.mul(chosen, weights));
  if (reduction == "none")
    return c.result(losses);
  std::vector<int64_t> all = other_axes({}, static_cast<int64_t>(dims.size()));
  ValueId sum = b.reduce_sum(losses, all);
  c.result(reduction == "sum" ? sum : b.div(sum, b.reduce_sum(weights, all)));
}

std::string reduction_of(NodeContext& c) {
  std::string reduction = c.text("reduction", "mean");
  if (reduction != "none" && reduction != "sum" && reduction != "mean")
    fail("attribute `reduction` is `{}`; it must be none, sum or mean", reduction);
  return reduction;
}

void negative_log_likelihood_node(NodeContext& c) {
  Labels labels = read_labels(c);
  weighted_loss(c, c.tensor(0), labels, reduction_of(c));
}

// The mean without weights is one composite.
void cross_entropy_node(NodeContext& c) {
  Labels labels = read_labels(c);
  std::string reduction = reduction_of(c);
  ValueId scores = c.tensor(0), logarithms;
  if (c.wants(1) || c.has(2) || reduction != "mean")
    logarithms = c.b.op(Opcode::log_softmax, {scores}, {{"axis", int64_t{1}}});
  c.result(1, logarithms);
  if (c.has(2) || reduction != "mean")
    return weighted_loss(c, logarithms, labels, reduction);
  Attrs attrs{{"axis", int64_t{1}}};
  if (labels.ignored)
    attrs.set("ignore_index", *labels.ignored);
  c.result(c.b.op(Opcode::cross_entropy, {scores, labels.classes}, attrs));
}

constexpr NodeRule kRules[] = {
    {"NegativeLogLikelihoodLoss", 12, negative_log_likelihood_node},
    {"SoftmaxCrossEntropyLoss", 12, cross_entropy_node},
};

}  // namespace

std::span<const NodeRule> loss_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
