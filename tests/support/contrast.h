#pragma once
// How well colors can be told from each other.
#include <string>

namespace gradc_test {

// WCAG's ratio of two colors like #fff or #1b2129: from 1 to 21. Texts want 4.5, shapes 3.
double contrast(const std::string& a, const std::string& b);

}  // namespace gradc_test
