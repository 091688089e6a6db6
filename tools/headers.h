#pragma once
// The C header and the C++17 wrapper that go with a compiled object.
#include <string>

#include "ir/module.h"

namespace gradc {

struct HeaderOptions {
  std::string prefix;  // an identifier: of files, symbols, and the C++ namespace
  double learning_rate = 0;  // what TrainStep::lr is unless the program sets it
  bool schedule_ends = false;  // whether updates depend on total_steps
  bool has_weights_file = false;  // PREFIX.safetensors, where there is no entry `init`
};

// Declares `PREFIX_module` and, for each entry, its position and those of its inputs and outputs.
std::string c_header(const Module& planned, const HeaderOptions& options);

// A class that derives from gradc::Model (runtime/gradc_model.hpp), with a struct per entry that
// holds what it takes and gives. Includes the C header.
std::string cpp_header(const Module& planned, const HeaderOptions& options);

}  // namespace gradc
