#include "compiler/passes/inverse_errors.h"

#include <map>

#include "compiler/passes/fuse.h"
#include "compiler/passes/schedule.h"
#include "compiler/plan/plan.h"
#include "compiler/plan/report.h"
#include "ir/op_def.h"
#include "ir/print.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

// max |kept - given| / max |kept|; 0 where both are 0 everywhere.
Function error_of(const Type& type) {
  Function function{.kind = FunctionKind::entry, .name = "inverse_error"};
  Builder b(function);
  b.phase = Phase::backward;
  ValueId kept = b.parameter(type, "kept"), given = b.parameter(type, "given");
  std::vector<int64_t> all_axes = other_axes({}, type.rank());
  auto largest = [&](ValueId x) {
    ValueId most =
        b.op(Opcode::reduce_max, {b.op(Opcode::abs, {x})}, {{"axes", all_axes}}, "largest");
    return type.dtype == DType::f64 ? most : b.op(Opcode::cast, {most}, {{"dtype", DType::f64}});
  };
  ValueId size = largest(kept);
  ValueId least = b.constant_like(size, 1e-300);
  b.result(b.div(largest(b.sub(kept, given)), b.op(Opcode::maximum, {size, least})), "error");
  return function;
}

class ErrorMaker {
 public:
  ErrorMaker(const Module& planned, const Options& options) : options_(options), to_(planned) {}

  Module run() {
    std::vector<Function> entries;
    for (const Function& function : to_.functions)
      if (function.kind == FunctionKind::entry)
        entries.push_back(measured(function));
    for (Function& entry : entries)
      *to_.find_function(entry.name) = std::move(entry);
    to_.functions.insert(to_.functions.begin(), kernels_.begin(), kernels_.end());
    return plan(to_, options_);
  }

 private:
  Function measured(const Function& planned) {
    std::vector<std::string> names = unique_names(planned);
    std::vector<ValueId> first = first_made(to_, planned);
    std::vector<Result> errors;
    Rewrite rewrite(planned);
    for (const Op& op : planned.ops) {
      Op unplaced = op;
      unplaced.attrs = {};
      for (const auto& [key, attr] : op.attrs)
        if (key != "scratch_at")
          unplaced.attrs.set(key, attr);
      rewrite.copy(unplaced);
      if (op.callee.empty() || !to_.function(op.callee).attrs.flag("rounds"))
        continue;
      ValueId given = op.result();
      errors.push_back({measure(rewrite, rewrite(first[given.index]), rewrite(given)),
                        std::string(kInverseErrorPrefix) + names[given.index], ""});
    }
    Function entry = rewrite.finish();
    entry.arena_bytes.reset();
    for (Value& value : entry.values)
      value.offset.reset();
    entry.results.insert(entry.results.end(), errors.begin(), errors.end());
    return entry;
  }

  // Appends the kernels that compare the two; gives the error.
  ValueId measure(Rewrite& rewrite, ValueId kept, ValueId given) {
    const Function& calls = calls_for(rewrite.to().type(kept));
    std::vector<ValueId> map(calls.values.size());
    map[calls.parameters[0].value.index] = kept;
    map[calls.parameters[1].value.index] = given;
    for (const Op& op : calls.ops)
      append_copy(rewrite.to(), calls, op, map);
    return map[calls.results[0].value.index];
  }

  // An entry whose ops call kernels of `kernels_`.
  const Function& calls_for(const Type& type) {
    auto [known, fresh] = calls_.try_emplace(to_string(type));
    if (!fresh)
      return known->second;
    Options options = options_;
    options.explain = nullptr;
    Module made =
        schedule(fuse({.name = "errors", .functions = {error_of(type)}}, options), options);
    std::map<std::string, std::string> renamed;
    for (Function& function : made.functions)
      if (function.kind == FunctionKind::kernel) {
        std::string& name = renamed[function.name];
        name = unused_function_name(to_, fmt::format("inverse_error_{}", kernels_.size() + 1));
        function.name = name;
        kernels_.push_back(function);
      }
    known->second = made.function("inverse_error");
    for (Op& op : known->second.ops)
      if (!op.callee.empty())
        op.callee = renamed.at(op.callee);
    return known->second;
  }

  Options options_;
  Module to_;
  std::vector<Function> kernels_;
  std::map<std::string, Function> calls_;  // by type
};

}  // namespace

Module with_inverse_errors(const Module& planned, const Options& options) {
  Options unlimited = options;
  unlimited.memory.reset();
  unlimited.memory_total.reset();
  return ErrorMaker(planned, unlimited).run();
}

}  // namespace gradc
