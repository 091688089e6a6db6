// What nodes compute at compile time.
#include <algorithm>

#include "compiler/import/onnx/graph_run.h"
#include "ir/eval.h"
#include "ir/op_def.h"

namespace gradc::onnx {
namespace {

// What is worth computing at compile time; above that the program does it.
constexpr int64_t kMostFolded = int64_t{1} << 20;  // elements of an input or a result
constexpr int64_t kMostKnown = 1024;  // beside what the program computes from weights
constexpr int64_t kMostFlops = int64_t{1} << 24;

using Kind = ImportValue::Kind;

bool small_enough(const Function& function, int64_t most_elements) {
  int64_t flops = 0;
  for (const Op& op : function.ops) {
    flops += flops_of(function, op);
    for (ValueId value : op.results)
      if (function.type(value).elements() > most_elements)
        return false;
  }
  return flops <= kMostFlops;
}

using ToTensor = gradc::Tensor (*)(const Constant&);

// Evaluates a scratch function; `moved_as` reads the constants that it moves.
std::vector<gradc::Tensor> evaluate(const Trace& scratch, const std::set<const Constant*>& moved,
                                    ToTensor moved_as) {
  std::vector<gradc::Tensor> arguments;
  for (const ConstantPtr& argument : scratch.arguments())
    arguments.push_back(moved.contains(argument.get()) ? moved_as(*argument)
                                                       : to_tensor(*argument));
  return eval_closed({}, scratch.function, arguments);
}

// Whole numbers that doubles do not hold move as two halves.
std::vector<ConstantPtr> evaluate(const Trace& scratch, const std::set<const Constant*>& moved) {
  std::vector<ConstantPtr> results;
  if (std::any_of(moved.begin(), moved.end(),
                  [](const Constant* constant) { return exceeds_double(*constant); })) {
    std::vector<gradc::Tensor> low = evaluate(scratch, moved, low_half);
    std::vector<gradc::Tensor> high = evaluate(scratch, moved, high_half);
    for (size_t i = 0; i < low.size(); ++i)
      results.push_back(from_halves(low[i], high[i]));
  } else {
    for (const gradc::Tensor& value : evaluate(scratch, moved, to_tensor))
      results.push_back(from_tensor(value));
  }
  return results;
}

}  // namespace

// Builds the node in a function of its own and evaluates that. Nothing when it is too large, or
// when doubles do not hold its numbers: the program then computes it.
std::optional<ImportValues> GraphRun::fold(const NodeRule& rule, const Node& node,
                                           ImportValues inputs, bool of_weights, Scope& scope) {
  int64_t most_elements = of_weights ? kMostKnown : kMostFolded;
  std::set<const Constant*> moved;
  for (size_t i = 0; i < inputs.size(); ++i) {
    ImportValue& input = inputs[i];
    if (input.kind == Kind::absent)
      continue;
    bool moves = is_in(rule.moves, i);
    if (input.constant->type.elements() > most_elements)
      return std::nullopt;
    if (moves)
      moved.insert(input.constant.get());
    input.kind = Kind::constant;
    input.id = {};
  }
  Trace scratch(import_);
  scratch.b.loc = trace_.b.loc;
  ImportValues results = build(scratch, rule, node, inputs, scope);
  // What the node only read, e.g. the largest number as the end of a Slice, was read exactly.
  for (const ConstantPtr& argument : scratch.arguments())
    if (!moved.contains(argument.get()) && exceeds_double(*argument))
      return std::nullopt;
  if (!small_enough(scratch.function, most_elements))
    return std::nullopt;
  std::vector<ImportValue*> computed;
  auto add = [&](ImportValue& value) {
    if (value.kind != Kind::tensor || !value.id.valid())
      return;
    computed.push_back(&value);
    scratch.b.result(value.id);
  };
  for (ImportValue& result : results) {
    add(result);
    std::ranges::for_each(result.parts, add);
  }
  std::vector<ConstantPtr> values = evaluate(scratch, moved);
  for (size_t i = 0; i < computed.size(); ++i)
    *computed[i] = {
        .kind = Kind::constant, .constant = values[i], .narrower = computed[i]->narrower};
  return results;
}

}  // namespace gradc::onnx
