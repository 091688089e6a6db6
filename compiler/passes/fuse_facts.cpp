#include "compiler/passes/fuse_facts.h"

#include <algorithm>

namespace gradc {
namespace {

bool costs_nothing(const Function& function, const Op& op) {
  if (def(op).kernel != KernelClass::map || flops_of(function, op) != 0 || op.results.size() != 1)
    return false;
  int64_t read = 0;
  for (ValueId operand : op.operands)
    read += function.type(operand).elements();
  return op.operands.empty() || read < function.type(op.results[0]).elements();
}

// Ops that cost nothing, unless someone needs their result in memory.
std::vector<bool> repeated_ops(const Function& function,
                               const std::vector<std::optional<OpId>>& definitions) {
  std::vector<bool> repeated;
  for (const Op& op : function.ops)
    repeated.push_back(costs_nothing(function, op));
  auto materialize = [&](ValueId value) {
    if (definitions[value.index])
      repeated[definitions[value.index]->index] = false;
  };
  for (const Op& op : function.ops)
    if (def(op).kernel != KernelClass::map && def(op).kernel != KernelClass::reduce)
      for (ValueId operand : op.operands)
        materialize(operand);
  for (const Result& result : function.results)
    materialize(result.value);
  return repeated;
}

std::vector<Read> reads_of(const Function& function,
                           const std::vector<std::optional<OpId>>& definitions,
                           const std::vector<bool>& repeated, const Op& op) {
  std::vector<AxisMap> maps(op.operands.size());
  if (def(op).kernel == KernelClass::reduce)
    maps[0] = identity_map(function.type(op.operands[0]).rank());
  else if (def(op).kernel == KernelClass::map)
    maps = operand_accesses(function, op);
  std::vector<Read> reads;
  for (size_t i = 0; i < op.operands.size(); ++i) {
    std::optional<OpId> producer = definitions[op.operands[i].index];
    if (!producer || !repeated[producer->index]) {
      reads.push_back({op.operands[i], maps[i]});
      continue;
    }
    for (const Read& read :
         reads_of(function, definitions, repeated, function.ops[producer->index]))
      reads.push_back({read.value, compose(maps[i], read.map)});
  }
  return reads;
}

bool widens(const Function& function, const Op& op) {
  return op.code == Opcode::cast &&
         function.type(op.result()).bytes() > function.type(op.operand(0)).bytes();
}

std::vector<bool> update_ops(const Function& function) {
  std::vector<bool> needed(function.values.size());
  std::vector<int> readers(function.values.size());
  for (const Result& result : function.results)
    if (result.state.empty())
      needed[result.value.index] = true;
  for (const Op& op : function.ops)
    for (ValueId operand : op.operands)
      ++readers[operand.index];
  std::vector<bool> update(function.ops.size());
  for (size_t i = function.ops.size(); i-- > 0;) {
    const Op& op = function.ops[i];
    bool serves_others = std::any_of(op.results.begin(), op.results.end(),
                                     [&](ValueId result) { return needed[result.index]; });
    bool moves =
        op.phase == Phase::forward || (widens(function, op) && readers[op.result().index] == 1);
    update[i] = op.phase == Phase::update || (moves && !serves_others);
    if (!update[i])
      for (ValueId operand : op.operands)
        needed[operand.index] = true;
  }
  return update;
}

class SlopeFinder {
 public:
  SlopeFinder(const Function& function, const OpFacts& facts)
      : function_(function),
        facts_(facts),
        slope_(function.ops.size()),
        held_(function.values.size()) {}

  std::vector<bool> late() {
    find_slopes();
    find_held();
    std::vector<bool> late(function_.ops.size());
    for (uint32_t i = 0; i < late.size(); ++i)
      late[i] = slope_[i] && all_reads(i, [&](ValueId value, std::optional<uint32_t> op) {
                  return !op || (slope_[*op] ? late[*op] : held_[value.index]);
                });
    return late;
  }

 private:
  bool is_backward(uint32_t op) const {
    return !facts_.repeated[op] && function_.ops[op].phase == Phase::backward;
  }

  template <typename Predicate>
  bool all_reads(uint32_t op, Predicate holds) const {
    return std::all_of(facts_.reads[op].begin(), facts_.reads[op].end(), [&](const Read& read) {
      std::optional<OpId> made_by = facts_.definitions[read.value.index];
      return holds(read.value, made_by ? std::optional(made_by->index) : std::nullopt);
    });
  }

  // Elementwise work of the backward pass that no gradient enters.
  void find_slopes() {
    for (uint32_t i = 0; i < slope_.size(); ++i)
      slope_[i] = is_backward(i) && def(function_.ops[i]).kernel == KernelClass::map &&
                  all_reads(i, [&](ValueId, std::optional<uint32_t> op) {
                    return !op || !is_backward(*op) || slope_[*op];
                  });
  }

  // Values that the rest of the backward pass reads, itself or through views.
  void find_held() {
    for (uint32_t i = static_cast<uint32_t>(slope_.size()); i-- > 0;) {
      const Op& op = function_.ops[i];
      bool is_view = def(op).kernel == KernelClass::view;
      if (is_view ? held_[op.result().index] : is_backward(i) && !slope_[i])
        for (const Read& read : facts_.reads[i])
          held_[read.value.index] = true;
    }
  }

  const Function& function_;
  const OpFacts& facts_;  // but `late`
  std::vector<bool> slope_;  // by op
  std::vector<bool> held_;  // by value
};

}  // namespace

OpFacts op_facts(const Function& function, const std::vector<uint32_t>& repeated) {
  OpFacts facts{.definitions = defining_ops(function)};
  facts.repeated = repeated_ops(function, facts.definitions);
  for (uint32_t op : repeated)
    facts.repeated[op] = true;
  facts.update = update_ops(function);
  for (const Op& op : function.ops)
    facts.reads.push_back(reads_of(function, facts.definitions, facts.repeated, op));
  facts.late = SlopeFinder(function, facts).late();
  return facts;
}

}  // namespace gradc
