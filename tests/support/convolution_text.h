#pragma once
// Modules of one convolution, for the passes that take convolutions apart.
#include <string>
#include <vector>

#include "ir/module.h"

namespace gradc::test {

// A spatial axis of the image, and what goes over it.
struct ConvolutionAxis {
  int64_t size, taps, stride, low, high, dilation = 1;

  int64_t result_size() const {
    return (size + low + high - dilation * (taps - 1) - 1) / stride + 1;
  }
};

// An entry that returns a `conv` of so many channels by a weight of 3 outputs, or the data gradient
// of one.
std::string convolution_text(Opcode code, const std::vector<ConvolutionAxis>& axes,
                             bool channels_last, int64_t images = 1, int64_t channels = 2);

}  // namespace gradc::test
