#include "compiler/passes/sink.h"

#include <algorithm>
#include <map>
#include <optional>

#include "compiler/passes/access.h"
#include "compiler/passes/unroll.h"
#include "ir/op_def.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

using Axes = std::vector<int64_t>;

// With fewer rows a trip, a product spends its time on loading the weight, which one product of all
// rows loads once.
constexpr int64_t kFewestRows = 32;

// How row i of an op's result (its part i of axis 0) is made: by the same op with these attributes,
// from row i of some operands and the whole of the others.
struct RowOp {
  Attrs attrs;
  std::vector<bool> by_row;  // by operand
};

Dims row_dims(const Type& type) {
  return {type.dims.begin() + 1, type.dims.end()};
}

// Axes of a tensor as axes of its row.
Axes in_row(Axes axes) {
  for (int64_t& axis : axes)
    --axis;
  return axes;
}

template <typename T>
bool contains(const std::vector<T>& list, T element) {
  return std::find(list.begin(), list.end(), element) != list.end();
}

std::optional<RowOp> row_of_constant(const Function& function, const Op& op) {
  Attrs attrs = op.attrs;
  attrs.set("shape", row_dims(function.type(op.result())));
  return RowOp{std::move(attrs), {}};
}

std::optional<RowOp> row_of_broadcast(const Function& function, const Op& op) {
  Axes axes = op.attrs.integers("axes");
  bool by_row = !axes.empty() && axes[0] == 0;
  if (by_row)
    axes.erase(axes.begin());
  Attrs attrs = op.attrs;
  attrs.set("axes", in_row(axes));
  attrs.set("shape", row_dims(function.type(op.result())));
  return RowOp{std::move(attrs), {by_row}};
}

// Where axis 0 of the result is that of operand 0.
std::optional<RowOp> row_of_dot(const Function& function, const Op& op) {
  const Type& a = function.type(op.operand(0));
  Axes summed = op.attrs.integers("sum_a");
  if (!op.attrs.integers("batch_a").empty() || a.rank() == 0 || contains<int64_t>(summed, 0))
    return std::nullopt;
  int64_t rows = a.elements() / a.dims[0];
  for (int64_t axis : summed)
    rows /= a.dims[static_cast<size_t>(axis)];
  if (rows < kFewestRows)
    return std::nullopt;
  Attrs attrs = op.attrs;
  attrs.set("sum_a", in_row(summed));
  return RowOp{std::move(attrs), {true, false}};
}

// Each element of the result from the elements at the same place.
std::optional<RowOp> row_of_elementwise(const Function& function, const Op& op) {
  const OpDef& record = def(op);
  if (record.kernel != KernelClass::map || op.operands.empty() || op.results.size() != 1)
    return std::nullopt;
  const Dims& dims = function.type(op.result()).dims;
  for (ValueId operand : op.operands)
    if (function.type(operand).dims != dims)
      return std::nullopt;
  for (const AxisMap& map : operand_accesses(function, op))
    if (map != identity_map(static_cast<int64_t>(dims.size())))
      return std::nullopt;
  return RowOp{op.attrs, std::vector<bool>(op.operands.size(), true)};
}

constexpr struct {
  Opcode code;
  std::optional<RowOp> (*row)(const Function& function, const Op& op);
} kRowRules[] = {
    {Opcode::broadcast, row_of_broadcast},
    {Opcode::constant, row_of_constant},
    {Opcode::dot, row_of_dot},
};

std::optional<RowOp> row_op(const Function& function, const Op& op) {
  for (const auto& rule : kRowRules)
    if (rule.code == op.code)
      return rule.row(function, op);
  return row_of_elementwise(function, op);
}

// One scan, and what moves from its caller into its body.
class Sinker {
 public:
  Sinker(const Function& caller, const Op& scan)
      : caller_(caller),
        scan_(scan),
        definitions_(defining_ops(caller)),
        uses_(use_counts(caller)) {
    auto sequences = scan.operands.begin() + scan.attrs.integer("carries");
    auto constants = sequences + scan.attrs.integer("sequences");
    carries_.assign(scan.operands.begin(), sequences);
    old_sequences_.assign(sequences, constants);
    old_constants_.assign(constants, scan.operands.end());
    for (ValueId sequence : old_sequences_)
      find_moves(sequence, bytes(sequence));
    constants_ = old_constants_;
    for (ValueId sequence : old_sequences_)
      gather_operands(sequence);
  }

  bool moves_any() const { return !moved_.empty(); }

  // The old body behind the ops that move.
  Function body(const Function& old, const std::string& name) const {
    Function body{.kind = FunctionKind::body, .name = name, .attrs = old.attrs};
    Builder b(body);
    std::vector<ValueId> arguments;  // of the old body
    auto old_name = [&] { return old[old.parameters[arguments.size()].value].name; };
    for (ValueId carry : carries_)
      arguments.push_back(b.parameter(caller_.type(carry), old_name()));
    Inside inside;
    for (ValueId sequence : sequences_)
      inside.rows[sequence] = b.parameter(
          {caller_.type(sequence).dtype, row_dims(caller_.type(sequence))}, caller_[sequence].name);
    for (ValueId constant : constants_)
      inside.wholes[constant] = b.parameter(caller_.type(constant), caller_[constant].name);
    auto pass = [&](ValueId value) {
      b.set_name(value, old_name());
      arguments.push_back(value);
    };
    for (ValueId sequence : old_sequences_)
      pass(row(b, inside, sequence));
    for (ValueId constant : old_constants_)
      pass(inside.wholes[constant]);
    std::vector<ValueId> results = inline_body(b, old, arguments, scan_);
    for (size_t i = 0; i < results.size(); ++i)
      b.result(results[i], old.results[i].name);
    return body;
  }

  // The caller without what moved, whose scan runs `body`.
  Function caller(const std::string& body) const {
    Rewrite rewrite(caller_);
    for (const Op& op : caller_.ops)
      if (&op == &scan_)
        call(rewrite, body);
      else
        rewrite.copy(op);
    return without_dead_ops(rewrite.finish());
  }

 private:
  // The body's values: rows of values of the caller, and values that are the same in every trip.
  struct Inside {
    std::map<ValueId, ValueId> rows, wholes;
  };

  int64_t bytes(ValueId value) const { return caller_.type(value).bytes(); }
  const Op& maker(ValueId value) const { return caller_.ops[definitions_[value.index]->index]; }

  // Moves what makes `value`, if the sequences that are read then are no larger than `own_bytes`.
  // Returns the bytes of the sequences that the body reads to have a row of it.
  int64_t find_moves(ValueId value, int64_t own_bytes) {
    if (!definitions_[value.index] || uses_[value.index] != 1)
      return own_bytes;
    const Op& op = maker(value);
    std::optional<RowOp> row = row_op(caller_, op);
    if (!row)
      return own_bytes;
    std::map<ValueId, RowOp> moved_before = moved_;
    moved_.emplace(value, *row);
    int64_t read = 0;
    for (size_t i = 0; i < op.operands.size(); ++i) {
      ValueId operand = op.operands[i];
      if (row->by_row[i] && !contains(old_sequences_, operand))
        read += find_moves(operand, bytes(operand));
    }
    if (read <= own_bytes)
      return read;
    moved_ = std::move(moved_before);
    return own_bytes;
  }

  // The operands that the scan has instead of the sequence `value`.
  void gather_operands(ValueId value) {
    auto add = [](std::vector<ValueId>& list, ValueId operand) {
      if (!contains(list, operand))
        list.push_back(operand);
    };
    auto moved = moved_.find(value);
    if (moved == moved_.end()) {
      add(sequences_, value);
      return;
    }
    for (size_t i = 0; i < maker(value).operands.size(); ++i)
      if (moved->second.by_row[i])
        gather_operands(maker(value).operand(i));
      else
        add(constants_, maker(value).operand(i));
  }

  // A row of the caller's value, in the body.
  ValueId row(Builder& b, Inside& inside, ValueId value) const {
    if (auto known = inside.rows.find(value); known != inside.rows.end())
      return known->second;
    const Op& op = maker(value);
    const RowOp& row_op = moved_.at(value);
    std::vector<ValueId> operands;
    for (size_t i = 0; i < op.operands.size(); ++i)
      operands.push_back(row_op.by_row[i] ? row(b, inside, op.operand(i))
                                          : inside.wholes.at(op.operand(i)));
    b.phase = op.phase;
    b.loc = op.loc;
    return inside.rows[value] = b.op(op.code, operands, row_op.attrs, caller_[value].name);
  }

  void call(Rewrite& rewrite, const std::string& body) const {
    std::vector<ValueId> operands;
    for (const auto* group : {&carries_, &sequences_, &constants_})
      for (ValueId operand : *group)
        operands.push_back(rewrite(operand));
    std::vector<Type> types;
    for (ValueId result : scan_.results)
      types.push_back(caller_.type(result));
    Attrs attrs = scan_.attrs;
    attrs.set("sequences", static_cast<int64_t>(sequences_.size()));
    std::vector<ValueId> results =
        rewrite.at(scan_).call(scan_.code, body, std::move(operands), types, std::move(attrs));
    for (size_t i = 0; i < results.size(); ++i) {
      rewrite.builder().set_name(results[i], caller_[scan_.results[i]].name);
      rewrite.map(scan_.results[i], results[i]);
    }
  }

  const Function& caller_;
  const Op& scan_;
  std::vector<std::optional<OpId>> definitions_;
  std::vector<int> uses_;
  std::vector<ValueId> carries_, old_sequences_, old_constants_;  // operands of the scan
  std::vector<ValueId> sequences_, constants_;  // the same when ops have moved
  std::map<ValueId, RowOp> moved_;  // by result
};

size_t calls_of(const Module& module, const std::string& callee) {
  size_t calls = 0;
  for (const Function& function : module.functions)
    for (const Op& op : function.ops)
      calls += op.callee == callee;
  return calls;
}

// Moves ops into the first scan of the function that any can move into.
bool sink_once(Module& module, size_t caller) {
  for (const Op& op : module.functions[caller].ops) {
    if (op.code != Opcode::scan)
      continue;
    Sinker sinker(module.functions[caller], op);
    if (!sinker.moves_any())
      continue;
    bool shared = calls_of(module, op.callee) > 1;
    const std::string name = shared ? unused_function_name(module, op.callee) : op.callee;
    Function body = sinker.body(module.function(op.callee), name);
    Function changed = sinker.caller(name);
    if (shared)
      module.functions.push_back(std::move(body));
    else
      *module.find_function(name) = std::move(body);
    module.functions[caller] = std::move(changed);
    return true;
  }
  return false;
}

}  // namespace

// What moved into a body may move on, into a scan inside of it: hence until nothing moves.
Module sink(const Module& module, const Options&) {
  Module result = module;
  for (bool moved = true; moved;) {
    moved = false;
    for (size_t i = 0; i < result.functions.size(); ++i)
      while (sink_once(result, i))
        moved = true;
  }
  return result;
}

}  // namespace gradc
