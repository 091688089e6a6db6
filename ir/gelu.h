#pragma once
// gelu x = x F(x), where F is the normal distribution function or, in the tanh form, sigmoid(u)
// with u = kGeluLinear x + kGeluCubic x^3 (Hendrycks and Gimpel 2016, section 2: (1 + tanh(u / 2))
// / 2, which cancels for negative x).
#include <numbers>

namespace gradc {

// The normal density is kGeluDensity exp(-x^2 / 2).
inline constexpr double kGeluDensity = std::numbers::inv_sqrtpi / std::numbers::sqrt2;
inline constexpr double kGeluLinear = 4 * kGeluDensity;
inline constexpr double kGeluCubic = kGeluLinear * 0.044715;

}  // namespace gradc
