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
// rows loads once. Chunks are larger than they must be: they are there for memory.
constexpr int64_t kFewestRows = 32, kFewestRowsOfChunk = 128;

// What a trip has of a tensor: a row, which is a part of axis 0 without that axis, or a chunk of so
// many rows.
struct Part {
  int64_t rows = 0;  // 0: a row

  Dims dims(const Type& type) const {
    Dims dims = type.dims;
    if (rows == 0)
      dims.erase(dims.begin());
    else
      dims[0] = rows;
    return dims;
  }
  // Axes of a tensor as axes of its part.
  Axes axes(Axes axes) const {
    for (int64_t& axis : axes)
      axis -= rows == 0;
    return axes;
  }
};

// How a part of an op's result is made: by the same op with these attributes, from the same part of
// some operands and the whole of the others.
struct PartOp {
  Attrs attrs;
  std::vector<bool> by_part;  // by operand
};

template <typename T>
bool contains(const std::vector<T>& list, T element) {
  return std::find(list.begin(), list.end(), element) != list.end();
}

std::optional<PartOp> part_of_constant(const Function& function, const Op& op, Part part) {
  Attrs attrs = op.attrs;
  attrs.set("shape", part.dims(function.type(op.result())));
  return PartOp{std::move(attrs), {}};
}

std::optional<PartOp> part_of_broadcast(const Function& function, const Op& op, Part part) {
  Axes axes = op.attrs.integers("axes");
  bool by_part = !axes.empty() && axes[0] == 0;
  if (by_part && part.rows == 0)
    axes.erase(axes.begin());
  Attrs attrs = op.attrs;
  attrs.set("axes", part.axes(axes));
  attrs.set("shape", part.dims(function.type(op.result())));
  return PartOp{std::move(attrs), {by_part}};
}

// Where axis 0 of the result is that of operand 0.
std::optional<PartOp> part_of_dot(const Function& function, const Op& op, Part part) {
  const Type& a = function.type(op.operand(0));
  Axes summed = op.attrs.integers("sum_a");
  if (!op.attrs.integers("batch_a").empty() || a.rank() == 0 || contains<int64_t>(summed, 0))
    return std::nullopt;
  int64_t rows = a.elements() / a.dims[0];
  for (int64_t axis : summed)
    rows /= a.dims[static_cast<size_t>(axis)];
  if (part.rows == 0 ? rows < kFewestRows : rows * part.rows < kFewestRowsOfChunk)
    return std::nullopt;
  Attrs attrs = op.attrs;
  attrs.set("sum_a", part.axes(summed));
  return PartOp{std::move(attrs), {true, false}};
}

// Each element of the result from the elements at the same place.
std::optional<PartOp> part_of_elementwise(const Function& function, const Op& op) {
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
  return PartOp{op.attrs, std::vector<bool>(op.operands.size(), true)};
}

constexpr struct {
  Opcode code;
  std::optional<PartOp> (*part)(const Function& function, const Op& op, Part part);
} kPartRules[] = {
    {Opcode::broadcast, part_of_broadcast},
    {Opcode::constant, part_of_constant},
    {Opcode::dot, part_of_dot},
};

std::optional<PartOp> part_op(const Function& function, const Op& op, Part part) {
  for (const auto& rule : kPartRules)
    if (rule.code == op.code)
      return rule.part(function, op, part);
  return part_of_elementwise(function, op);
}

// One scan, and what moves from its caller into its body.
class Sinker {
 public:
  Sinker(const Function& caller, const Op& scan, Part part)
      : caller_(caller),
        scan_(scan),
        part_(part),
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

  // The old body behind the ops that move; of chunks, a scan of it over the rows of one.
  Function body(const Function& old, const std::string& name) const {
    Function body{.kind = FunctionKind::body, .name = name, .attrs = old.attrs};
    Builder b(body);
    std::vector<ValueId> arguments;  // of the old body
    auto old_name = [&] { return old[old.parameters[arguments.size()].value].name; };
    for (ValueId carry : carries_)
      arguments.push_back(b.parameter(caller_.type(carry), old_name()));
    Inside inside;
    for (ValueId sequence : sequences_)
      inside.parts[sequence] = b.parameter(part_type(sequence), caller_[sequence].name);
    for (ValueId constant : constants_)
      inside.wholes[constant] = b.parameter(caller_.type(constant), caller_[constant].name);
    auto pass = [&](ValueId value) {
      b.set_name(value, old_name());
      arguments.push_back(value);
    };
    for (ValueId sequence : old_sequences_)
      pass(part(b, inside, sequence));
    for (ValueId constant : old_constants_)
      pass(inside.wholes[constant]);
    std::vector<ValueId> results =
        part_.rows == 0 ? inline_body(b, old, arguments, scan_) : scan_chunk(b, old, arguments);
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
  // The body's values: parts of values of the caller, and values that are the same in every trip.
  struct Inside {
    std::map<ValueId, ValueId> parts, wholes;
  };

  Type part_type(ValueId value) const {
    return {caller_.type(value).dtype, part_.dims(caller_.type(value))};
  }

  int64_t bytes(ValueId value) const { return caller_.type(value).bytes(); }
  const Op& maker(ValueId value) const { return caller_.ops[definitions_[value.index]->index]; }

  // Moves what makes `value`, if the sequences that are read then are no larger than `own_bytes`.
  // Returns the bytes of the sequences that the body reads to have a part of it.
  int64_t find_moves(ValueId value, int64_t own_bytes) {
    if (!definitions_[value.index] || uses_[value.index] != 1)
      return own_bytes;
    const Op& op = maker(value);
    std::optional<PartOp> part = part_op(caller_, op, part_);
    if (!part)
      return own_bytes;
    std::map<ValueId, PartOp> moved_before = moved_;
    moved_.emplace(value, *part);
    int64_t read = 0;
    for (size_t i = 0; i < op.operands.size(); ++i) {
      ValueId operand = op.operands[i];
      if (part->by_part[i] && !contains(old_sequences_, operand))
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
      if (moved->second.by_part[i])
        gather_operands(maker(value).operand(i));
      else
        add(constants_, maker(value).operand(i));
  }

  // A part of the caller's value, in the body.
  ValueId part(Builder& b, Inside& inside, ValueId value) const {
    if (auto known = inside.parts.find(value); known != inside.parts.end())
      return known->second;
    const Op& op = maker(value);
    const PartOp& part_op = moved_.at(value);
    std::vector<ValueId> operands;
    for (size_t i = 0; i < op.operands.size(); ++i)
      operands.push_back(part_op.by_part[i] ? part(b, inside, op.operand(i))
                                            : inside.wholes.at(op.operand(i)));
    b.phase = op.phase;
    b.loc = op.loc;
    return inside.parts[value] = b.op(op.code, operands, part_op.attrs, caller_[value].name);
  }

  std::vector<ValueId> scan_chunk(Builder& b, const Function& old,
                                  const std::vector<ValueId>& arguments) const {
    std::vector<Type> types;
    for (size_t i = 0; i < scan_.results.size(); ++i)
      types.push_back(i < carries_.size() ? caller_.type(scan_.results[i])
                                          : part_type(scan_.results[i]));
    Attrs attrs = scan_.attrs;
    attrs.set("trips", part_.rows);
    b.phase = scan_.phase;
    b.loc = scan_.loc;
    std::vector<ValueId> results =
        b.call(scan_.code, scan_.callee, arguments, types, std::move(attrs));
    for (size_t i = 0; i < results.size(); ++i)
      b.set_name(results[i], old[old.results[i].value].name);
    return results;
  }

  // [trips, ...] as [chunks, rows, ...].
  Dims chunked(Dims dims) const {
    dims[0] /= part_.rows;
    dims.insert(dims.begin() + 1, part_.rows);
    return dims;
  }

  void call(Rewrite& rewrite, const std::string& body) const {
    bool chunks = part_.rows > 0;
    Builder& b = rewrite.at(scan_);
    std::vector<ValueId> operands;
    for (const auto* group : {&carries_, &sequences_, &constants_})
      for (ValueId operand : *group)
        operands.push_back(chunks && group == &sequences_
                               ? b.reshape(rewrite(operand), chunked(caller_.type(operand).dims))
                               : rewrite(operand));
    std::vector<Type> types;
    for (ValueId result : scan_.results) {
      types.push_back(caller_.type(result));
      if (chunks && types.size() > carries_.size())
        types.back().dims = chunked(types.back().dims);
    }
    Attrs attrs = scan_.attrs;
    attrs.set("sequences", static_cast<int64_t>(sequences_.size()));
    if (chunks)
      attrs.set("trips", attrs.integer("trips") / part_.rows);
    std::vector<ValueId> results =
        b.call(scan_.code, body, std::move(operands), types, std::move(attrs));
    for (size_t i = 0; i < results.size(); ++i) {
      ValueId result = results[i];
      if (chunks && i >= carries_.size())
        result = b.reshape(result, caller_.type(scan_.results[i]).dims);
      b.set_name(result, caller_[scan_.results[i]].name);
      rewrite.map(scan_.results[i], result);
    }
  }

  const Function& caller_;
  const Op& scan_;
  Part part_;
  std::vector<std::optional<OpId>> definitions_;
  std::vector<int> uses_;
  std::vector<ValueId> carries_, old_sequences_, old_constants_;  // operands of the scan
  std::vector<ValueId> sequences_, constants_;  // the same when ops have moved
  std::map<ValueId, PartOp> moved_;  // by result
};

size_t calls_of(const Module& module, const std::string& callee) {
  size_t calls = 0;
  for (const Function& function : module.functions)
    for (const Op& op : function.ops)
      calls += op.callee == callee;
  return calls;
}

// The parts that a trip may have: a row, or as few rows as divide the trips.
std::vector<Part> parts_of(const Op& scan) {
  std::vector<Part> parts = {Part{}};
  int64_t trips = scan.attrs.integer("trips");
  for (int64_t rows = 2; rows < trips; ++rows)
    if (trips % rows == 0)
      parts.push_back(Part{rows});
  return parts;
}

// Moves ops into the first scan of the function that any can move into.
bool sink_once(Module& module, size_t caller) {
  for (const Op& op : module.functions[caller].ops) {
    if (op.code != Opcode::scan)
      continue;
    for (Part part : parts_of(op)) {
      Sinker sinker(module.functions[caller], op, part);
      if (!sinker.moves_any())
        continue;
      bool keeps = part.rows > 0 || calls_of(module, op.callee) > 1;
      const std::string name = keeps ? unused_function_name(module, op.callee) : op.callee;
      Function body = sinker.body(module.function(op.callee), name);
      Function changed = sinker.caller(name);
      if (keeps)
        module.functions.push_back(std::move(body));
      else
        *module.find_function(name) = std::move(body);
      module.functions[caller] = std::move(changed);
      return true;
    }
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
