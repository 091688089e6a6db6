#include "compiler/passes/fuse.h"

#include <algorithm>
#include <map>
#include <set>

#include "compiler/kernel.h"
#include "compiler/passes/fuse_casts.h"
#include "compiler/passes/fuse_cost.h"
#include "compiler/passes/kernel_maker.h"
#include "ir/print.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

// Whether an op that reads the old content of `state` needs the value that will replace it.
bool old_content_read_after(const Function& function, const Result& result) {
  std::vector<bool> after(function.values.size()), old(function.values.size());
  after[result.value.index] = true;
  for (const Parameter& parameter : function.parameters)
    old[parameter.value.index] = parameter.state == result.state;
  for (const Op& op : function.ops) {
    bool reads_old = false, reads_new = false;
    for (ValueId operand : op.operands) {
      reads_old |= old[operand.index];
      reads_new |= after[operand.index];
    }
    if (reads_old && reads_new)
      return true;
    for (ValueId value : op.results) {
      after[value.index] = after[value.index] || reads_new;
      old[value.index] = reads_old && def(op).kernel == KernelClass::view;
    }
  }
  return false;
}

// Gives each result an op of its own, not a view, that no other result has.
Function with_own_producers(const Function& function) {
  std::vector<std::optional<OpId>> definitions = defining_ops(function);
  Rewrite rewrite(function);
  for (const Op& op : function.ops)
    rewrite.copy(op);
  std::set<ValueId> taken;
  std::vector<ValueId> own(function.results.size());
  auto give = [&](size_t i) {
    const Result& result = function.results[i];
    std::optional<OpId> op = definitions[result.value.index];
    bool computed = op && def(function.ops[op->index]).kernel != KernelClass::view;
    bool in_time = result.state.empty() || !old_content_read_after(function, result);
    if (computed && in_time && taken.insert(result.value).second) {
      own[i] = rewrite(result.value);
      return;
    }
    rewrite.builder().phase = result.state.empty() ? Phase::forward : Phase::update;
    own[i] = rewrite.builder().op(Opcode::copy, {rewrite(result.value)}, {},
                                  function[result.value].name);
  };
  for (bool tied : {true, false})
    for (size_t i = 0; i < own.size(); ++i)
      if (tied == !function.results[i].state.empty())
        give(i);
  for (size_t i = 0; i < own.size(); ++i)
    rewrite.builder().result(own[i], function.results[i].name, function.results[i].state);
  return std::move(rewrite.to());
}

// For people: the first kinds of work in the kernel, without data movement.
std::string describe(const Function& kernel) {
  std::vector<std::string> words;
  for (const Op& op : kernel.ops) {
    std::string word(def(op).name);
    if ((flops_of(kernel, op) > 0 || kernel.ops.size() == 1) && words.size() < 4 &&
        std::find(words.begin(), words.end(), word) == words.end())
      words.push_back(word);
  }
  return words.empty() ? std::string(def(kernel.ops.back()).name)
                       : fmt::format("{}", fmt::join(words, "_"));
}

// What loops are made of, and what has a place in memory: everything else is gone before.
void check_primitive(const Function& entry) {
  for (const Op& op : entry.ops)
    if (KernelClass kernel = def(op).kernel;
        kernel == KernelClass::composite || kernel == KernelClass::control)
      throw UserError(op.loc, fmt::format("@{}: `{}` is no primitive op that could be fused",
                                          entry.name, def(op).name))
          .with_help(kernel == KernelClass::composite
                         ? "run `expand` first"
                         : "run `unroll` first; what was fused already cannot be fused again");
}

class Fuser {
 public:
  Fuser(const Module& module, const Options& options) : module_(module), options_(options) {
    to_.name = module.name;
    to_.states = module.states;
  }

  Module run() {
    std::vector<Function> entries;
    for (const Function& function : module_.functions) {
      if (function.kind != FunctionKind::entry)
        continue;
      check_primitive(function);
      entries.push_back(entry(with_own_producers(without_dead_ops(function))));
    }
    for (Function& function : entries)
      to_.functions.push_back(std::move(function));
    return std::move(to_);
  }

 private:
  Function entry(const Function& from) {
    Grouping grouping = group_by_cost(from, cost_table(options_.target.cpu),
                                      casts_of_products(from, options_.target),
                                      static_cast<bool>(options_.explain));
    KernelMaker maker(from, grouping);
    Rewrite rewrite(from);
    std::vector<std::string> names;
    for (size_t i = 0; i < grouping.groups.size(); ++i) {
      const Group& group = grouping.groups[i];
      if (group.shape.kind == KernelClass::view)
        rewrite.copy(from.ops[group.ops[0]]);
      else
        call(rewrite, group, maker.make(i));
      names.push_back(rewrite.to().ops.back().callee);
    }
    explain(from, grouping, names);
    detach_clobbered_state(rewrite);
    return rewrite.finish();
  }

  // Says, dearest value first, why kernels that pass values stay apart.
  void explain(const Function& from, const Grouping& grouping,
               const std::vector<std::string>& names) const {
    std::vector<const Apart*> pairs;
    for (const Apart& apart : grouping.apart)
      if (!names[apart.producer].empty() && !names[apart.consumer].empty())
        pairs.push_back(&apart);
    std::stable_sort(pairs.begin(), pairs.end(), [&](const Apart* a, const Apart* b) {
      return from.type(a->value).bytes() > from.type(b->value).bytes();
    });
    for (const Apart* apart : pairs)
      options_.explain(fmt::format("@{}: @{} and @{} are apart, {} bytes of %{} pass: {}",
                                   from.name, names[apart->producer], names[apart->consumer],
                                   from.type(apart->value).bytes(), from[apart->value].name,
                                   apart->reason));
  }

  void call(Rewrite& rewrite, const Group& group, const KernelDraft& draft) {
    const Function& from = rewrite.from();
    rewrite.at(main_op(from, group));
    if (group.shape.update)
      rewrite.builder().phase = Phase::update;
    std::vector<Type> types;
    for (ValueId result : draft.results)
      types.push_back(from.type(result));
    std::vector<ValueId> results = rewrite.builder().call(
        Opcode::call, kernel_named(draft.function), rewrite(draft.operands), types);
    for (size_t i = 0; i < results.size(); ++i) {
      rewrite.builder().set_name(results[i], from[draft.results[i]].name);
      rewrite.map(draft.results[i], results[i]);
    }
  }

  // The op that a kernel is known by: its dearest.
  static const Op& main_op(const Function& function, const Group& group) {
    return function
        .ops[*std::max_element(group.ops.begin(), group.ops.end(), [&](uint32_t a, uint32_t b) {
          return flops_of(function, function.ops[a]) < flops_of(function, function.ops[b]);
        })];
  }

  std::string kernel_named(const Function& kernel) {
    auto [known, fresh] = kernels_.try_emplace(print(without_names(kernel)));
    if (fresh) {
      Function named = kernel;
      std::string base = describe(kernel);
      int ordinal = ++ordinals_[base];
      known->second = named.name = fmt::format("{}_{}", base, ordinal);
      to_.functions.push_back(std::move(named));
    }
    return known->second;
  }

  // A kernel that writes state and reads its old content elsewhere than at the element being
  // written computes into the arena; a copy follows.
  void detach_clobbered_state(Rewrite& rewrite) {
    Function& entry = rewrite.to();
    std::map<std::string, std::set<ValueId>> old_content = contents_of_state(entry);
    std::vector<std::optional<OpId>> definitions = defining_ops(entry);
    for (const Result& result : rewrite.from().results) {
      ValueId value = rewrite(result.value);
      if (result.state.empty() ||
          !clobbers(entry.ops[definitions[value.index]->index], old_content[result.state], value))
        continue;
      Function copy;
      copy.kind = FunctionKind::kernel;
      Builder inside(copy);
      inside.result(inside.op(Opcode::copy, {inside.parameter(entry.type(value), "x")}));
      copy.attrs.set("class", std::string(name_of(KernelClass::map)));
      copy.attrs.set("inplace", std::vector<int64_t>{0, 0});
      rewrite.builder().phase = Phase::update;
      Type type = entry.type(value);
      rewrite.map(result.value,
                  rewrite.builder().call(Opcode::call, kernel_named(copy), {value}, {&type, 1})[0]);
    }
  }

  // By state tensor: the values that are its content before the step, views included.
  static std::map<std::string, std::set<ValueId>> contents_of_state(const Function& entry) {
    std::map<std::string, std::set<ValueId>> contents;
    for (const Parameter& parameter : entry.parameters)
      if (!parameter.state.empty())
        contents[parameter.state].insert(parameter.value);
    for (const Op& op : entry.ops)
      if (def(op).kernel == KernelClass::view)
        for (auto& [unused, values] : contents)
          if (values.contains(op.operands[0]))
            values.insert(op.results[0]);
    return contents;
  }

  bool clobbers(const Op& call, const std::set<ValueId>& old_content, ValueId value) const {
    const Function& kernel = to_.function(call.callee);
    auto result =
        static_cast<size_t>(std::ranges::find(call.results, value) - call.results.begin());
    for (size_t i = 0; i < call.operands.size(); ++i)
      if (old_content.contains(call.operands[i]) && !may_overwrite(kernel, i, result))
        return true;
    return false;
  }

  const Module& module_;
  const Options& options_;
  Module to_;
  std::map<std::string, std::string> kernels_;  // text without names -> name
  std::map<std::string, int> ordinals_;
};

}  // namespace

Module fuse(const Module& module, const Options& options) {
  return Fuser(module, options).run();
}

}  // namespace gradc
