#include "tools/report/layers.h"

#include <algorithm>
#include <map>
#include <set>

#include "compiler/plan/views.h"

namespace gradc {
namespace {

constexpr int kNone = -1;

// Layers of which the common part is wanted.
struct Layers {
  std::string first, common;

  void add(const Layers& other) {
    if (other.first.empty())
      return;
    common = first.empty() ? other.common : common_layer(common, other.common);
    if (first.empty())
      first = other.first;
  }
  void add(const std::string& layer) { add(Layers{layer, layer}); }  // "" adds nothing
  const std::string& common_or_first() const { return common.empty() ? first : common; }
};

class Finder {
 public:
  Finder(const Module& module, const Function& entry)
      : module_(module), entry_(entry), producers_(entry.values.size(), kNone) {
    layers_ = layers_with(Role::parameter);
    if (layers_.empty())
      layers_ = layers_with(Role::buffer);
    for (const Parameter& parameter : entry.parameters)
      if (!parameter.state.empty())
        states_[parameter.value] = parameter.state;
    for (const Result& result : entry.results)
      if (!result.state.empty())
        tied_[result.value] = result.state;
  }

  std::vector<std::string> run() {
    connect();
    find_owned();
    std::vector<Layers> above = layers_above(), below = layers_below();
    std::vector<std::string> ends = results_below();
    std::vector<std::string> layers = owned_;
    for (size_t i = 0; i < layers.size(); ++i) {
      const Op& op = entry_.ops[i];
      if (is_view(op)) {
        int producer = producers_[op.result().index];
        layers[i] = producer == kNone ? "" : layers[producer];
      } else if (layers[i].empty()) {
        layers[i] = op.phase == Phase::forward && below[i].first.empty() && !ends[i].empty()
                        ? ends[i]
                        : between(above[i], below[i]);
      }
    }
    return layers;
  }

 private:
  std::set<std::string> layers_with(Role role) const {
    std::set<std::string> layers;
    for (const StateTensor& state : module_.states)
      if (state.role == role)
        layers.insert(layer_of_state(state.name));
    return layers;
  }

  // What a layer owns: its parameters and what is named like them, such as running statistics. The
  // optimizer's states of a parameter say no more than the parameter.
  std::string owner(const std::string& state) const {
    const StateTensor* tensor = module_.find_state(state);
    std::string layer = layer_of_state(state);
    return tensor && is_weight(*tensor) && layers_.contains(layer) ? layer : "";
  }

  void connect() {
    readers_.resize(entry_.ops.size());
    for (size_t i = 0; i < entry_.ops.size(); ++i) {
      const Op& op = entry_.ops[i];
      if (is_view(op)) {
        producers_[op.result().index] = producers_[op.operand(0).index];
        continue;
      }
      for (ValueId operand : op.operands)
        if (int producer = producers_[operand.index]; producer != kNone)
          readers_[producer].push_back(static_cast<int>(i));
      for (ValueId result : op.results)
        producers_[result.index] = static_cast<int>(i);
    }
  }

  // Parameters that the product of a kernel multiplies with, by the entry's value.
  std::set<ValueId> factors(const Op& call) const {
    const Function& kernel = module_.function(call.callee);
    std::vector<bool> multiplied(kernel.values.size());
    for (size_t i = kernel.ops.size(); i-- > 0;) {
      const Op& op = kernel.ops[i];
      bool needed = def(op).kernel == KernelClass::contract;
      for (ValueId result : op.results)
        needed = needed || multiplied[result.index];
      for (ValueId operand : op.operands)
        multiplied[operand.index] = multiplied[operand.index] || needed;
    }
    std::set<ValueId> values;
    for (size_t i = 0; i < call.operands.size(); ++i)
      if (multiplied[kernel.parameters[i].value.index] && states_.contains(call.operands[i]))
        values.insert(call.operands[i]);
    return values;
  }

  Layers own_layers(const Op& op) const {
    Layers layers;
    if (is_view(op))
      return layers;
    std::set<ValueId> weights = factors(op);
    for (ValueId operand : op.operands)
      if (auto state = states_.find(operand);
          state != states_.end() && (weights.empty() || weights.contains(operand)))
        layers.add(owner(state->second));
    for (ValueId result : op.results)
      if (auto state = tied_.find(result); state != tied_.end())
        layers.add(owner(state->second));
    return layers;
  }

  void find_owned() {
    std::vector<Layers> layers;
    for (const Op& op : entry_.ops)
      layers.push_back(own_layers(op));
    // What an update reads from the backward pass is the gradient of what it updates.
    for (size_t i = 0; i < entry_.ops.size(); ++i)
      if (entry_.ops[i].phase == Phase::update)
        for (ValueId operand : entry_.ops[i].operands)
          if (int producer = producers_[operand.index];
              producer != kNone && entry_.ops[producer].phase == Phase::backward)
            layers[producer].add(layers[i]);
    for (const Layers& own : layers)
      owned_.push_back(own.common_or_first());
  }

  // By op: the nearest layers that it is computed from.
  std::vector<Layers> layers_above() const {
    std::vector<Layers> above(entry_.ops.size());
    for (size_t i = 0; i < above.size(); ++i)
      for (ValueId operand : entry_.ops[i].operands)
        if (int producer = producers_[operand.index];
            producer != kNone && entry_.ops[producer].phase != Phase::update) {
          if (owned_[producer].empty())
            above[i].add(above[producer]);
          else
            above[i].add(owned_[producer]);
        }
    return above;
  }

  // By op: the nearest layers of its phase that are computed from it.
  std::vector<Layers> layers_below() const {
    std::vector<Layers> below(entry_.ops.size());
    for (size_t i = below.size(); i-- > 0;)
      for (int reader : readers_[i])
        if (entry_.ops[reader].phase == entry_.ops[i].phase) {
          if (owned_[reader].empty())
            below[i].add(below[reader]);
          else
            below[i].add(owned_[reader]);
        }
    return below;
  }

  // By op: the first result of the entry that it leads to in its own phase.
  std::vector<std::string> results_below() const {
    std::vector<std::string> ends(entry_.ops.size());
    for (const Result& result : entry_.results)
      if (int producer = producers_[result.value.index]; producer != kNone)
        if (ends[producer].empty())
          ends[producer] = result.name;
    for (size_t i = ends.size(); i-- > 0;)
      for (int reader : readers_[i])
        if (ends[i].empty() && entry_.ops[reader].phase == entry_.ops[i].phase)
          ends[i] = ends[reader];
    return ends;
  }

  static std::string between(const Layers& above, const Layers& below) {
    Layers both = above;
    both.add(below);
    return !both.common.empty() ? both.common : above.common_or_first();
  }

  const Module& module_;
  const Function& entry_;
  std::set<std::string> layers_;  // that have parameters
  std::map<ValueId, std::string> states_, tied_;
  std::vector<int> producers_;  // by value: the kernel, views seen through
  std::vector<std::vector<int>> readers_;  // by op
  std::vector<std::string> owned_;  // by op: the layer whose parameters it reads or makes
};

}  // namespace

std::string layer_of_state(std::string_view state) {
  size_t dot = state.rfind('.');
  return std::string(state.substr(0, dot == std::string_view::npos ? state.size() : dot));
}

std::string common_layer(std::string_view a, std::string_view b) {
  size_t same =
      static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
  bool whole = (same == a.size() || a[same] == '.') && (same == b.size() || b[same] == '.');
  if (!whole) {
    size_t dot = a.substr(0, same).rfind('.');
    same = dot == std::string_view::npos ? 0 : dot;
  }
  return std::string(a.substr(0, same));
}

std::vector<std::string> layers_of(const Module& module, const Function& entry) {
  return Finder(module, entry).run();
}

}  // namespace gradc
