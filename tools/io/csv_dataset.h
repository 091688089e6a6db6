#pragma once
// Tables as data sets: a row is a sample.
//
// The label is the column that is named or numbered (from 0; negative: from the end), or else the
// one named as the last input, or else the last one. It goes to the last input if that takes one
// number. Of the other columns, one that is named as an input of one number goes to it, and the
// rest goes to the other inputs in order. A model of one input takes all columns, unless a label is
// named, which is then left out. Every column must have a place: numbers of elements must agree.
#include <span>
#include <string>

#include "tools/io/dataset.h"

namespace gradc {

Dataset open_csv(const std::string& path, std::span<const SampleInput> inputs,
                 const std::string& label);

}  // namespace gradc
