#pragma once
// How far an output is from the one that is wanted.
#include <cstddef>
#include <cstdint>
#include <span>

#include "ir/type.h"

namespace gradc {

// What counts as equal: |got - wanted| <= absolute + relative * |wanted| for floats. Whole numbers
// and bools must be the same, as must infinities and NaNs.
struct Tolerance {
  double relative = 1e-3, absolute = 1e-7;
};

struct Difference {
  int64_t wrong = 0;  // elements that are not equal as Tolerance says
  // Over all elements, those that are equal included; infinite where one of the two is finite and
  // the other is not. Relative to |wanted|, of elements whose wanted value is not 0.
  double absolute = 0, relative = 0;
  // Representable numbers of the type between the two, one end counted.
  uint64_t ulp = 0;
  // The first wrong element, in row-major order.
  int64_t first_wrong = -1;
  double got = 0, wanted = 0;
};

// Of two tensors of the same type, `type.bytes()` each.
Difference difference(const Type& type, std::span<const std::byte> got,
                      std::span<const std::byte> wanted, const Tolerance& tolerance);

}  // namespace gradc
