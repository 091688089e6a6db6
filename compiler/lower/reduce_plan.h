#pragma once
// What a reduce kernel does in which pass over its domain.
#include <vector>

#include "compiler/lower/reduction_tree.h"
#include "ir/loop.h"
#include "ir/module.h"

namespace gradc {

struct PlannedFold {
  ValueId operand, result;
  loop::Code combine{};
  double identity = 0;
  DType sum_dtype = DType::f32;  // f32 for the half types, which are rounded at the end
  int64_t pass = 0;
};

// A value of the domain's dims that is kept in scratch memory from its first pass on.
struct KeptValue {
  ValueId value;
  int64_t first_pass = 0, last_pass = 0;
};

struct ReductionPlan {
  Dims domain, row_dims;
  std::vector<int64_t> axes;
  ReductionTree tree;
  std::vector<PlannedFold> folds;
  // Folds of the other axes, across the rows, in the last pass; and the order that they have in a
  // kernel of their own.
  std::vector<PlannedFold> across;
  ReductionTree across_tree;
  std::vector<size_t> domain_results, row_results;  // indices of the function's results
  std::vector<size_t> across_results;  // by fold across
  int64_t last_pass = 0;
  std::vector<KeptValue> kept;
  // By pass: the parameters of the domain's dims that it reads.
  std::vector<std::vector<size_t>> reads;
  int64_t row_elements = 1;  // of the domain, per row

  int64_t rows() const { return element_count(row_dims); }
  bool visits_domain(int64_t pass) const;
};

// Whether an element of the domain's dims, of a map op, costs more to compute than to store and
// load.
bool is_dear(const Function& kernel, const Op& op, const Dims& domain);

ReductionPlan plan_reduction(const Function& kernel, const Target& target);

}  // namespace gradc
