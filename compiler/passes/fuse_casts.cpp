#include "compiler/passes/fuse_casts.h"

#include <algorithm>

#include "compiler/lower/contract_schedule.h"
#include "ir/builder.h"
#include "ir/op_def.h"

namespace gradc {
namespace {

// A forward product and a data gradient. What is read more often, as in steps of several batches,
// is narrowed once.
constexpr size_t kMostReaders = 2;

bool narrows_parameter(const Function& function, const Op& op) {
  bool is_result = std::ranges::any_of(
      function.results, [&](const Result& result) { return result.value == op.results[0]; });
  return op.code == Opcode::cast && !is_result &&
         function.type(op.result()).bytes() < function.type(op.operand(0)).bytes() &&
         std::ranges::any_of(
             function.parameters,
             [&](const Parameter& parameter) {
               return parameter.value == op.operand(0) && !parameter.state.empty();
             });
}

// Whether a product of these operands brings both into order, whole and once.
bool orders_once(const Function& function, const Op& op, const Target& target) {
  if (op.code != Opcode::dot)
    return false;
  Function kernel;
  kernel.kind = FunctionKind::kernel;
  Builder builder(kernel);
  ValueId a = builder.parameter(function.type(op.operand(0)), "a");
  ValueId b = builder.parameter(function.type(op.operand(1)), "b");
  builder.result(builder.op(op.code, {a, b}, op.attrs));
  kernel.attrs.set("class", std::string(name_of(KernelClass::contract)));
  return choose_contract_schedule(kernel, target, 1).method == ContractMethod::matrix;
}

}  // namespace

std::vector<uint32_t> casts_of_products(const Function& function, const Target& target) {
  std::vector<std::vector<const Op*>> readers(function.values.size());
  for (const Op& op : function.ops)
    for (ValueId operand : op.operands)
      readers[operand.index].push_back(&op);
  std::vector<uint32_t> casts;
  for (uint32_t i = 0; target.matrix_bf16 && i < function.ops.size(); ++i) {
    const Op& op = function.ops[i];
    if (!narrows_parameter(function, op))
      continue;
    const auto& products = readers[op.result().index];
    bool ordered = std::ranges::all_of(
        products, [&](const Op* reader) { return orders_once(function, *reader, target); });
    if (products.size() <= kMostReaders && ordered)
      casts.push_back(i);
  }
  return casts;
}

}  // namespace gradc
