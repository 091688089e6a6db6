#pragma once
// The runtime returns how a file operation went; the tools throw.
#include "ir/diagnostic.h"
#include "runtime/file.h"

namespace gradc {

inline void require(const FileStatus& status) {
  if (!status.ok())
    throw UserError(status.path, status.message);
}

}  // namespace gradc
