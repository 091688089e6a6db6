#pragma once
// The machine that code is made for, from a CPU's name.
#include <llvm/IR/Function.h>
#include <llvm/Target/TargetMachine.h>

#include <memory>
#include <string>

#include "compiler/codegen/codegen.h"
#include "compiler/codegen/target.h"

namespace gradc {

std::unique_ptr<llvm::TargetMachine> make_target_machine(const Target& target);

// LLVM's module as a file.
std::string code_file(llvm::Module& code, const Target& target, CodeFormat format);

// What each function needs to be compiled for the target, with its vectors at full width.
void set_target_attributes(llvm::Function& function, const Target& target);

}  // namespace gradc
