#include "compiler/codegen/kernel_emitter.h"

#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/TargetParser/Triple.h>

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>

#include "compiler/codegen/arithmetic.h"
#include "compiler/codegen/counted_loop.h"
#include "compiler/codegen/target_machine.h"
#include "ir/diagnostic.h"
#include "runtime/gradc_runtime.h"

namespace gradc::codegen {

using llvm::Value;
using loop::Code;
using loop::Instr;
using loop::LoopKind;
using loop::Space;

KernelEmitter::KernelEmitter(llvm::Module& module, const loop::Kernel& kernel, const Target& target)
    : module_(module),
      kernel_(kernel),
      target_(target),
      ranges_(index_ranges(kernel)),
      b_(module.getContext()),
      lanes_(target.lanes_f32()),
      values_(kernel.regs.size()) {}

// Of a kernel that stores past the caches there are two versions: memory decides which one runs.
llvm::Function* KernelEmitter::emit(const std::string& symbol) {
  std::vector<size_t> streamed = streamed_results();
  if (streamed.empty())
    return emit_version(symbol, false);
  llvm::Function* versions[] = {emit_version(symbol + ".cached", false),
                                emit_version(symbol + ".streamed", true)};
  auto* function = llvm::Function::Create(versions[0]->getFunctionType(),
                                          llvm::Function::InternalLinkage, symbol, module_);
  set_target_attributes(*function, target_);
  b_.SetInsertPoint(llvm::BasicBlock::Create(module_.getContext(), "entry", function));
  std::vector<Value*> arguments;
  for (llvm::Argument& argument : function->args())
    arguments.push_back(&argument);
  llvm::BasicBlock* blocks[2];
  for (llvm::BasicBlock*& block : blocks)
    block = llvm::BasicBlock::Create(module_.getContext(), "version", function);
  b_.CreateCondBr(may_stream(function, streamed), blocks[1], blocks[0]);
  for (size_t i = 0; i < 2; ++i) {
    b_.SetInsertPoint(blocks[i]);
    b_.CreateCall(versions[i], arguments);
    b_.CreateRetVoid();
  }
  return function;
}

// Indices of buffers.
std::vector<size_t> KernelEmitter::streamed_results() const {
  std::vector<bool> streamed(kernel_.buffers.size());
  auto look_at = [&](auto& self, const std::vector<Instr>& body) -> void {
    for (const Instr& instr : body) {
      if (instr.code == Code::store && instr.streamed)
        streamed[instr.buffer] = true;
      self(self, instr.body);
    }
  };
  look_at(look_at, kernel_.body);
  std::vector<size_t> results;
  for (size_t i = 0; i < streamed.size(); ++i)
    if (streamed[i])
      results.push_back(i);
  return results;
}

// They begin at lines, and are no operand's memory: that is in the cache, which is faster then.
Value* KernelEmitter::may_stream(llvm::Function* function, const std::vector<size_t>& results) {
  auto argument = [&](size_t buffer) {
    return function->getArg(static_cast<unsigned>(buffer + 1));
  };
  Value* allowed = b_.getTrue();
  for (size_t result : results) {
    Value* address = b_.CreatePtrToInt(argument(result), b_.getInt64Ty());
    Value* rest = b_.CreateAnd(address, b_.getInt64(63));
    allowed = b_.CreateAnd(allowed, b_.CreateICmpEQ(rest, b_.getInt64(0)));
    for (size_t i = 0; i < kernel_.buffers.size(); ++i)
      if (kernel_.buffers[i].space == Space::operand)
        allowed = b_.CreateAnd(allowed, b_.CreateICmpNE(argument(result), argument(i)));
  }
  return allowed;
}

llvm::Function* KernelEmitter::emit_version(const std::string& symbol, bool streams) {
  streams_ = streams;
  values_.assign(kernel_.regs.size(), {});
  size_t tensors = 0;
  for (const loop::Buffer& buffer : kernel_.buffers)
    tensors += buffer.space == Space::operand || buffer.space == Space::result;
  std::vector<llvm::Type*> types(tensors + 2, b_.getPtrTy());
  auto* function = llvm::Function::Create(llvm::FunctionType::get(b_.getVoidTy(), types, false),
                                          llvm::Function::InternalLinkage, symbol, module_);
  context_ = function->getArg(0);
  std::vector<Value*> pointers;
  for (size_t i = 1; i < types.size(); ++i)
    pointers.push_back(function->getArg(static_cast<unsigned>(i)));
  open_function(function, pointers, b_.getInt32(0));
  emit_body(kernel_.body);
  end_function();
  return function;
}

// Stores past the caches are not seen in order by other threads before a fence.
void KernelEmitter::end_function() {
  if (streams_ && llvm::Triple(module_.getTargetTriple()).isX86())
    b_.CreateIntrinsic(llvm::Intrinsic::x86_sse_sfence, {}, {});
  b_.CreateRetVoid();
}

void KernelEmitter::open_function(llvm::Function* function, std::span<Value* const> pointers,
                                  Value* worker) {
  set_target_attributes(*function, target_);
  b_.SetInsertPoint(llvm::BasicBlock::Create(module_.getContext(), "entry", function));
  pointers_.assign(pointers.begin(), pointers.end());
  Value* memory = pointers_.back();
  auto bytes = [&](int64_t count) { return b_.getInt64(static_cast<uint64_t>(count)); };
  Value* scratch = b_.CreateAdd(bytes(loop::space_bytes(kernel_, Space::workspace)),
                                b_.CreateMul(b_.CreateZExt(worker, b_.getInt64Ty()),
                                             bytes(loop::space_bytes(kernel_, Space::scratch))));
  buffers_.clear();
  size_t tensors = 0;
  for (size_t i = 0; i < kernel_.buffers.size(); ++i) {
    Space space = kernel_.buffers[i].space;
    if (space == Space::operand || space == Space::result) {
      buffers_.push_back(pointers_[tensors++]);
      continue;
    }
    Value* offset = bytes(loop::buffer_offset(kernel_, i));
    if (space == Space::scratch)
      offset = b_.CreateAdd(scratch, offset);
    buffers_.push_back(b_.CreateInBoundsGEP(b_.getInt8Ty(), memory, offset));
  }
}

void KernelEmitter::emit_body(const std::vector<Instr>& body) {
  std::span<const Instr> rest(body);
  while (!rest.empty()) {
    auto structured = std::find_if(rest.begin(), rest.end(), [](const Instr& instr) {
      return instr.code == Code::loop || instr.code == Code::yield || loop::is_block(instr.code);
    });
    auto length = static_cast<size_t>(structured - rest.begin());
    emit_run(rest.first(length));
    if (structured == rest.end() || structured->code == Code::yield)
      return;
    emit_structured(*structured);
    rest = rest.subspan(length + 1);
  }
}

// Of a loop that is one block of vectors over several short rows, what belongs to the first row, up
// to where a buffer is read again: memory likes a row after the other.
size_t KernelEmitter::first_row_of(std::span<const Instr> run) const {
  if (block_.number == 0 || !vector_loop_ ||
      static_cast<int64_t>(block_.vectors) * lanes_ < vector_loop_->extent)
    return run.size();
  std::set<uint32_t> read;
  for (size_t i = 0; i < run.size(); ++i)
    if (run[i].code == Code::load && !read.insert(run[i].buffer).second)
      return i;
  return run.size();
}

// Straight code, one vector after the other: few values are alive at once, and the loads of a
// vector come before its stores.
void KernelEmitter::emit_run(std::span<const Instr> run) {
  size_t length = first_row_of(run);
  for (size_t vector = 0; vector < block_.vectors; ++vector)
    for (const Instr& instr : run.first(length)) {
      bool varies = instr.results.empty() ? block_.number != 0
                                          : shape(instr.results[0]).kind == LaneShape::varying;
      if (varies)
        emit_vector(instr, vector);
      else if (vector == 0)
        emit_scalar(instr);
    }
  if (length < run.size())
    emit_run(run.subspan(length));
}

void KernelEmitter::emit_structured(const Instr& instr) {
  if (instr.code == Code::tile)
    return emit_tile(instr);
  if (instr.code == Code::transpose)
    return emit_transpose(instr);
  if (instr.code == Code::pair_rows)
    return emit_pair_rows(instr);
  if (instr.code == Code::matrix)
    return emit_matrix(instr);
  if (depth_++ == 0)
    prefetches_.clear();
  std::map<uint32_t, std::vector<Pass>> passes_around;
  if (instr.kind != LoopKind::vector) {
    passes_around = std::exchange(passes_, {});
    find_passes(instr.body);
  }
  const Instr* around = std::exchange(vector_loop_, nullptr);
  switch (instr.kind) {
    case LoopKind::serial:
      emit_serial(instr);
      break;
    case LoopKind::unrolled:
      emit_unrolled(instr);
      break;
    case LoopKind::vector:
      vector_loop_ = &instr;
      emit_vector_loop(instr);
      break;
    case LoopKind::parallel:
      emit_parallel(instr);
      break;
  }
  vector_loop_ = around;
  if (instr.kind != LoopKind::vector)
    passes_ = std::move(passes_around);
  --depth_;
}

void KernelEmitter::find_passes(const std::vector<Instr>& body) {
  for (const Instr& loop : body) {
    if (loop.code != Code::loop || loop.kind != LoopKind::vector)
      continue;
    for (const Instr& load : loop.body) {
      if (load.code != Code::load || kernel_.buffers[load.buffer].space != Space::operand)
        continue;
      std::vector<Pass>& passes = passes_[load.buffer];
      if (passes.empty() || passes.back().loop != &loop)
        passes.push_back({&loop, &load});
    }
  }
}

// The LLVM values behind registers: one of a uniform register, one per vector of a varying one. A
// value takes the shape of the register in `like` that it becomes.
std::vector<Value*> KernelEmitter::flatten(std::span<const uint32_t> regs,
                                           std::span<const uint32_t> like) {
  std::vector<Value*> flat;
  for (size_t i = 0; i < regs.size(); ++i) {
    if (shape(like[i]).kind == LaneShape::uniform)
      flat.push_back(scalar(regs[i]));
    else
      for (size_t u = 0; u < block_.vectors; ++u)
        flat.push_back(wide_vector(regs[i], u));
  }
  return flat;
}

void KernelEmitter::unflatten(std::span<const uint32_t> regs, std::span<Value* const> flat) {
  size_t next = 0;
  for (uint32_t reg : regs) {
    if (shape(reg).kind == LaneShape::uniform)
      define(reg, flat[next++]);
    else
      for (size_t u = 0; u < block_.vectors; ++u)
        define_vector(reg, u, flat[next++]);
  }
}

void KernelEmitter::emit_serial(const Instr& instr) {
  std::span<const uint32_t> carries = std::span(instr.params).subspan(1);
  auto body = [&](Value* i, std::span<Value* const> values) {
    define(instr.params[0], i);
    unflatten(carries, values);
    emit_body(instr.body);
    return carries.empty() ? std::vector<Value*>{} : flatten(instr.body.back().operands, carries);
  };
  std::vector<Value*> initial = flatten(instr.operands, carries);
  unflatten(instr.results,
            instr.count ? emit_loop_if_any(b_, scalar(*instr.count), std::move(initial), body)
                        : emit_counted_loop(b_, instr.extent, 1, std::move(initial), body));
}

void KernelEmitter::emit_unrolled(const Instr& instr) {
  std::span<const uint32_t> carries = std::span(instr.params).subspan(1);
  std::vector<Value*> values = flatten(instr.operands, carries);
  for (int64_t i = 0; i < instr.extent; ++i) {
    define(instr.params[0], b_.getInt64(static_cast<uint64_t>(i)));
    unflatten(carries, values);
    emit_body(instr.body);
    if (!carries.empty())
      values = flatten(instr.body.back().operands, carries);
  }
  unflatten(instr.results, values);
}

// The body becomes a function `void body(void* data, int64_t begin, int64_t end, int32_t worker)`;
// `data` is an array of the kernel's pointers.
void KernelEmitter::emit_parallel(const Instr& instr) {
  llvm::Type* number = b_.getInt64Ty();
  auto* body = llvm::Function::Create(
      llvm::FunctionType::get(b_.getVoidTy(), {b_.getPtrTy(), number, number, b_.getInt32Ty()},
                              false),
      llvm::Function::InternalLinkage, b_.GetInsertBlock()->getParent()->getName() + kPartSuffix,
      module_);
  call_parallel_for(instr, body);
  auto outer = std::tuple(values_, buffers_, pointers_, b_.saveIP());
  values_.assign(kernel_.regs.size(), {});

  auto* entry = llvm::BasicBlock::Create(module_.getContext(), "load", body);
  b_.SetInsertPoint(entry);
  std::vector<Value*> pointers;
  for (size_t i = 0; i < pointers_.size(); ++i)
    pointers.push_back(b_.CreateLoad(
        b_.getPtrTy(), b_.CreateConstInBoundsGEP1_64(b_.getPtrTy(), body->getArg(0), i)));
  open_function(body, pointers, body->getArg(3));
  b_.SetInsertPoint(entry);
  b_.CreateBr(entry->getNextNode());
  b_.SetInsertPoint(entry->getNextNode());
  emit_captured(instr);
  emit_loop(b_, body->getArg(1), body->getArg(2), 1, {}, [&](Value* i, std::span<Value* const>) {
    define(instr.params[0], i);
    emit_body(instr.body);
    return std::vector<Value*>{};
  });
  end_function();
  llvm::IRBuilderBase::InsertPoint at;
  std::tie(values_, buffers_, pointers_, at) = std::move(outer);
  b_.restoreIP(at);
}

void KernelEmitter::call_parallel_for(const Instr& instr, llvm::Function* body) {
  llvm::BasicBlock& entry = b_.GetInsertBlock()->getParent()->getEntryBlock();
  llvm::IRBuilder<> at_entry(&entry, entry.begin());
  Value* data = at_entry.CreateAlloca(b_.getPtrTy(), b_.getInt64(pointers_.size()), "data");
  for (size_t i = 0; i < pointers_.size(); ++i)
    b_.CreateStore(pointers_[i], b_.CreateConstInBoundsGEP1_64(b_.getPtrTy(), data, i));
  auto field = [&](size_t offset) {
    return b_.CreateLoad(b_.getPtrTy(),
                         b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), context_, offset));
  };
  Value* parallel_for = field(offsetof(gradc_context, parallel_for));
  Value* pool = field(offsetof(gradc_context, pool));
  auto* type = llvm::FunctionType::get(
      b_.getVoidTy(), {b_.getPtrTy(), b_.getInt64Ty(), b_.getPtrTy(), b_.getPtrTy()}, false);
  b_.CreateCall(type, parallel_for,
                {pool, b_.getInt64(static_cast<uint64_t>(instr.extent)), body, data});
}

// Computes again, in a parallel loop's function, what its body reads of the kernel's outermost
// instructions. They have no effects; what a loop of the kernel found reaches another loop through
// memory only.
void KernelEmitter::emit_captured(const Instr& instr) {
  std::vector<bool> needed(kernel_.regs.size());
  auto mark = [&](auto& self, const Instr& user) -> void {
    for_each_read(user, [&](uint32_t reg) { needed[reg] = true; });
    for (const Instr& inner : user.body)
      self(self, inner);
  };
  mark(mark, instr);
  auto end = std::find_if(kernel_.body.begin(), kernel_.body.end(),
                          [&](const Instr& other) { return &other == &instr; });
  GRADC_CHECK(end != kernel_.body.end(), "a parallel loop of @{} is not outermost", kernel_.name);
  auto is_needed = [&](const Instr& other) {
    return std::any_of(other.results.begin(), other.results.end(),
                       [&](uint32_t reg) { return needed[reg]; });
  };
  for (auto other = end; other != kernel_.body.begin();) {
    --other;
    if (!is_needed(*other))
      continue;
    GRADC_CHECK(!has_effect(*other), "a parallel loop of @{} reads the result of a loop",
                kernel_.name);
    for (uint32_t operand : other->operands)
      needed[operand] = true;
  }
  for (auto other = kernel_.body.begin(); other != end; ++other)
    if (is_needed(*other))
      emit_scalar(*other);
}

}  // namespace gradc::codegen
