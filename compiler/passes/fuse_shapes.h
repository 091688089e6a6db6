#pragma once
// The loop nest that a kernel is, and which kernels can have one in common. fuse_groups.cpp grows
// groups of ops by these rules and others.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "compiler/passes/access.h"
#include "ir/op_def.h"

namespace gradc {

struct KernelShape {
  KernelClass kind = KernelClass::map;
  Dims dims;  // map: the iteration space; reduce: the domain; contract: the result
  std::vector<int64_t> axes;  // reduce: the folded ones
  bool update = false;  // whether it changes state that outlives the step

  Dims rows() const;  // dims without axes
};

// Of a kernel that has this op only.
KernelShape shape_of(const Function& function, const Op& op, bool update);

// A common loop nest of two kernels, if there is one.
std::optional<KernelShape> common_shape(const KernelShape& a, const KernelShape& b);

// Whether `reader`, in a kernel of this shape, may read a value of `dims` made in the same kernel.
bool passes_within(const KernelShape& shape, const Dims& dims, const Op& reader,
                   const Dims& reader_dims, const AxisMap& map);

// Whether an op folds the other axes than its kernel, across whose rows it goes: what it gives is
// known in the end only, and is not numbered like them.
bool folds_across(const KernelShape& shape, const Op& op);

std::string describe(const KernelShape& shape);  // for people

}  // namespace gradc
