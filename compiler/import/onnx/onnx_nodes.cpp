#include "compiler/import/onnx/onnx_nodes.h"

#include <algorithm>
#include <map>
#include <string>

#include "compiler/import/onnx/names.h"
#include "compiler/import/onnx/problem.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

using Table = std::map<std::string_view, std::vector<NodeRule>>;  // rows by version

Table make_table() {
  Table table;
  for (std::span<const NodeRule> family :
       {elementwise_nodes(), activation_nodes(), matmul_nodes(),    einsum_nodes(),
        conv_nodes(),        pool_nodes(),       norm_nodes(),      reduce_nodes(),
        shape_nodes(),       arrange_nodes(),    resize_nodes(),    sample_nodes(),
        index_nodes(),       recurrent_nodes(),  attention_nodes(), rotary_nodes(),
        loss_nodes(),        constant_nodes(),   sequence_nodes(),  control_nodes()})
    for (const NodeRule& rule : family)
      table[rule.op].push_back(rule);
  for (auto& [op, rules] : table)
    std::sort(rules.begin(), rules.end(),
              [](const NodeRule& a, const NodeRule& b) { return a.since < b.since; });
  return table;
}

const Table& table() {
  static const Table kTable = make_table();
  return kTable;
}

}  // namespace

const NodeRule* find_node_rule(std::string_view op, int64_t opset) {
  auto rules = table().find(op);
  const NodeRule* found = nullptr;
  if (rules != table().end())
    for (const NodeRule& rule : rules->second)
      if (rule.since <= opset)
        found = &rule;
  return found && (found->until == 0 || opset < found->until) ? found : nullptr;
}

const NodeRule& node_rule(std::string_view op, int64_t opset) {
  if (const NodeRule* rule = find_node_rule(op, opset))
    return *rule;
  auto rules = table().find(op);
  if (rules == table().end()) {
    if (std::string cure = cure_of_op(std::string(op), ""); !cure.empty())
      throw UserError("", fmt::format("op `{}` is not supported", readable(op))).with_help(cure);
    std::vector<std::string_view> names;
    for (const auto& [name, rows] : table())
      names.push_back(name);
    std::string near = nearest_name(op, names);
    fail("op `{}` is not supported{}", readable(op),
         near.empty() ? "" : fmt::format("; did you mean `{}`?", near));
  }
  const NodeRule &first = rules->second.front(), &last = rules->second.back();
  if (opset < first.since)
    fail("op `{}` is known from opset {} on, the model's is {}", op, first.since, opset);
  fail("op `{}` ended before opset {}, the model's is {}{}", op, last.until, opset,
       last.instead.empty() ? "" : fmt::format("; `{}` took its place", last.instead));
}

std::vector<NodeRule> all_node_rules() {
  std::vector<NodeRule> all;
  for (const auto& [op, rules] : table())
    all.insert(all.end(), rules.begin(), rules.end());
  return all;
}

}  // namespace gradc::onnx
