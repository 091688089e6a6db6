#pragma once
// gradc bench --tune: measures a model's products and convolutions with other schedules of the same
// bits, and writes those that are faster to the file that later compilations read.
#include <string>
#include <vector>

#include "tools/commands/flags.h"
#include "tools/io/array.h"

namespace gradc {

// `arrays` of --feed, or none; `seconds` per schedule.
void tune(ModelFlags& flags, const std::string& entry, const std::vector<NamedArray>& arrays,
          double seconds);

}  // namespace gradc
