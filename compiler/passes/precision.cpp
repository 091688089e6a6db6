#include "compiler/passes/precision.h"

#include <algorithm>
#include <vector>

#include "ir/op_def.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

class Narrowing {
 public:
  Narrowing(const Function& from, DType narrow)
      : rewrite_(from), narrow_type_(narrow), casts_(from.values.size()) {}

  Function run() {
    const Function& from = rewrite_.from();
    for (const Op& op : from.ops)
      visit(op);
    rewrite_.builder().loc.clear();
    for (const Result& result : from.results)
      rewrite_.map(result.value, as(result.value, from.type(result.value).dtype));
    return rewrite_.finish();
  }

 private:
  bool is_narrow(ValueId old) {
    return rewrite_.to().type(rewrite_(old)).dtype == narrow_type_ &&
           rewrite_.from().type(old).dtype == DType::f32;
  }

  // The new value for an old one in another type; made once.
  ValueId as(ValueId old, DType dtype) {
    ValueId value = rewrite_(old);
    if (rewrite_.to().type(value).dtype == dtype)
      return value;
    ValueId& cast = casts_[old.index];
    if (!cast.valid())
      cast = rewrite_.builder().op(Opcode::cast, {value}, {{"dtype", dtype}});
    return cast;
  }

  void visit(const Op& op) {
    Builder& builder = rewrite_.at(op);
    const Function& from = rewrite_.from();
    const OpDef& record = def(op);
    bool any_narrow = std::any_of(op.operands.begin(), op.operands.end(),
                                  [&](ValueId operand) { return is_narrow(operand); });
    bool contracts = record.kernel == KernelClass::contract;
    if (!contracts && !any_narrow) {
      rewrite_.copy(op);
      return;
    }
    bool in_narrow = contracts || record.exact;
    std::vector<ValueId> operands;
    for (ValueId operand : op.operands) {
      bool is_f32 = from.type(operand).dtype == DType::f32;
      operands.push_back(is_f32 ? as(operand, in_narrow ? narrow_type_ : DType::f32)
                                : rewrite_(operand));
    }
    int64_t elements = smallest_narrow(op);
    std::vector<ValueId> results = builder.op_multi(op.code, operands, op.attrs);
    for (size_t i = 0; i < results.size(); ++i) {
      ValueId old = op.results[i], fresh = results[i];
      const Type& type = from.type(old);
      if (!in_narrow && type.dtype == DType::f32 && type.elements() >= elements)
        fresh = builder.op(Opcode::cast, {fresh}, {{"dtype", narrow_type_}});
      builder.set_name(fresh, from[old].name);
      rewrite_.map(old, fresh);
    }
  }

  int64_t smallest_narrow(const Op& op) {
    int64_t least = INT64_MAX;
    for (ValueId operand : op.operands)
      if (is_narrow(operand))
        least = std::min(least, rewrite_.from().type(operand).elements());
    return least;
  }

  Rewrite rewrite_;
  DType narrow_type_;
  std::vector<ValueId> casts_;  // by old value: its new one in the other of the two types
};

}  // namespace

Module precision(const Module& module, const Options& options) {
  if (!options.narrows())
    return module;
  return with_entries(
      module, [&](const Function& entry) { return Narrowing(entry, options.precision).run(); });
}

}  // namespace gradc
