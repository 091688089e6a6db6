#pragma once
// A tensor of the evaluator: every element type is held in double (integers are exact up to 2^53).
#include <vector>

#include "ir/type.h"

namespace gradc {

struct Tensor {
  Type type;
  std::vector<double> data;  // row-major
};

}  // namespace gradc
