#pragma once
// Kernels: what `fuse` makes, `schedule` annotates, `plan` places and lowering turns into loops.
//
// After `fuse` an entry holds only `call`s of kernels, and `reshape`s, which are views: the result
// has its operand's bytes; `plan` adds `slice`s that are views (compiler/plan/views.h). Every
// result of an entry, and everything tied to state, is produced by a kernel of its own (`copy`
// where nothing else would), never by a view or a parameter.
//
// A kernel is a Function of primitive ops. Its attribute `class` says how it is lowered:
//
//   - map: only map and view ops. All results have the same dims: the iteration space.
//   - reduce: also reduce ops. They fold the same axes (attribute `axes`) of operands of the same
//     dims (attribute `domain`): the rows are the others. Every other value is of the domain's
//     dims, of the rows', or what elements of those are computed from (a smaller operand,
//     broadcast), and so are results. Some ops may fold the rows instead, across them: results that
//     nothing reads.
//   - contract: one contract op. Map ops may produce its operands (prologue), and follow it on
//     values of its result's dims (epilogue). Results have those dims (views of them included).
//   - custom: one op that has a lowering of its own.
//
// Attributes that `fuse` sets:
//
//   - class: one of the names above
//   - inplace: pairs [operand, result, operand, result, ...]. The result may have the operand's
//     bytes, because each element of that operand is read only before, and where, the same element
//     of the result is written. (`schedule` takes pairs back whose result is where sums wait.)
//
// Attributes that `prepack` sets:
//
//   - packed_operand: which operand of the contraction is unpacked from a packed one
//   - packed_columns: from panels of so many columns
//
// Attributes that `recipes` sets, on a kernel that is one more way to make what another one reads
// or gives, whose operand i is numbered i, and its result i as i after all of its operands:
//
//   - recipe_of: the name of that kernel
//   - gives: the number of what this kernel's only result is, an operand (by an inverse) or a
//   result
//   - takes: the numbers of what this kernel's operands are
//   - rounds: true where the last digits may differ; growth: by how much errors grow, if they do
//
// Attributes that `schedule` sets, all bytes multiples of 64:
//
//   - workspace: bytes that the call needs, shared by its threads
//   - scratch: bytes that each thread needs
//   - what the class's schedule decides (tile sizes, ...)
//
// The plan places workspace + threads * scratch bytes for each call at arena offset `scratch_at`,
// an attribute of the call.
//
// As machine code a kernel is
//   void kernel(const gradc_context*, const void* operand..., void* result..., void* memory)
// with its workspace and then its scratch in `memory`.
#include <algorithm>
#include <string_view>
#include <vector>

#include "ir/module.h"

namespace gradc {

inline constexpr int64_t kAlignment = 64;  // of every buffer, as GRADC_ALIGNMENT
inline int64_t aligned(int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

inline std::string_view kernel_class(const Function& kernel) {
  return kernel.attrs.string("class");
}

// The pairs of `inplace`.
struct InPlacePair {
  size_t operand = 0, result = 0;
  bool operator==(const InPlacePair&) const = default;
};
inline std::vector<InPlacePair> in_place_pairs(const Function& kernel) {
  std::vector<InPlacePair> pairs;
  if (const Attr* attr = kernel.attrs.find("inplace")) {
    const auto& numbers = std::get<std::vector<int64_t>>(*attr);
    for (size_t i = 0; i + 1 < numbers.size(); i += 2)
      pairs.push_back({static_cast<size_t>(numbers[i]), static_cast<size_t>(numbers[i + 1])});
  }
  return pairs;
}
inline bool may_overwrite(const Function& kernel, size_t operand, size_t result) {
  return std::ranges::count(in_place_pairs(kernel), InPlacePair{operand, result}) > 0;
}

// What attributes of recipes number: the operands of a call, and then its results.
inline ValueId numbered(const Op& call, int64_t number) {
  auto i = static_cast<size_t>(number);
  return i < call.operands.size() ? call.operand(i) : call.result(i - call.operands.size());
}

// The same without its name, those of values and places in the model: kernels whose text is then
// equal compute the same.
inline Function without_names(Function kernel) {
  kernel.name.clear();
  for (Value& value : kernel.values)
    value.name = "v";
  for (Op& op : kernel.ops)
    op.loc.clear();
  return kernel;
}

// Whether a kernel of class reduce may fold across its rows too: each is one run of memory of two
// elements or more, and they are enough for threads to share.
inline bool may_fold_across(const Dims& domain, const std::vector<int64_t>& axes) {
  constexpr int64_t kFewestRows = 64;
  size_t kept = domain.size() - axes.size();
  for (size_t i = 0; i < axes.size(); ++i)
    if (axes[i] != static_cast<int64_t>(kept + i))
      return false;
  int64_t rows = 1, elements = 1;
  for (size_t axis = 0; axis < domain.size(); ++axis)
    (axis < kept ? rows : elements) *= domain[axis];
  return rows >= kFewestRows && elements > 1;
}

// Bytes that a call of `kernel` needs beside its operands and results.
inline int64_t scratch_bytes(const Function& kernel, int threads) {
  return aligned(kernel.attrs.integer_or("workspace", 0)) +
         threads * aligned(kernel.attrs.integer_or("scratch", 0));
}

}  // namespace gradc
