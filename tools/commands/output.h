#pragma once
// Where commands put text, and what several of them say of a model.
#include <cstdint>
#include <string>

#include "ir/module.h"

namespace gradc {

// Writes a file that appears complete or not at all, or standard output when `path` is "".
void write_text(const std::string& path, const std::string& text);
// Throws what write_text would if the file cannot be made: before long work. "" always can.
void check_can_write(const std::string& path);
// Makes a folder, and those above it.
void make_folder(const std::string& path);

// What an entry takes and gives, but for control inputs and state: a line each.
void print_signature(const Function& entry);

struct ParameterTotals {
  int64_t elements = 0, bytes = 0;
};
ParameterTotals parameter_totals(const Module& module);

}  // namespace gradc
