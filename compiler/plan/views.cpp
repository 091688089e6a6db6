#include "compiler/plan/views.h"

#include <algorithm>
#include <optional>

#include "compiler/kernel.h"
#include "compiler/plan/core/order.h"
#include "compiler/plan/entry_problem.h"
#include "compiler/plan/storage.h"
#include "ir/diagnostic.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

// The number of the first element, if the elements lie side by side.
std::optional<int64_t> first_element(const Type& from, const Op& slice, const Type& to) {
  const std::vector<int64_t>& begin = slice.attrs.integers("begin");
  const std::vector<int64_t>& step = slice.attrs.integers("step");
  Dims strides = row_major_strides(from.dims);
  int64_t first = 0;
  bool whole = true;  // all axes behind this one
  for (size_t axis = from.dims.size(); axis-- > 0;) {
    if (step[axis] != 1 || (!whole && to.dims[axis] != 1))
      return std::nullopt;
    whole = whole && to.dims[axis] == from.dims[axis];
    first += begin[axis] * strides[axis];
  }
  return first;
}

std::optional<int64_t> begin_of(const Type& from, const Op& slice, const Type& to) {
  std::optional<int64_t> first = first_element(from, slice, to);
  if (first && *first * byte_size(from.dtype) % kAlignment == 0)
    return *first * byte_size(from.dtype);
  return std::nullopt;
}

}  // namespace

int64_t view_begin(const Function& entry, const Op& view) {
  if (view.code != Opcode::slice)
    return 0;
  std::optional<int64_t> begin =
      begin_of(entry.type(view.operand(0)), view, entry.type(view.result()));
  if (!begin)
    fail("@{}: %{} is no view: its elements do not lie side by side from a multiple of {} bytes on",
         entry.name, entry[view.result()].name, kAlignment);
  return *begin;
}

const Op* only_slice(const Function& kernel) {
  bool is_one = kernel.ops.size() == 1 && kernel.ops[0].code == Opcode::slice &&
                kernel.parameters.size() == 1 && kernel.results.size() == 1 &&
                kernel.ops[0].operand(0) == kernel.parameters[0].value &&
                kernel.results[0].value == kernel.ops[0].result();
  return is_one ? &kernel.ops[0] : nullptr;
}

namespace {

Function with_all_views(const Module& module, const Function& entry) {
  std::vector<Storage> storages = storage_of(module, entry);
  std::vector<int64_t> covered(entry.values.size());  // bytes of slices
  auto slice_of = [&](const Op& op) -> const Op* {
    const Op* slice = op.code == Opcode::call ? only_slice(module.function(op.callee)) : nullptr;
    bool in_arena = slice && storages[op.operand(0).index].region == Region::arena &&
                    storages[op.result().index].region == Region::arena;
    return in_arena && begin_of(entry.type(op.operand(0)), *slice, entry.type(op.result()))
               ? slice
               : nullptr;
  };
  for (const Op& op : entry.ops)
    if (slice_of(op))
      covered[op.operand(0).index] += entry.type(op.result()).bytes();
  Rewrite rewrite(entry);
  for (const Op& op : entry.ops) {
    const Op* slice = slice_of(op);
    if (slice && 2 * covered[op.operand(0).index] >= entry.type(op.operand(0)).bytes()) {
      ValueId view = rewrite.at(op).op(Opcode::slice, {rewrite(op.operand(0))}, slice->attrs,
                                       entry[op.result()].name);
      rewrite.map(op.result(), view);
    } else {
      rewrite.copy(op);
    }
  }
  return rewrite.finish();
}

int64_t least_live(const Module& module, const Function& entry, const Options& options) {
  EntryProblem problem = make_problem(module, entry, options);
  return evaluate(problem, order_kernels(problem)).peak;
}

}  // namespace

Function with_views(const Module& module, const Function& entry, const Options& options) {
  Function shown = with_all_views(module, entry);
  bool any = std::ranges::any_of(shown.ops, [](const Op& op) { return op.code == Opcode::slice; });
  bool fewer = any && least_live(module, shown, options) <= least_live(module, entry, options);
  return fewer ? shown : entry;
}

}  // namespace gradc
