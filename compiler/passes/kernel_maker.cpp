#include "compiler/passes/kernel_maker.h"

#include <algorithm>
#include <string>

namespace gradc {

KernelMaker::KernelMaker(const Function& entry, const Grouping& grouping)
    : entry_(entry), grouping_(grouping), definitions_(defining_ops(entry)) {
  find_escaping();
}

KernelDraft KernelMaker::make(size_t group_index) const {
  const Group& group = grouping_.groups[group_index];
  KernelDraft draft;
  draft.function.kind = FunctionKind::kernel;
  Builder builder(draft.function);
  std::map<ValueId, ValueId> inside;  // entry's value -> kernel's
  for (uint32_t op : group.ops) {
    for (ValueId operand : entry_.ops[op].operands)
      add_operand(builder, draft, inside, static_cast<int>(group_index), operand);
    add_op(builder, inside, entry_.ops[op]);
  }
  for (uint32_t op : group.ops)
    for (ValueId result : entry_.ops[op].results)
      if (escaping_[result.index]) {
        builder.result(inside.at(result));
        draft.results.push_back(result);
      }
  set_attributes(draft, group);
  return draft;
}

void KernelMaker::find_escaping() {
  escaping_.resize(entry_.values.size());
  for (const Result& result : entry_.results)
    escaping_[result.value.index] = true;
  for (uint32_t i = 0; i < entry_.ops.size(); ++i)
    if (!grouping_.repeated[i])
      for (const Read& read : grouping_.reads[i])
        if (group_of(read.value) != grouping_.group_of[i])
          escaping_[read.value.index] = true;
}

int KernelMaker::group_of(ValueId value) const {
  std::optional<OpId> op = definitions_[value.index];
  return op ? grouping_.group_of[op->index] : -1;
}

void KernelMaker::add_operand(Builder& builder, KernelDraft& draft,
                              std::map<ValueId, ValueId>& inside, int group, ValueId value) const {
  std::optional<OpId> op = definitions_[value.index];
  if (inside.contains(value) || (op && grouping_.group_of[op->index] == group))
    return;
  if (op && grouping_.repeated[op->index]) {
    for (ValueId operand : entry_.ops[op->index].operands)
      add_operand(builder, draft, inside, group, operand);
    add_op(builder, inside, entry_.ops[op->index]);
    return;
  }
  inside[value] = builder.parameter(entry_.type(value), entry_[value].name);
  draft.operands.push_back(value);
}

void KernelMaker::add_op(Builder& builder, std::map<ValueId, ValueId>& inside, const Op& op) const {
  std::vector<ValueId> operands;
  for (ValueId operand : op.operands)
    operands.push_back(inside.at(operand));
  builder.phase = op.phase;
  builder.loc = op.loc;
  std::vector<ValueId> results = builder.op_multi(op.code, operands, op.attrs);
  for (size_t i = 0; i < results.size(); ++i) {
    builder.set_name(results[i], entry_[op.results[i]].name);
    inside[op.results[i]] = results[i];
  }
}

void KernelMaker::set_attributes(KernelDraft& draft, const Group& group) const {
  Attrs& attrs = draft.function.attrs;
  attrs.set("class", std::string(name_of(group.shape.kind)));
  if (group.shape.kind == KernelClass::reduce) {
    attrs.set("axes", group.shape.axes);
    attrs.set("domain", group.shape.dims);
  }
  std::vector<int64_t> pairs = found_in_place_pairs(draft, group);
  if (!pairs.empty())
    attrs.set("inplace", pairs);
}

std::vector<int64_t> KernelMaker::found_in_place_pairs(const KernelDraft& draft,
                                                       const Group& group) const {
  std::vector<int64_t> pairs;
  bool folds = group.shape.kind == KernelClass::reduce;
  if (!folds && group.shape.kind != KernelClass::map && group.shape.kind != KernelClass::contract)
    return pairs;
  std::set<uint32_t> before = before_contraction(group);
  Dims place = folds ? group.shape.rows() : group.shape.dims;
  for (size_t i = 0; i < draft.operands.size(); ++i) {
    if (!read_only_at(draft.operands[i], group, place, before))
      continue;
    for (size_t j = 0; j < draft.results.size(); ++j) {
      ValueId old = draft.operands[i], made = draft.results[j];
      if (entry_.type(old) == entry_.type(made) &&
          !folds_across(group.shape, entry_.ops[definitions_[made.index]->index]) &&
          (!group.shape.update || may_replace(made, old)))
        pairs.insert(pairs.end(), {static_cast<int64_t>(i), static_cast<int64_t>(j)});
    }
  }
  return pairs;
}

bool KernelMaker::may_replace(ValueId made, ValueId old) const {
  auto result = std::find_if(entry_.results.begin(), entry_.results.end(),
                             [&](const Result& r) { return r.value == made; });
  auto parameter = std::find_if(entry_.parameters.begin(), entry_.parameters.end(),
                                [&](const Parameter& p) { return p.value == old; });
  const std::string none;
  return (result == entry_.results.end() ? none : result->state) ==
         (parameter == entry_.parameters.end() ? none : parameter->state);
}

std::set<uint32_t> KernelMaker::before_contraction(const Group& group) const {
  std::set<uint32_t> ops;
  std::set<ValueId> read;
  for (auto i = group.ops.rbegin(); i != group.ops.rend(); ++i) {
    const std::vector<ValueId>& results = entry_.ops[*i].results;
    if (def(entry_.ops[*i]).kernel != KernelClass::contract &&
        std::none_of(results.begin(), results.end(), [&](ValueId v) { return read.contains(v); }))
      continue;
    ops.insert(*i);
    for (const Read& r : grouping_.reads[*i])
      read.insert(r.value);
  }
  return ops;
}

bool KernelMaker::read_only_at(ValueId value, const Group& group, const Dims& place,
                               const std::set<uint32_t>& before) const {
  if (entry_.type(value).dims != place)
    return false;
  for (uint32_t i : group.ops) {
    const Op& op = entry_.ops[i];
    for (const Read& read : grouping_.reads[i]) {
      if (read.value != value)
        continue;
      bool same_place = read.map == identity_map(static_cast<int64_t>(place.size()));
      if (!same_place || before.contains(i) || def(op).kernel != KernelClass::map ||
          entry_.type(op.results[0]).dims != place)
        return false;
    }
  }
  return true;
}

}  // namespace gradc
