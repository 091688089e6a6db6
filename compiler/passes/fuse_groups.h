#pragma once
// Which ops of an entry become one kernel. fuse.h says by what rules: those on loops are in
// fuse_shapes.h, what must run before what is in fuse_graph.h. kernel_maker.h makes the kernels.
#include <cstdint>
#include <string>
#include <vector>

#include "compiler/passes/fuse_facts.h"
#include "compiler/passes/fuse_shapes.h"

namespace gradc {

struct Group {
  KernelShape shape;
  std::vector<uint32_t> ops;  // indices into Function::ops, rising
};

// Two kernels of which one reads a value of the other, and why they are not one.
struct Apart {
  size_t producer = 0, consumer = 0;  // indices into Grouping::groups
  ValueId value;
  std::string reason;
};

struct Grouping {
  std::vector<bool> repeated;  // by op: inside of each kernel that reads it, in no group
  std::vector<Group> groups;  // in an order of execution; views are groups of one op
  std::vector<int> group_of;  // by op; -1 for repeated ones
  std::vector<std::vector<Read>> reads;  // by op
  std::vector<Apart> apart;  // if asked for
};

struct GroupingWishes {
  std::vector<uint32_t> repeat;  // ops to be computed again in each kernel that reads them
  bool explain = false;
};

Grouping group_ops(const Function& function, const GroupingWishes& wishes = {});

}  // namespace gradc
