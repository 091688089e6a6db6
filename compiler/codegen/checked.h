#pragma once
// LLVM's errors are ours: nothing that a user gives reaches LLVM unchecked.
#include <llvm/Support/Error.h>

#include <utility>

#include "ir/diagnostic.h"

namespace gradc::codegen {

template <typename T>
T checked(llvm::Expected<T> value) {
  GRADC_CHECK(value, "{}", llvm::toString(value.takeError()));
  return std::move(*value);
}

inline void check(llvm::Error error) {
  std::string message = llvm::toString(std::move(error));
  GRADC_CHECK(message.empty(), "{}", message);
}

}  // namespace gradc::codegen
