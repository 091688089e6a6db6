#pragma once
// Rows of a map kernel in parts, where conditions on the place in a row choose what is read: a
// concatenation along the rows reads one operand in each part.
#include <vector>

#include "compiler/lower/iteration_space.h"
#include "compiler/lower/segments.h"

namespace gradc {

// The parts of the last group's rows, in order: those between the numbers that a place is compared
// with, where vectors do less work in them than in whole rows; else the whole row. `body` is what
// is done at each point.
std::vector<Segment> row_parts(const Function& kernel, const std::vector<AxisGroup>& groups,
                               const PointBody& body, int64_t lanes);

}  // namespace gradc
