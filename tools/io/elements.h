#pragma once
// Conversion of elements between types.
#include <cstddef>
#include <span>

#include "ir/type.h"

namespace gradc {

// Floats become floats, anything becomes a float; a float never becomes an integer by itself.
bool converts(DType from, DType to);

// Converts as many elements as `to` holds; `from` holds as many. Floats round to nearest even.
// Fails if an integer does not fit. What becomes a float is divided by `divisor`.
void convert_elements(DType from_type, std::span<const std::byte> from, DType to_type,
                      std::span<std::byte> to, double divisor = 1);

// Stores values as elements of a type: floats round, booleans are what is not 0. Fails if an
// integer does not fit.
void store_elements(std::span<const double> values, DType to_type, std::span<std::byte> to);

}  // namespace gradc
