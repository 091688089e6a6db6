#include "compiler/passes/pack.h"

#include <algorithm>
#include <map>

#include "ir/op_def.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

// Columns that lie side by side: four vectors of 64 bytes, as many as a tile has at most.
constexpr int64_t kColumns = 64;
// With more rows bringing a weight into order is a small part of the work, with fewer it is read
// where it lies. Within these limits a product is summed in one order, packed or not.
constexpr int64_t kFewestRows = 32, kMostRows = 64, kMostSummed = 4096;
constexpr int64_t kFewestReaders = 8;

// A weight of two axes, and which of them is summed over.
using Orientation = std::pair<ValueId, int64_t>;

struct ByIndex {
  bool operator()(const Orientation& x, const Orientation& y) const {
    return std::pair(x.first.index, x.second) < std::pair(y.first.index, y.second);
  }
};

std::optional<Orientation> packable(const Function& function, const Op& op) {
  if (op.code != Opcode::dot || op.phase != Phase::forward || !op.attrs.integers("batch_a").empty())
    return std::nullopt;
  const Type &x = function.type(op.operand(0)), &w = function.type(op.operand(1));
  const auto &sum_x = op.attrs.integers("sum_a"), &sum_w = op.attrs.integers("sum_b");
  if (w.dtype != DType::f32 || x.rank() != 2 || w.rank() != 2 || sum_w.size() != 1)
    return std::nullopt;
  int64_t rows = x.dims[static_cast<size_t>(1 - sum_x[0])];
  int64_t summed = w.dims[static_cast<size_t>(sum_w[0])];
  int64_t columns = w.dims[static_cast<size_t>(1 - sum_w[0])];
  if (rows < kFewestRows || rows > kMostRows || summed > kMostSummed || columns == kColumns ||
      columns % kColumns != 0)
    return std::nullopt;
  return Orientation{op.operand(1), sum_w[0]};
}

// Each element of the result follows from the elements at its place. In the backward pass gradients
// are made of parts of several shapes, and reshaping one keeps them out of each other's kernels.
bool is_elementwise(const Function& function, const Op& op) {
  return op.phase == Phase::forward && def(op).kernel == KernelClass::map &&
         def(op).attrs.begin() == def(op).attrs.end() && op.results.size() == 1 &&
         std::all_of(op.operands.begin(), op.operands.end(), [&](ValueId operand) {
           return function.type(operand).dims == function.type(op.result()).dims;
         });
}

// Rewrites one function. What follows a packed product element by element has the product's shape,
// [rows, columns / 64, 64], so that it can be part of the product's kernel.
class Packing {
 public:
  explicit Packing(const Function& from)
      : from_(from), rewrite_(from), split_(from.values.size()), maker_(from.values.size()) {}

  Function run() {
    for (const Op& op : from_.ops) {
      if (std::optional<Orientation> weight = packable(from_, op))
        ++readers_[*weight];
      for (ValueId result : op.results)
        maker_[result.index] = &op;
    }
    for (const Op& op : from_.ops)
      visit(op);
    for (const Result& result : from_.results)
      plain(result.value);
    return without_dead_ops(rewrite_.finish());
  }

 private:
  void visit(const Op& op) {
    Builder& b = rewrite_.at(op);
    std::optional<Orientation> weight = packable(from_, op);
    if (weight && readers_[*weight] >= kFewestReaders) {
      Attrs attrs = op.attrs;
      attrs.set("sum_b", std::vector<int64_t>{1});
      set_split(op, b.op(Opcode::dot, {plain(op.operand(0)), packed(*weight)}, attrs));
    } else if (is_elementwise(from_, op) &&
               std::any_of(op.operands.begin(), op.operands.end(),
                           [&](ValueId operand) { return split_[operand.index].valid(); })) {
      std::vector<ValueId> operands;
      for (ValueId operand : op.operands)
        operands.push_back(split(operand));
      set_split(op, b.op(op.code, operands, op.attrs));
    } else {
      for (ValueId operand : op.operands)
        plain(operand);
      rewrite_.copy(op);
    }
  }

  void set_split(const Op& op, ValueId value) {
    rewrite_.builder().set_name(value, from_[op.result()].name);
    split_[op.result().index] = value;
  }

  // The value as it was.
  ValueId plain(ValueId old) {
    if (!rewrite_.mapped(old))
      rewrite_.map(old, rewrite_.builder().reshape(split_[old.index], from_.type(old).dims));
    return rewrite_(old);
  }

  // The value with its columns in groups of 64.
  ValueId split(ValueId old) {
    if (split_[old.index].valid())
      return split_[old.index];
    Builder& b = rewrite_.builder();
    const Dims& dims = from_.type(old).dims;
    Dims grouped = {dims[0], dims[1] / kColumns, kColumns};
    const Op* maker = maker_[old.index];
    if (maker && maker->code == Opcode::broadcast &&
        maker->attrs.integers("axes") == std::vector<int64_t>{1}) {
      ValueId row = b.reshape(plain(maker->operand(0)), {grouped[1], grouped[2]});
      return b.broadcast(row, {1, 2}, grouped);
    }
    return b.reshape(plain(old), grouped);
  }

  // [columns / 64, summed, 64], made where the first product reads it.
  ValueId packed(const Orientation& weight) {
    ValueId& made = packed_[weight];
    if (made.valid())
      return made;
    Builder& b = rewrite_.builder();
    const Dims& dims = from_.type(weight.first).dims;
    ValueId w = plain(weight.first);
    made = weight.second == 1
               ? b.transpose(b.reshape(w, {dims[0] / kColumns, kColumns, dims[1]}), {0, 2, 1})
               : b.transpose(b.reshape(w, {dims[0], dims[1] / kColumns, kColumns}), {1, 0, 2});
    b.set_name(made, from_[weight.first].name + ".packed");
    return made;
  }

  const Function& from_;
  Rewrite rewrite_;
  std::vector<ValueId> split_;  // by old value: its form of three axes, if it is computed in that
  std::vector<const Op*> maker_;  // by old value: the op that it is a result of
  std::map<Orientation, int64_t, ByIndex> readers_;
  std::map<Orientation, ValueId, ByIndex> packed_;
};

}  // namespace

Module pack(const Module& module, const Options&) {
  return with_entries(module, [](const Function& entry) { return Packing(entry).run(); });
}

}  // namespace gradc
