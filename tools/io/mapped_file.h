#pragma once
// A file as memory, for arrays that need not be read before they are used.
#include <string>

#include "ir/shared_bytes.h"

namespace gradc {

// The bytes of a regular file, mapped; a UserError if there is none. It must not become shorter
// while its bytes are used: whoever cuts it short ends this process by SIGBUS.
SharedBytes map_file(const std::string& path);

}  // namespace gradc
