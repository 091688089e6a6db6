#include "compiler/passes/simplify.h"

#include <algorithm>
#include <map>
#include <set>

#include "compiler/passes/drop_empty.h"
#include "compiler/passes/simplify_rules.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

// Each round lets rules see what the round before uncovered; in practice two or three suffice.
constexpr int kMaxRounds = 10;

// Ops that read the same values in the same way compute the same. Attributes as text, because 0 and
// -0 are different there.
struct OpKey {
  Opcode code;
  std::string callee;
  std::vector<ValueId> operands;
  std::string attrs;
  auto operator<=>(const OpKey&) const = default;
};

OpKey key_of(const Op& op) {
  OpKey key{op.code, op.callee, op.operands, to_string(op.attrs)};
  if (def(op).commutative)
    std::sort(key.operands.begin(), key.operands.end());
  return key;
}

// Writes a function anew; every op goes through the rules and the table of ops seen.
class Simplifier {
 public:
  Simplifier(const Function& from, const std::vector<SimplifyRule>& rules)
      : rules_(rules), rewrite_(from), old_uses_(use_counts(from)) {
    for (const Parameter& parameter : from.parameters)
      count_uses(parameter.value);
  }

  Function run() {
    for (const Op& op : rewrite_.from().ops) {
      Op mapped = op;
      mapped.operands = rewrite_(op.operands);
      size_t values_before = rewrite_.to().values.size();
      std::vector<ValueId> values = append(mapped);
      for (size_t i = 0; i < values.size(); ++i) {
        rewrite_.map(op.results[i], values[i]);
        count_uses(op.results[i]);
        if (values[i].index >= values_before)
          rewrite_.builder().set_name(values[i], rewrite_.from()[op.results[i]].name);
      }
    }
    return rewrite_.finish();
  }

  bool changed() const { return changed_; }

 private:
  class AppendSite;

  // The values of an op's results: of an equal op, by a rule, or of the op, which is appended. The
  // results in `op` are those of the old function or absent.
  std::vector<ValueId> append(const Op& op);
  std::vector<ValueId> append_as_is(const Op& op);
  void count_uses(ValueId old);
  Types result_types(const Op& op);

  const std::vector<SimplifyRule>& rules_;
  Rewrite rewrite_;
  std::vector<int> old_uses_;  // by old value
  std::vector<int> uses_;  // by new value: uses of the old values mapped to it
  std::vector<uint32_t> producers_;  // by new value: index of the op, for ops with results
  std::map<OpKey, std::vector<ValueId>> seen_;
  bool changed_ = false;
};

class Simplifier::AppendSite : public Site {
 public:
  AppendSite(Simplifier& simplifier, const Op& op, Type result_type)
      : Site(op), s_(simplifier), result_type_(std::move(result_type)) {}

  Type type(ValueId value) const override { return s_.rewrite_.to().type(value); }
  Type result_type() const override { return result_type_; }

  const Op* producer(ValueId value, Opcode code) const override {
    if (value.index >= s_.producers_.size() || s_.producers_[value.index] == UINT32_MAX)
      return nullptr;
    const Op& op = s_.rewrite_.to().ops[s_.producers_[value.index]];
    return op.code == code ? &op : nullptr;
  }

  bool only_use(ValueId value) const override {
    return value.index >= s_.uses_.size() || s_.uses_[value.index] <= 1;
  }

  ValueId emit(Opcode code, std::vector<ValueId> operands, Attrs attrs) override {
    Op emitted{code, std::move(operands), {}, std::move(attrs), "", op().phase, op().loc};
    return s_.append(emitted)[0];
  }

 private:
  Simplifier& s_;
  Type result_type_;
};

void Simplifier::count_uses(ValueId old) {
  ValueId value = rewrite_(old);
  uses_.resize(std::max<size_t>(uses_.size(), value.index + 1));
  uses_[value.index] += old_uses_[old.index];
}

Types Simplifier::result_types(const Op& op) {
  if (def(op).kernel == KernelClass::control) {
    Types types;
    for (ValueId result : op.results)
      types.push_back(rewrite_.from().type(result));
    return types;
  }
  Types operands;
  for (ValueId operand : op.operands)
    operands.push_back(rewrite_.to().type(operand));
  return infer_types(op.code, operands, op.attrs);
}

std::vector<ValueId> Simplifier::append(const Op& op) {
  Types types = result_types(op);
  if (types.size() == 1) {
    AppendSite site(*this, op, types[0]);
    for (const SimplifyRule& rule : rules_) {
      if (rule.code && *rule.code != op.code)
        continue;
      if (std::optional<ValueId> value = rule.apply(site)) {
        changed_ = true;
        return {*value};
      }
    }
  }
  auto [entry, is_new] = seen_.try_emplace(key_of(op));
  if (is_new)
    entry->second = append_as_is(op);
  else
    changed_ = true;
  return entry->second;
}

std::vector<ValueId> Simplifier::append_as_is(const Op& op) {
  Builder& builder = rewrite_.at(op);
  Function& to = rewrite_.to();
  std::vector<ValueId> results;
  if (def(op).kernel == KernelClass::control)
    results = builder.call(op.code, op.callee, op.operands, result_types(op), op.attrs);
  else
    results = builder.op_multi(op.code, op.operands, op.attrs);
  producers_.resize(to.values.size(), UINT32_MAX);
  for (ValueId result : results)
    producers_[result.index] = static_cast<uint32_t>(to.ops.size() - 1);
  return results;
}

// Functions that are entries or that an entry reaches.
std::set<std::string> reached_functions(const Module& module) {
  std::set<std::string> reached;
  std::vector<const Function*> open;
  for (const Function& function : module.functions)
    if (function.kind == FunctionKind::entry)
      open.push_back(&function);
  while (!open.empty()) {
    const Function& function = *open.back();
    open.pop_back();
    if (!reached.insert(function.name).second)
      continue;
    for (const Op& op : function.ops)
      if (!op.callee.empty())
        open.push_back(&module.function(op.callee));
  }
  return reached;
}

Function simplified(const Function& function, const std::vector<SimplifyRule>& rules) {
  Function current = without_dead_ops(drop_empty(function));
  for (int round = 0; round < kMaxRounds; ++round) {
    Simplifier simplifier(current, rules);
    current = without_dead_ops(simplifier.run());
    if (!simplifier.changed())
      break;
  }
  return current;
}

}  // namespace

Module rewritten(const Module& module, const std::vector<SimplifyRule>& rules) {
  std::set<std::string> reached = reached_functions(module);
  Module result = module;
  std::erase_if(result.functions, [&](const Function& f) { return !reached.contains(f.name); });
  for (Function& function : result.functions)
    if (function.kind != FunctionKind::kernel)
      function = simplified(function, rules);
  return result;
}

Module simplify(const Module& module, const Options&) {
  return rewritten(module, all_simplify_rules());
}

}  // namespace gradc
