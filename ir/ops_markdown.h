#pragma once
// The reference of the op table, docs/ops.md, as `gradc ops --markdown` prints it.
#include <string>

namespace gradc {

std::string ops_markdown();

}  // namespace gradc
