#include "planning_entries.h"

#include <algorithm>

#include "compiler/kernel.h"

namespace gradc_test {

using namespace gradc;

namespace {

Type vector_type(int64_t elements) {
  return {DType::f32, {elements}};
}

class TrainingStep {
 public:
  TrainingStep(Module& module, uint32_t seed)
      : module_(module), kernels_(module), random_(seed), b_(entry_) {
    entry_.name = "train_step";
    layers_ = static_cast<int>(between(1, 8));
    updates_at_once_ = chance(2);
  }

  void build() {
    ValueId x = b_.parameter(vector_type(size()), "x");
    activations_.push_back(x);
    for (int layer = 0; layer < layers_; ++layer)
      forward(layer);
    ValueId loss = call({activations_.back()}, 16, "loss");
    b_.phase = Phase::backward;
    gradients_.resize(activations_.size());
    gradients_.back().push_back(call({activations_.back(), loss}, elements(activations_.back()),
                                     "d.h" + std::to_string(layers_)));
    for (int layer = layers_; layer-- > 0;)
      backward(layer);
    b_.phase = Phase::update;
    for (auto& [name, dw] : late_updates_)
      update(name, dw);
    b_.phase = Phase::forward;
    b_.result(call({loss}, 16, "loss.copy"), "loss");
    for (auto& [value, state] : tied_)
      b_.result(value, "", state);
    module_.functions.push_back(std::move(entry_));
  }

 private:
  struct Layer {
    std::string w;  // state
    ValueId w_old;
    std::vector<size_t> reads;  // activations
  };

  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1));
  }
  bool chance(int one_in) { return between(1, one_in) == 1; }
  int64_t size() { return 16 * between(1, 6); }
  int64_t elements(ValueId id) { return b_.type(id).elements(); }

  // Sometimes reads an operand through views.
  ValueId seen(ValueId id) {
    if (!chance(4))
      return id;
    ValueId rows = b_.reshape(id, {elements(id) / 4, 4});
    return b_.reshape(rows, {elements(id)});
  }

  std::vector<ValueId> call_many(const std::vector<ValueId>& operands,
                                 const std::vector<int64_t>& results, const std::string& name,
                                 bool inplace) {
    KernelMaker::Spec spec{.results = results, .inplace = inplace};
    std::vector<ValueId> seen_operands;
    for (ValueId operand : operands) {
      seen_operands.push_back(seen(operand));
      spec.operands.push_back(elements(operand));
    }
    spec.workspace = chance(4) ? 64 * between(1, 8) : 0;
    spec.scratch = chance(6) ? 64 * between(1, 4) : 0;
    return kernels_.call(b_, spec, seen_operands, name);
  }

  ValueId call(const std::vector<ValueId>& operands, int64_t result, const std::string& name) {
    return call_many(operands, {result}, name, chance(2))[0];
  }

  ValueId bound(const std::string& name, int64_t count, Role role) {
    module_.states.push_back({name, vector_type(count), role, {}, ""});
    return b_.parameter(vector_type(count), name, name);
  }

  void forward(int layer) {
    std::string number = std::to_string(layer + 1);
    Layer made{"w" + number, bound("w" + number, size(), Role::parameter), {}};
    made.reads = {activations_.size() - 1};
    if (chance(3))
      made.reads.push_back(static_cast<size_t>(between(0, layer)));
    std::vector<ValueId> operands;
    for (size_t i : made.reads)
      operands.push_back(activations_[i]);
    if (chance(4)) {  // statistics of the batch, and running ones
      ValueId mean = bound("mean" + number, 16, Role::buffer);
      if (chance(2)) {
        std::vector<ValueId> both =
            call_many({operands[0], mean}, {16, 16}, "statistics" + number, true);
        operands.push_back(both[0]);
        tied_.emplace_back(both[1], "mean" + number);
      } else {
        operands.push_back(call({operands[0]}, 16, "statistics" + number));
        tied_.emplace_back(update_kernel({mean, operands.back()}), "mean" + number);
      }
    }
    operands.push_back(made.w_old);
    activations_.push_back(call(operands, size(), "h" + number));
    made_.push_back(made);
  }

  void backward(int layer) {
    const Layer made = made_[static_cast<size_t>(layer)];
    ValueId dy = total(static_cast<size_t>(layer) + 1);
    for (size_t i : made.reads)
      if (i > 0)
        gradients_[i].push_back(call({dy, activations_[i], made.w_old}, elements(activations_[i]),
                                     "d.h" + std::to_string(i)));
    ValueId dw = call({dy, activations_[made.reads[0]]}, elements(made.w_old), "d." + made.w);
    if (updates_at_once_)
      update(made.w, dw);
    else
      late_updates_.emplace_back(made.w, dw);
  }

  ValueId total(size_t activation) {
    std::vector<ValueId>& parts = gradients_[activation];
    if (parts.empty())  // only read where no gradient goes
      parts.push_back(call({activations_[activation]}, elements(activations_[activation]), "zero"));
    ValueId sum = parts[0];
    for (size_t i = 1; i < parts.size(); ++i)
      sum = call({sum, parts[i]}, elements(sum), "sum");
    return sum;
  }

  // Reads the old state first, and may overwrite it.
  ValueId update_kernel(const std::vector<ValueId>& operands) {
    KernelMaker::Spec spec{.results = {elements(operands[0])}, .inplace = true};
    for (ValueId operand : operands)
      spec.operands.push_back(elements(operand));
    return kernels_.call(b_, spec, operands, "new")[0];
  }

  void update(const std::string& w, ValueId dw) {
    Phase phase = b_.phase;
    b_.phase = Phase::update;
    ValueId w_old = entry_.find_parameter(w)->value;
    if (chance(2)) {
      ValueId moment = bound(w + ".m", elements(w_old), Role::optimizer);
      ValueId next = update_kernel({moment, dw});
      tied_.emplace_back(next, w + ".m");
      dw = next;
    }
    tied_.emplace_back(update_kernel({w_old, dw}), w);
    b_.phase = phase;
  }

  Module& module_;
  KernelMaker kernels_;
  std::mt19937 random_;
  Function entry_;
  Builder b_;
  int layers_ = 0;
  bool updates_at_once_ = false;
  std::vector<ValueId> activations_;
  std::vector<Layer> made_;
  std::vector<std::vector<ValueId>> gradients_;
  std::vector<std::pair<std::string, ValueId>> late_updates_;
  std::vector<std::pair<ValueId, std::string>> tied_;
};

}  // namespace

std::string KernelMaker::kernel(const Spec& spec) {
  for (const auto& [known, name] : made_)
    if (known == spec)
      return name;
  Function kernel;
  kernel.kind = FunctionKind::kernel;
  kernel.name = "k" + std::to_string(made_.size());
  Builder b(kernel);
  std::vector<ValueId> operands;
  for (int64_t elements : spec.operands)
    operands.push_back(b.parameter(vector_type(elements), "x"));
  std::vector<int64_t> pairs;
  for (size_t r = 0; r < spec.results.size(); ++r) {
    ValueId sum = b.constant(vector_type(spec.results[r]), 0.25 * static_cast<double>(r + 1));
    for (size_t i = 0; i < operands.size(); ++i) {
      bool equal = spec.operands[i] == spec.results[r];
      ValueId term =
          equal ? operands[i] : b.broadcast(b.reduce_sum(operands[i], {0}), {}, {spec.results[r]});
      sum = b.op(Opcode::add, {sum, term});
      if (equal && spec.inplace)
        pairs.insert(pairs.end(), {static_cast<int64_t>(i), static_cast<int64_t>(r)});
    }
    b.result(b.op(Opcode::tanh, {sum}));
  }
  kernel.attrs.set("class", std::string("map"));
  if (!pairs.empty())
    kernel.attrs.set("inplace", pairs);
  if (spec.workspace > 0)
    kernel.attrs.set("workspace", spec.workspace);
  if (spec.scratch > 0)
    kernel.attrs.set("scratch", spec.scratch);
  module_.functions.push_back(kernel);
  made_.emplace_back(spec, kernel.name);
  return kernel.name;
}

std::vector<ValueId> KernelMaker::call(Builder& b, const Spec& spec,
                                       const std::vector<ValueId>& operands,
                                       const std::string& name) {
  std::vector<Type> types;
  for (int64_t elements : spec.results)
    types.push_back(vector_type(elements));
  std::vector<ValueId> results = b.call(Opcode::call, kernel(spec), operands, types);
  for (ValueId result : results)
    b.set_name(result, name);
  return results;
}

Module random_entry(uint32_t seed) {
  Module module;
  module.name = "random" + std::to_string(seed);
  TrainingStep(module, seed).build();
  return module;
}

Module chain_entry(int layers, int64_t elements, bool train) {
  Module module;
  module.name = "chain";
  KernelMaker kernels(module);
  Function entry;
  entry.name = train ? "train_step" : "infer";
  Builder b(entry);
  std::vector<ValueId> h = {b.parameter(vector_type(elements), "x")}, w;
  for (int i = 1; i <= layers; ++i) {
    std::string name = "w" + std::to_string(i);
    module.states.push_back({name, vector_type(elements), Role::parameter, {}, ""});
    w.push_back(b.parameter(vector_type(elements), name, name));
  }
  KernelMaker::Spec two{.operands = {elements, elements}, .results = {elements}};
  KernelMaker::Spec three{.operands = {elements, elements, elements}, .results = {elements}};
  KernelMaker::Spec update{
      .operands = {elements, elements}, .results = {elements}, .inplace = true};
  for (int i = 0; i < layers; ++i)
    h.push_back(kernels.call(b, two, {h.back(), w[i]}, "h" + std::to_string(i + 1))[0]);
  b.result(kernels.call(b, {.operands = {elements}, .results = {16}}, {h.back()}, "loss")[0],
           "loss");
  ValueId dy = h.back();
  for (int i = layers; train && i-- > 0;) {
    b.phase = Phase::backward;
    ValueId dw = kernels.call(b, two, {dy, h[i]}, "d.w" + std::to_string(i + 1))[0];
    if (i > 0)
      dy = kernels.call(b, three, {dy, h[i], w[i]}, "d.h" + std::to_string(i))[0];
    b.phase = Phase::update;
    ValueId next = kernels.call(b, update, {w[i], dw}, "new.w" + std::to_string(i + 1))[0];
    b.result(next, "", "w" + std::to_string(i + 1));
  }
  module.functions.push_back(std::move(entry));
  return module;
}

const Function& entry_of(const Module& module) {
  return *std::find_if(module.functions.begin(), module.functions.end(),
                       [](const Function& f) { return f.kind == FunctionKind::entry; });
}

Outcome run_entry(const Module& module) {
  int next = 0;
  auto filled = [&](const Type& type) {
    Tensor tensor{type, std::vector<double>(static_cast<size_t>(type.elements()))};
    for (double& element : tensor.data)
      element = 0.01 * static_cast<double>(++next * 37 % 101 - 50);
    return tensor;
  };
  Outcome outcome;
  for (const StateTensor& state : module.states)
    outcome.state[state.name] = filled(state.type);
  std::vector<Tensor> arguments;
  for (const Parameter& parameter : entry_of(module).parameters)
    if (parameter.state.empty())
      arguments.push_back(filled(entry_of(module).type(parameter.value)));
  outcome.results = eval(module, entry_of(module), arguments, outcome.state);
  return outcome;
}

}  // namespace gradc_test
