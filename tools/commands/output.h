#pragma once
// Where commands put text.
#include <string>

namespace gradc {

// Writes a file that appears complete or not at all, or standard output when `path` is "".
void write_text(const std::string& path, const std::string& text);
// Makes a folder, and those above it.
void make_folder(const std::string& path);

}  // namespace gradc
