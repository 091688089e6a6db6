#pragma once
// A group of an entry's ops as a kernel, with the attributes that say what it may do: its loops,
// and which of its results may have an operand's bytes.
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "compiler/passes/fuse_groups.h"
#include "ir/builder.h"

namespace gradc {

struct KernelDraft {
  Function function;
  std::vector<ValueId> operands, results;  // of the call, in the entry
};

class KernelMaker {
 public:
  KernelMaker(const Function& entry, const Grouping& grouping);

  KernelDraft make(size_t group_index) const;

 private:
  // Values that are read outside of the group that makes them.
  void find_escaping();
  int group_of(ValueId value) const;

  // Makes `value` known inside of the kernel if it comes from outside or from a repeated op.
  void add_operand(Builder& builder, KernelDraft& draft, std::map<ValueId, ValueId>& inside,
                   int group, ValueId value) const;
  void add_op(Builder& builder, std::map<ValueId, ValueId>& inside, const Op& op) const;
  void set_attributes(KernelDraft& draft, const Group& group) const;

  // An operand may give its bytes to a result of its type when it is only read where that result is
  // written: in a map anywhere, in a reduction on the level of rows, in a contraction behind it.
  std::vector<int64_t> found_in_place_pairs(const KernelDraft& draft, const Group& group) const;
  // The new content of a state has its place where the old one is, and nowhere else; what an update
  // makes besides may take the place of a gradient.
  bool may_replace(ValueId made, ValueId old) const;
  // A contraction and what makes its operands, which it reads again and again.
  std::set<uint32_t> before_contraction(const Group& group) const;
  bool read_only_at(ValueId value, const Group& group, const Dims& place,
                    const std::set<uint32_t>& before) const;

  const Function& entry_;
  const Grouping& grouping_;
  std::vector<std::optional<OpId>> definitions_;
  std::vector<bool> escaping_;  // by value
};

}  // namespace gradc
