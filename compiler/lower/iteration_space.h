#pragma once
// How the axes of a kernel's iteration space become loops: neighbours are merged where every access
// stays affine, and the work says from where threads pay off.
#include <functional>
#include <span>
#include <vector>

#include "compiler/lower/kernel_values.h"

namespace gradc {

// Neighbouring axes that one loop runs over, as one row-major number.
struct AxisGroup {
  Dims dims;
  int64_t extent() const { return element_count(dims); }
};

// All results of a map kernel at a point, computed before the first is stored: a result may share
// an operand's bytes.
void lower_point(KernelValues& values, std::span<const loop::Scalar> indices);

// Appends what the kernel does at one point of the space; `indices` has one index per axis.
using PointBody = std::function<void(KernelValues&, std::span<const loop::Scalar> indices)>;

struct IterationSpace {
  std::vector<AxisGroup> groups;  // of all axes, in order; at least one, none empty
  double nanoseconds = 0;  // roughly, of the whole space on one core
};

// Lowers the body once for trial, with a loop per axis, and looks at its accesses.
IterationSpace analyse(const Function& kernel, const Dims& dims, const PointBody& body);

// Roughly, of a load or a store of an element.
inline constexpr double kAccessNanoseconds = 0.05;

// Roughly, what an element of an op's first result takes on one core, loads of its operands and the
// store included.
double element_nanoseconds(const Function& kernel, const Op& op);

// Roughly, of one iteration of a vector loop.
double nanoseconds_of(const std::vector<loop::Instr>& body);

// Work below this is not worth a fork and a join.
inline constexpr double kParallelNanoseconds = 2000;

// One index per axis of the space from one number per group.
std::vector<loop::Scalar> axis_indices(loop::Builder& builder, std::span<const AxisGroup> groups,
                                       std::span<const loop::Scalar> numbers);

}  // namespace gradc
