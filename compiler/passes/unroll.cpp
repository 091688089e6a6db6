#include "compiler/passes/unroll.h"

#include <algorithm>

#include "ir/diagnostic.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

using CallFilter = bool (*)(const Module& module, const Op& op);

bool runs_body(const Module& module, const Op& op) {
  return !op.callee.empty() && module.function(op.callee).kind == FunctionKind::body;
}

bool is_scan(const Op& op) {
  return op.attrs.has("trips");
}

bool calls_body(const Module& module, const Op& op) {
  return runs_body(module, op) && !is_scan(op);
}

// x[row], without axis 0
ValueId row_of(Builder& b, ValueId x, int64_t row) {
  Dims end = b.dims(x), begin(end.size(), 0), step(end.size(), 1);
  begin[0] = row;
  end[0] = row + 1;
  ValueId slice = b.op(Opcode::slice, {x}, {{"begin", begin}, {"end", end}, {"step", step}}, "row");
  return b.reshape(slice, Dims(end.begin() + 1, end.end()));
}

// The rows along a new axis 0.
ValueId stack(Builder& b, const std::vector<ValueId>& rows) {
  Dims dims = b.dims(rows[0]);
  dims.insert(dims.begin(), 1);
  std::vector<ValueId> parts;
  for (ValueId row : rows)
    parts.push_back(b.reshape(row, dims));
  return parts.size() == 1 ? parts[0] : b.op(Opcode::concat, parts, {{"axis", int64_t{0}}});
}

// The results of a scan whose operands are values of the builder's function.
std::vector<ValueId> unroll_scan(Builder& b, const Function& body, const Op& scan) {
  int64_t trips = scan.attrs.integer("trips");
  auto carries = scan.attrs.integer("carries"), sequences = scan.attrs.integer("sequences");
  auto first_sequence = scan.operands.begin() + carries;
  auto first_constant = first_sequence + sequences;
  std::vector<ValueId> carried(scan.operands.begin(), first_sequence);
  std::vector<std::vector<ValueId>> rows(scan.results.size() - static_cast<size_t>(carries),
                                         std::vector<ValueId>(static_cast<size_t>(trips)));
  for (int64_t trip = 0; trip < trips; ++trip) {
    int64_t row = scan.attrs.flag("reverse") ? trips - 1 - trip : trip;
    std::vector<ValueId> arguments = carried;
    for (auto sequence = first_sequence; sequence != first_constant; ++sequence)
      arguments.push_back(row_of(b, *sequence, row));
    arguments.insert(arguments.end(), first_constant, scan.operands.end());
    std::vector<ValueId> results = inline_body(b, body, arguments, scan);
    b.phase = scan.phase;
    b.loc = scan.loc;
    carried.assign(results.begin(), results.begin() + carries);
    for (size_t i = 0; i < rows.size(); ++i)
      rows[i][static_cast<size_t>(row)] = results[static_cast<size_t>(carries) + i];
  }
  for (const std::vector<ValueId>& output : rows)
    carried.push_back(stack(b, output));
  return carried;
}

// Replaces the ops that `wanted` accepts, one level deep.
Function inline_once(const Module& module, const Function& function, CallFilter wanted) {
  Rewrite rewrite(function);
  for (const Op& op : function.ops) {
    if (!wanted(module, op)) {
      rewrite.copy(op);
      continue;
    }
    const Function& body = module.function(op.callee);
    Op mapped = op;
    mapped.operands = rewrite(op.operands);
    Builder& b = rewrite.at(op);
    std::vector<ValueId> values =
        is_scan(op) ? unroll_scan(b, body, mapped) : inline_body(b, body, mapped.operands, mapped);
    for (size_t i = 0; i < values.size(); ++i)
      rewrite.map(op.results[i], values[i]);
    for (auto i = static_cast<size_t>(op.attrs.integer_or("carries", 0));
         is_scan(op) && i < values.size(); ++i)
      b.set_name(values[i], function[op.results[i]].name);
  }
  return rewrite.finish();
}

Function inline_all(const Module& module, Function function, CallFilter wanted) {
  while (std::any_of(function.ops.begin(), function.ops.end(),
                     [&](const Op& op) { return wanted(module, op); }))
    function = inline_once(module, function, wanted);
  return function;
}

}  // namespace

std::vector<ValueId> inline_body(Builder& builder, const Function& body,
                                 std::span<const ValueId> arguments, const Op& site) {
  GRADC_CHECK(arguments.size() == body.parameters.size(), "@{} takes {} arguments, got {}",
              body.name, body.parameters.size(), arguments.size());
  std::vector<ValueId> map(body.values.size());
  for (size_t i = 0; i < arguments.size(); ++i)
    map[body.parameters[i].value.index] = arguments[i];
  Function& to = builder.function();
  for (const Op& op : body.ops) {
    Op copy = op;
    copy.phase = site.phase;
    if (copy.loc.empty())
      copy.loc = site.loc;
    append_copy(to, body, std::move(copy), map);
  }
  std::vector<ValueId> results;
  for (const Result& result : body.results)
    results.push_back(map[result.value.index]);
  return results;
}

Function inline_calls(const Module& module, const Function& function) {
  return inline_all(module, function, calls_body);
}

Module unroll(const Module& module, const Options&) {
  Module unrolled = module;
  for (Function& function : unrolled.functions)
    function = inline_all(module, function, runs_body);
  return unrolled;
}

}  // namespace gradc
