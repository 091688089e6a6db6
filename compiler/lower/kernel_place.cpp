#include "compiler/lower/kernel_place.h"

#include "ir/op_def.h"

namespace gradc {
namespace {

// How much of the kernel's work an op of its class is.
int weight(const Op& op) {
  switch (def(op).kernel) {
    case KernelClass::contract:
      return 3;
    case KernelClass::reduce:
    case KernelClass::custom:
      return 2;
    default:
      return 1;
  }
}

}  // namespace

std::string kernel_place(const Function& kernel) {
  const Op* heaviest = nullptr;
  for (const Op& op : kernel.ops)
    if (!op.loc.empty() && (!heaviest || weight(op) > weight(*heaviest)))
      heaviest = &op;
  return heaviest ? heaviest->loc : "";
}

}  // namespace gradc
