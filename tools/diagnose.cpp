#include "tools/diagnose.h"

#include <cmath>
#include <cstring>

#include "compiler/compile.h"
#include "compiler/entries.h"
#include "ir/op_def.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

int64_t count_bad(std::span<const std::byte> bytes) {
  int64_t bad = 0;
  for (size_t i = 0; i + 4 <= bytes.size(); i += 4) {
    float value = 0;
    std::memcpy(&value, bytes.data() + i, 4);
    bad += !std::isfinite(value);
  }
  return bad;
}

// The forward pass with the result of every op on f32 as an output named by its number in the list.
Module probe_of(const Module& imported) {
  Module probe;
  probe.name = imported.name;
  probe.states = imported.states;
  for (const Function& function : imported.functions)
    if (function.kind != FunctionKind::entry)
      probe.functions.push_back(function);
  const Function& step = imported.function(kTrainStep);
  Rewrite rewrite(step);
  for (const Op& op : step.ops)
    rewrite.copy(op);
  for (size_t i = 0; i < step.ops.size(); ++i)
    if (step.type(step.ops[i].results[0]).dtype == DType::f32)
      rewrite.builder().result(rewrite(step.ops[i].results[0]), std::to_string(i));
  rewrite.to().name = kInfer;
  probe.functions.push_back(std::move(rewrite.to()));
  return probe;
}

std::string describe(const Op& op, const Function& function, int64_t bad) {
  const Value& value = function[op.results[0]];
  return fmt::format(
      "{}: `{}` is the first layer with values that are not finite: %{} has {} of {}",
      op.loc.empty() ? "in the forward pass" : op.loc, def(op).name, value.name, bad,
      value.type.elements());
}

// The inputs of one micro-batch of the step; all there are without --accumulate.
void feed_micro_batch(EntryCall& forward, EntryCall& step, size_t micro_batch) {
  for (uint32_t i = 0; i < forward.entry().input_count; ++i) {
    std::string name = forward.entry().inputs[i].name;
    std::span<std::byte> to = forward.input(name);
    std::span<const std::byte> given = step.input(name);
    if (given.size() > to.size())
      given = given.subspan(micro_batch * to.size(), to.size());
    std::copy(given.begin(), given.end(), to.begin());
  }
}

}  // namespace

std::string first_bad_layer(const Session& session, const ModelFlags& flags,
                            std::span<const std::byte> state_before, EntryCall& failed_step) {
  const gradc_module& abi = session.abi();
  for (uint32_t i = 0; i < abi.state_count; ++i) {
    const gradc_tensor& tensor = abi.state[i];
    int64_t bad = tensor.dtype == GRADC_F32
                      ? count_bad(state_before.subspan(tensor.offset, tensor.bytes))
                      : 0;
    if (bad > 0)
      return fmt::format(
          "`{}` already held {} values that are not finite: the update before overflowed",
          tensor.name, bad);
  }
  ModelFlags probe_flags = flags;
  probe_flags.weights.clear();
  probe_flags.options.train = false;
  probe_flags.options.memory.reset();
  probe_flags.options.memory_total.reset();
  Session probe(probe_of(session.imported()), probe_flags);
  for (uint32_t i = 0; i < probe.abi().state_count; ++i) {
    const gradc_tensor& tensor = probe.abi().state[i];
    const gradc_tensor* from = gradc_find_state(&abi, tensor.name);
    if (from)
      std::memcpy(gradc_state_data(probe.instance(), &tensor), state_before.data() + from->offset,
                  tensor.bytes);
  }
  EntryCall forward(probe, kInfer);
  const Function& step = session.imported().function(kTrainStep);
  for (int64_t micro_batch = 0; micro_batch < flags.options.accumulate; ++micro_batch) {
    feed_micro_batch(forward, failed_step, static_cast<size_t>(micro_batch));
    forward.run();
    for (size_t i = 0; i < step.ops.size(); ++i) {
      std::string name = std::to_string(i);
      int64_t bad = forward.has_output(name) ? count_bad(forward.output(name)) : 0;
      if (bad > 0)
        return describe(step.ops[i], step, bad);
    }
  }
  return "the forward pass is finite: the gradients overflowed";
}

}  // namespace gradc
