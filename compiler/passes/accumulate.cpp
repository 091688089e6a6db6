#include "compiler/passes/accumulate.h"

#include <algorithm>
#include <map>
#include <optional>

#include "compiler/entries.h"
#include "ir/builder.h"
#include "ir/diagnostic.h"
#include "ir/op_def.h"
#include "ir/print.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

constexpr std::string_view kStream = "stream";  // of random ops and of what is made of them

bool is_data(const Function& step, const Parameter& parameter) {
  return parameter.state.empty() && !is_control_input(step[parameter.value].name) &&
         step.type(parameter.value).rank() > 0;
}

int64_t first_dim(const Function& step, ValueId value) {
  return step.type(value).dims[0];
}

int64_t count_streams(const Function& step) {
  int64_t streams = 0;
  for (const Op& op : step.ops)
    streams = std::max(streams, op.attrs.integer_or(kStream, -1) + 1);
  return streams;
}

class MicroBatches {
 public:
  MicroBatches(const Function& step, int64_t count)
      : step_(step),
        count_(count),
        batch_(batch_size(step)),
        streams_(count_streams(step)),
        builder_(to_),
        partial_(step.results.size()) {
    to_.kind = step.kind;
    to_.name = step.name;
    to_.attrs = step.attrs;
  }

  Function run() {
    for (const Result& result : step_.results)
      check_joinable(result);
    add_parameters();
    for (int64_t i = 0; i < count_; ++i)
      add_micro_batch(i);
    add_results();
    return std::move(to_);
  }

 private:
  void check_joinable(const Result& result) const {
    if (result.state.empty() && !has_batch(result) && !is_float(step_.type(result.value).dtype))
      fail(
          "result `{}` is {}; micro-batches are joined along a batch axis, and numbers are "
          "averaged "
          "if they are floats",
          result.name, to_string(step_.type(result.value)));
  }

  void add_parameters() {
    for (const Parameter& parameter : step_.parameters) {
      Type type = step_.type(parameter.value);
      if (is_data(step_, parameter))
        type.dims[0] *= count_;
      parameters_.push_back(builder_.parameter(type, step_[parameter.value].name, parameter.state));
    }
  }

  // The rows of an input that are micro-batch i.
  ValueId rows(ValueId input, int64_t i) {
    Dims dims = builder_.dims(input);
    std::vector<int64_t> begin(dims.size(), 0), step(dims.size(), 1), end = dims;
    begin[0] = i * batch_;
    end[0] = (i + 1) * batch_;
    ValueId slice =
        builder_.op(Opcode::slice, {input}, {{"begin", begin}, {"end", end}, {"step", step}});
    builder_.set_name(slice, to_[input].name + ".micro");
    return slice;
  }

  void add_micro_batch(int64_t i) {
    std::vector<ValueId> values(step_.values.size());
    builder_.phase = Phase::forward;
    builder_.loc.clear();
    for (size_t p = 0; p < parameters_.size(); ++p) {
      const Parameter& parameter = step_.parameters[p];
      auto newer = state_.find(parameter.state);
      values[parameter.value.index] = newer != state_.end()       ? newer->second
                                      : is_data(step_, parameter) ? rows(parameters_[p], i)
                                                                  : parameters_[p];
    }
    std::multimap<uint32_t, size_t> sums = results_by_op();
    for (uint32_t k = 0; k < step_.ops.size(); ++k) {
      copy(step_.ops[k], values, i);
      auto [begin, end] = sums.equal_range(k);
      for (auto result = begin; result != end; ++result)
        take(result->second, values);
    }
    for (size_t r = 0; r < step_.results.size(); ++r)
      if (!definition(r))  // a parameter
        take(r, values);
  }

  std::optional<uint32_t> definition(size_t result) {
    if (definitions_.empty())
      definitions_ = defining_ops(step_);
    std::optional<OpId> op = definitions_[step_.results[result].value.index];
    return op ? std::optional(op->index) : std::nullopt;
  }

  // Results by the op of the step that makes them.
  std::multimap<uint32_t, size_t> results_by_op() {
    std::multimap<uint32_t, size_t> results;
    for (size_t r = 0; r < step_.results.size(); ++r)
      if (std::optional<uint32_t> op = definition(r))
        results.emplace(*op, r);
    return results;
  }

  void copy(const Op& op, std::vector<ValueId>& values, int64_t i) {
    Op copied = op;
    if (copied.attrs.has(kStream))  // each micro-batch draws numbers of its own
      copied.attrs.set(kStream, copied.attrs.integer(kStream) + i * streams_);
    append_copy(to_, step_, std::move(copied), values);
  }

  // Whether a result is as long as the batch: those of the micro-batches are joined.
  bool has_batch(const Result& result) const {
    const Type& type = step_.type(result.value);
    return type.rank() > 0 && type.dims[0] == batch_ && !result.name.starts_with(kGradientPrefix);
  }

  // A result of a micro-batch: to be joined, the state for the next one, or a term of a sum, which
  // follows at once, so that the term need not wait.
  void take(size_t r, const std::vector<ValueId>& values) {
    const Result& result = step_.results[r];
    ValueId value = values[result.value.index];
    std::vector<ValueId>& partial = partial_[r];
    if (!result.state.empty()) {
      state_[result.state] = value;
      partial = {value};
    } else if (partial.empty() || is_watched(result) || has_batch(result)) {
      partial.push_back(value);
    } else {
      builder_.phase = result.name.starts_with(kGradientPrefix) ? Phase::backward : Phase::forward;
      partial[0] = builder_.add(partial[0], value);
      builder_.set_name(partial[0], step_[result.value].name + ".sum");
    }
  }

  static bool is_watched(const Result& result) {
    return result.name.starts_with(kWatchInput) || result.name.starts_with(kWatchOutput) ||
           result.name.starts_with(kWatchGradient);
  }

  // watch/output/1/dense of micro-batch 2 is watch/output/1.2/dense.
  static std::string watched_name(const std::string& name, size_t i) {
    size_t slash = name.size();
    for (std::string_view prefix : {kWatchInput, kWatchOutput, kWatchGradient})
      if (name.starts_with(prefix))
        slash = name.find('/', prefix.size());
    return name.substr(0, slash) + "." + std::to_string(i) + name.substr(slash);
  }

  void add_results() {
    builder_.loc.clear();
    for (size_t r = 0; r < step_.results.size(); ++r) {
      const Result& result = step_.results[r];
      if (result.state.empty() && !is_watched(result)) {
        builder_.result(whole(r), result.name);
        continue;
      }
      for (size_t i = 0; i < partial_[r].size(); ++i)
        builder_.result(partial_[r][i], i == 0 ? result.name : watched_name(result.name, i),
                        result.state);
    }
  }

  ValueId whole(size_t r) {
    const Result& result = step_.results[r];
    bool gradient = result.name.starts_with(kGradientPrefix);
    builder_.phase = gradient ? Phase::backward : Phase::forward;
    ValueId value = has_batch(result)
                        ? builder_.op(Opcode::concat, partial_[r], {{"axis", int64_t{0}}})
                        : builder_.scale(partial_[r][0], 1 / static_cast<double>(count_));
    builder_.set_name(value, step_[result.value].name);
    return value;
  }

  const Function& step_;
  int64_t count_, batch_, streams_;
  Function to_;
  Builder builder_;
  std::vector<ValueId> parameters_;  // of `to_`, in the step's order
  std::map<std::string, ValueId> state_;  // what the micro-batches so far have made of it
  std::vector<std::vector<ValueId>> partial_;  // by result: what the micro-batches gave
  std::vector<std::optional<OpId>> definitions_;  // of the step
};

}  // namespace

int64_t batch_size(const Function& step) {
  const Parameter* first = nullptr;
  for (const Parameter& parameter : step.parameters) {
    if (!is_data(step, parameter))
      continue;
    if (!first)
      first = &parameter;
    if (first_dim(step, parameter.value) != first_dim(step, first->value))
      throw UserError("", fmt::format("inputs `{}` and `{}` begin with axes of {} and {}; for "
                                      "micro-batches, the first axis of each must be the batch",
                                      step[first->value].name, step[parameter.value].name,
                                      first_dim(step, first->value),
                                      first_dim(step, parameter.value)));
  }
  if (!first)
    fail("@{} takes no data; there are no micro-batches to accumulate over", step.name);
  return first_dim(step, first->value);
}

Module accumulate(const Module& module, const Options& options) {
  const Function* step = module.find_function(kTrainStep);
  if (!step || !options.accumulates())
    return module;
  Module result = module;
  *result.find_function(kTrainStep) = MicroBatches(*step, options.accumulate).run();
  return result;
}

}  // namespace gradc
