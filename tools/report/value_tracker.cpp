#include "tools/report/value_tracker.h"

#include <algorithm>

namespace gradc {

// The ops of a function with its kernels' ops in the place of their calls. Values have slots; a
// kernel's parameters and results have those of the call's operands and results.
struct ValueTracker::Flat {
  struct Step {
    const Function* function;
    const Op* op;
    std::vector<int> operands, results;  // slots
  };

  std::vector<Step> steps;
  int slots = 0;
  std::vector<int> of_value;  // by ValueId
  std::vector<std::vector<int>> inside;  // by op, then by the kernel's ValueId
};

namespace {

template <class Map, class Key>
const typename Map::mapped_type* find(const Map& map, const Key& key) {
  auto found = map.find(key);
  return found == map.end() ? nullptr : &found->second;
}

std::vector<int> at_all(const std::vector<int>& table, const std::vector<int>& slots) {
  std::vector<int> ids;
  for (int slot : slots)
    ids.push_back(table[slot]);
  return ids;
}

}  // namespace

ValueTracker::Flat ValueTracker::flatten(const Module& module, const Function& function) {
  Flat flat;
  auto fresh = [&] { return flat.slots++; };
  auto slots_of = [](const std::vector<ValueId>& values, const std::vector<int>& table) {
    std::vector<int> slots;
    for (ValueId value : values)
      slots.push_back(table[value.index]);
    return slots;
  };
  for (size_t i = 0; i < function.values.size(); ++i)
    flat.of_value.push_back(fresh());
  for (const Op& op : function.ops) {
    std::vector<int>& inside = flat.inside.emplace_back();
    const Function* callee = op.code == Opcode::call ? module.find_function(op.callee) : nullptr;
    if (!callee || callee->kind != FunctionKind::kernel) {
      flat.steps.push_back({&function, &op, slots_of(op.operands, flat.of_value),
                            slots_of(op.results, flat.of_value)});
      continue;
    }
    for (size_t i = 0; i < callee->values.size(); ++i)
      inside.push_back(fresh());
    for (size_t i = 0; i < op.operands.size(); ++i)
      inside[callee->parameters[i].value.index] = flat.of_value[op.operands[i].index];
    for (const Op& inner : callee->ops)
      flat.steps.push_back(
          {callee, &inner, slots_of(inner.operands, inside), slots_of(inner.results, inside)});
    for (size_t i = 0; i < op.results.size(); ++i)
      flat.of_value[op.results[i].index] = inside[callee->results[i].value.index];
  }
  return flat;
}

std::vector<int> ValueTracker::parameter_ids(const Function& function, const Flat& flat,
                                             Stage& now) {
  std::vector<int> ids(flat.slots, -1);
  for (const Parameter& parameter : function.parameters) {
    std::string key = function[parameter.value].name + "=" + parameter.state;
    const int* known = find(before_.parameters, key);
    int id = known ? *known : next_id_++;
    ids[flat.of_value[parameter.value.index]] = id;
    now.parameters[key] = id;
    now.from_outside.insert(id);
  }
  return ids;
}

// Ids of the stage before that this one computes in the same way. They are not free for others.
std::set<int> ValueTracker::computed_as_before(const Flat& flat, std::vector<int> ids) const {
  std::set<int> kept;
  int unknown = -2;
  for (const Flat::Step& step : flat.steps) {
    Key key{step.op->code, step.op->callee, step.op->attrs, at_all(ids, step.operands)};
    const std::vector<int>* known = find(before_.computed, key);
    for (size_t i = 0; i < step.results.size(); ++i) {
      ids[step.results[i]] = known ? (*known)[i] : unknown--;
      if (known)
        kept.insert((*known)[i]);
    }
  }
  return kept;
}

// The nearest values that `operands` are computed from in `made_in` and that `known` has as well.
// Constants say nothing about where a value comes from.
std::set<int> ValueTracker::known_inputs(const std::vector<int>& operands, const Stage& made_in,
                                         const Stage& known) {
  constexpr size_t kMostVisited = 64;
  std::set<int> inputs, visited;
  std::vector<int> pending = operands;
  while (!pending.empty() && visited.size() < kMostVisited) {
    int id = pending.back();
    pending.pop_back();
    if (!visited.insert(id).second)
      continue;
    const Made* made = find(made_in.made, id);
    if (made && made->operands.empty())
      continue;
    if (known.has(id))
      inputs.insert(id);
    else if (made)
      pending.insert(pending.end(), made->operands.begin(), made->operands.end());
  }
  return inputs;
}

// What became of a value of the stage before that is not `taken`, if `made` is.
std::optional<int> ValueTracker::changed_from(const Hint& hint, const Made& made,
                                              const std::set<int>& taken, const Stage& now) const {
  const std::vector<int>* candidates = find(before_.named, hint);
  if (!candidates)
    return std::nullopt;
  std::optional<int> best;
  size_t most_shared = 0;
  std::set<int> inputs = known_inputs(made.operands, now, before_);
  for (int candidate : *candidates) {
    const Made& old = before_.made.at(candidate);
    if (taken.contains(candidate) || old.type != made.type)
      continue;
    size_t shared = 0;
    for (int input : known_inputs(old.operands, before_, now))
      shared += inputs.count(input);
    if (shared > most_shared) {
      most_shared = shared;
      best = candidate;
    }
  }
  return best;
}

void ValueTracker::number(const Flat& flat, std::vector<int>& ids, Stage& now) {
  std::set<int> taken = computed_as_before(flat, ids);
  for (const Flat::Step& step : flat.steps) {
    Key key{step.op->code, step.op->callee, step.op->attrs, at_all(ids, step.operands)};
    const std::vector<int>* known = find(before_.computed, key);
    if (!known)
      known = find(now.computed, key);
    std::vector<int> results;
    for (size_t i = 0; i < step.results.size(); ++i) {
      const Value& value = (*step.function)[step.op->results[i]];
      Hint hint{value.name, step.op->loc};
      Made made{value.type, std::get<3>(key)};
      std::optional<int> id;
      if (known)
        id = (*known)[i];
      else
        id = changed_from(hint, made, taken, now);
      if (!id)
        id = next_id_++;
      taken.insert(*id);
      results.push_back(*id);
      ids[step.results[i]] = *id;
      if (now.made.try_emplace(*id, std::move(made)).second)
        now.named[std::move(hint)].push_back(*id);
    }
    now.computed.try_emplace(std::move(key), std::move(results));
  }
}

TrackedFunction ValueTracker::follow(const Module& module, const Function& function) {
  Flat flat = flatten(module, function);
  Stage now;
  std::vector<int> ids = parameter_ids(function, flat, now);
  number(flat, ids, now);
  before_ = std::move(now);
  TrackedFunction tracked{at_all(ids, flat.of_value), {}};
  for (const std::vector<int>& inside : flat.inside)
    tracked.inside.push_back(at_all(ids, inside));
  return tracked;
}

}  // namespace gradc
