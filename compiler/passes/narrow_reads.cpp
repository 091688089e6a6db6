#include "compiler/passes/narrow_reads.h"

#include <optional>
#include <vector>

#include "compiler/entries.h"
#include "ir/module.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

// By value: what the forward pass rounded it to, if it did. Results and parameters are there in f32
// whoever reads them.
std::vector<ValueId> rounded_values(const Function& function, DType narrow) {
  std::vector<std::optional<OpId>> definitions = defining_ops(function);
  std::vector<ValueId> rounded(function.values.size());
  for (const Op& op : function.ops)
    if (op.phase == Phase::forward && op.code == Opcode::cast &&
        function.type(op.result()).dtype == narrow && definitions[op.operand(0).index])
      rounded[op.operand(0).index] = op.result();
  for (const Result& result : function.results)
    rounded[result.value.index] = {};
  return rounded;
}

Function with_narrow_reads(const Function& from, DType narrow) {
  std::vector<ValueId> rounded = rounded_values(from, narrow);
  Rewrite rewrite(from);
  for (const Op& op : from.ops) {
    Builder& builder = rewrite.at(op);
    for (ValueId operand : op.operands)
      if (ValueId& value = rounded[operand.index]; op.phase == Phase::backward && value.valid()) {
        // From here on: the backward pass comes last.
        DType wide = from.type(operand).dtype;
        rewrite.map(operand, builder.op(Opcode::cast, {rewrite(value)}, {{"dtype", wide}}));
        value = {};
      }
    rewrite.copy(op);
  }
  return rewrite.finish();
}

}  // namespace

Module narrow_reads(const Module& module, const Options& options) {
  Module result = module;
  if (Function* step = result.find_function(kTrainStep); step && options.narrows())
    *step = with_narrow_reads(*step, options.precision);
  return result;
}

}  // namespace gradc
