// Instructions of the loop IR on one element, or on one vector of elements.
#include <llvm/IR/InlineAsm.h>

#include <algorithm>

#include "compiler/codegen/arithmetic.h"
#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/vector_math.h"
#include "ir/diagnostic.h"

namespace gradc::codegen {

using llvm::Value;
using loop::Code;
using loop::Instr;

namespace {

bool calls_math(const Instr& loop) {
  return std::any_of(loop.body.begin(), loop.body.end(),
                     [](const Instr& instr) { return is_math(instr.code); });
}

bool fetches(const Instr& loop, uint32_t buffer) {
  return std::any_of(loop.body.begin(), loop.body.end(), [&](const Instr& instr) {
    return instr.code == Code::fetch && instr.buffer == buffer;
  });
}

}  // namespace

llvm::Type* KernelEmitter::vector_type(llvm::Type* element) const {
  return llvm::FixedVectorType::get(element, static_cast<unsigned>(lanes_));
}

llvm::Align KernelEmitter::alignment(uint32_t buffer) const {
  return llvm::Align(static_cast<uint64_t>(byte_size(kernel_.buffers[buffer].dtype)));
}

void KernelEmitter::define(uint32_t reg, Value* scalar) {
  values_[reg] = {.scalar = scalar, .block = block_.number};
}

void KernelEmitter::define_vector(uint32_t reg, size_t vector, Value* value) {
  if (values_[reg].block != block_.number || values_[reg].vectors.size() != block_.vectors)
    values_[reg] = {.vectors = std::vector<Value*>(block_.vectors), .block = block_.number};
  values_[reg].vectors[vector] = value;
}

// All lanes of a uniform value. What comes from outside of the vector loop is spread there, once.
Value* KernelEmitter::splat_of(uint32_t reg) {
  Lanes& lanes = values_[reg];
  if (lanes.splat)
    return lanes.splat;
  splats_.push_back(reg);
  auto here = b_.saveIP();
  llvm::Instruction* end = block_.outside->getTerminator();
  if (lanes.block == 0 && end)
    b_.SetInsertPoint(end);
  Value* one = is_narrow(reg) ? b_.CreateTrunc(lanes.scalar, b_.getInt32Ty()) : lanes.scalar;
  auto* constant = llvm::dyn_cast<llvm::Constant>(one);
  auto count = llvm::ElementCount::getFixed(static_cast<unsigned>(lanes_));
  lanes.splat =
      constant ? llvm::ConstantVector::getSplat(count, constant) : b_.CreateVectorSplat(count, one);
  b_.restoreIP(here);
  return lanes.splat;
}

Value* KernelEmitter::vector(uint32_t reg, size_t u) {
  Lanes& lanes = values_[reg];
  LaneShape shape = this->shape(reg);
  if (shape.kind == LaneShape::uniform)
    return splat_of(reg);
  if (shape.kind == LaneShape::affine) {
    lanes.vectors.resize(block_.vectors);
    if (!lanes.vectors[u]) {
      llvm::Type* type = is_narrow(reg) ? b_.getInt32Ty() : b_.getInt64Ty();
      std::vector<llvm::Constant*> offsets;
      for (int64_t lane = 0; lane < lanes_; ++lane)
        offsets.push_back(llvm::ConstantInt::get(
            type, static_cast<uint64_t>((static_cast<int64_t>(u) * lanes_ + lane) * shape.step),
            true));
      Value* first =
          b_.CreateVectorSplat(static_cast<unsigned>(lanes_), b_.CreateTrunc(lanes.scalar, type));
      lanes.vectors[u] = b_.CreateAdd(first, llvm::ConstantVector::get(offsets));
    }
  }
  return lanes.vectors[u];
}

Value* KernelEmitter::wide_vector(uint32_t reg, size_t u) {
  Value* x = vector(reg, u);
  return is_narrow(reg) ? b_.CreateSExt(x, vector_type(b_.getInt64Ty())) : x;
}

llvm::Constant* KernelEmitter::first_lanes(int64_t count) {
  return codegen::first_lanes(b_, lanes_, count);
}

Value* KernelEmitter::active_lanes(size_t u) {
  bool all = u + 1 < block_.vectors || block_.last_lanes == lanes_;
  return all ? nullptr : first_lanes(block_.last_lanes);
}

Value* KernelEmitter::mask_of(Value* active, Value* condition) {
  return active && condition ? b_.CreateAnd(active, condition) : active ? active : condition;
}

Value* KernelEmitter::address(uint32_t buffer, Value* index) {
  llvm::Type* type = memory_type(b_.getContext(), kernel_.buffers[buffer].dtype);
  return b_.CreateInBoundsGEP(type, buffers_[buffer], index);
}

// One address per lane.
Value* KernelEmitter::addresses(uint32_t buffer, uint32_t index, size_t u) {
  LaneShape shape = this->shape(index);
  if (shape.kind != LaneShape::affine)
    return address(buffer, vector(index, u));
  llvm::Type* type = memory_type(b_.getContext(), kernel_.buffers[buffer].dtype);
  std::vector<llvm::Constant*> offsets;
  for (int64_t lane = 0; lane < lanes_; ++lane)
    offsets.push_back(
        b_.getInt64(static_cast<uint64_t>((static_cast<int64_t>(u) * lanes_ + lane) * shape.step)));
  return b_.CreateGEP(type, address(buffer, scalar(index)), llvm::ConstantVector::get(offsets));
}

// Where the condition fails, the first element of the buffer is read and dropped.
Value* KernelEmitter::scalar_load(const Instr& instr) {
  DType dtype = kernel_.buffers[instr.buffer].dtype;
  llvm::Type* type = memory_type(b_.getContext(), dtype);
  bool conditional = instr.code == Code::load_if;
  Value* index = scalar(instr.operands[conditional ? 1 : 0]);
  if (conditional)
    index = b_.CreateSelect(scalar(instr.operands[0]), index, b_.getInt64(0));
  Value* x = b_.CreateAlignedLoad(type, address(instr.buffer, index), alignment(instr.buffer));
  x = from_memory(b_, dtype, x);
  return conditional ? b_.CreateSelect(scalar(instr.operands[0]), x, scalar(instr.operands[2])) : x;
}

void KernelEmitter::emit_scalar(const Instr& instr) {
  GRADC_CHECK(instr.code != Code::fetch, "@{} fetches outside of a vector loop", kernel_.name);
  if (instr.code == Code::store) {
    DType dtype = kernel_.buffers[instr.buffer].dtype;
    b_.CreateAlignedStore(to_memory(b_, dtype, scalar(instr.operands[1])),
                          address(instr.buffer, scalar(instr.operands[0])),
                          alignment(instr.buffer));
    return;
  }
  uint32_t reg = instr.results[0];
  llvm::Type* type = register_type(b_.getContext(), instr.dtype);
  if (instr.code == Code::constant) {
    define(reg, is_float(instr.dtype)
                    ? llvm::cast<Value>(llvm::ConstantFP::get(type, instr.real))
                    : llvm::ConstantInt::get(type, static_cast<uint64_t>(instr.integer), true));
  } else if (instr.code == Code::load || instr.code == Code::load_if) {
    define(reg, scalar_load(instr));
  } else {
    std::vector<Value*> x;
    for (uint32_t operand : instr.operands)
      x.push_back(scalar(operand));
    define(reg, arithmetic(instr, x, false));
  }
}

// LLVM's scheduler would interleave all functions of a tile's sums or of some pixels, whose values
// do not fit the registers: it must believe that a function needs the one before, by an empty
// instruction. The CPU, which does not know, still computes several at once.
Value* KernelEmitter::after_earlier_function(Value* x) {
  auto* earlier = llvm::dyn_cast_or_null<llvm::Instruction>(function_);
  if (!earlier || earlier->getParent() != b_.GetInsertBlock())
    return x;
  auto* type = llvm::FunctionType::get(x->getType(), {x->getType(), x->getType()}, false);
  auto* nothing = llvm::InlineAsm::get(type, "", "=v,0,v", false);
  return b_.CreateCall(nothing, {x, earlier});
}

void KernelEmitter::emit_vector(const Instr& instr, size_t u) {
  if (instr.code == Code::store)
    return store_vector(instr, u);
  if (instr.code == Code::fetch)
    return fetch(instr, u);
  uint32_t reg = instr.results[0];
  if (instr.code == Code::load || instr.code == Code::load_if)
    return define_vector(reg, u, load_vector(instr, u));
  // Indices are 32 bits wide where all of them, and what becomes of them, fit.
  auto is_wide = [&](uint32_t other) {
    return kernel_.regs[other] == DType::i64 && !is_narrow(other);
  };
  bool narrow =
      !is_wide(reg) && std::none_of(instr.operands.begin(), instr.operands.end(), is_wide);
  std::vector<Value*> x;
  for (uint32_t operand : instr.operands)
    x.push_back(narrow ? vector(operand, u) : wide_vector(operand, u));
  bool paced = block_.vectors == 1 && target_.vector_bytes == 64 && is_math(instr.code) &&
               instr.dtype == DType::f32;
  if (paced)
    x[0] = after_earlier_function(x[0]);
  Value* y = arithmetic(instr, x, narrow);
  if (paced)
    function_ = y;
  define_vector(reg, u,
                is_narrow(reg) && !narrow ? b_.CreateTrunc(y, vector_type(b_.getInt32Ty())) : y);
}

// `narrow`: i64 values come, and go, as i32.
Value* KernelEmitter::arithmetic(const Instr& instr, std::span<Value* const> x, bool narrow) {
  auto held = [&](DType dtype) { return narrow && dtype == DType::i64 ? DType::i32 : dtype; };
  bool divides = instr.code == Code::div || instr.code == Code::rem;
  if (divides && ranges_[instr.operands[0]].is_not_negative() &&
      ranges_[instr.operands[1]].is_not_negative() && llvm::isa<llvm::Constant>(x[1]))
    return instr.code == Code::div ? b_.CreateUDiv(x[0], x[1]) : b_.CreateURem(x[0], x[1]);
  return emit_arithmetic(b_, instr.code, held(instr.dtype),
                         held(kernel_.regs[instr.operands.back()]), x);
}

// Whether the target can leave out lanes that are only known at run time: AVX-512 any, AVX2 those
// of four or eight bytes that lie side by side.
bool KernelEmitter::has_masked_load(llvm::Type* type, LaneShape shape) const {
  bool is_adjacent = shape == LaneShape{LaneShape::affine, 1};
  return target_.vector_bytes == 64 ||
         (target_.vector_bytes == 32 && is_adjacent && type->getScalarSizeInBits() >= 32);
}

Value* KernelEmitter::load_vector(const Instr& instr, size_t u) {
  DType dtype = kernel_.buffers[instr.buffer].dtype;
  llvm::Type* type = vector_type(memory_type(b_.getContext(), dtype));
  bool conditional = instr.code == Code::load_if;
  uint32_t index = instr.operands[conditional ? 1 : 0];
  LaneShape shape = this->shape(index);
  Value* mask = mask_of(active_lanes(u), conditional ? vector(instr.operands[0], u) : nullptr);
  Value* nothing = llvm::Constant::getNullValue(type);
  bool selects =
      conditional && shape.kind != LaneShape::uniform && !llvm::isa<llvm::Constant>(mask);
  llvm::Align align = alignment(instr.buffer);
  Value* x = nullptr;
  if (shape.kind == LaneShape::uniform) {
    // Only the condition varies: one element, read if a lane wants it.
    Value* wanted = b_.CreateOrReduce(mask);
    Value* at = b_.CreateSelect(wanted, scalar(index), b_.getInt64(0));
    Value* one = b_.CreateAlignedLoad(type->getScalarType(), address(instr.buffer, at), align);
    x = b_.CreateVectorSplat(static_cast<unsigned>(lanes_), one);
  } else if (selects && !has_masked_load(type, shape)) {
    // LLVM would branch around each lane's load: lanes that are not wanted read the first element.
    Value* at = vector(index, u);
    at = b_.CreateSelect(mask, at, llvm::Constant::getNullValue(at->getType()));
    llvm::Constant* all = first_lanes(lanes_);
    x = b_.CreateMaskedGather(type, address(instr.buffer, at), align, all, nothing);
  } else if (shape == LaneShape{LaneShape::affine, 1}) {
    Value* first = scalar(index);
    // A masked load that reads nothing is slow where the address is not mapped.
    if (conditional && this->shape(instr.operands[0]).kind == LaneShape::uniform)
      first = b_.CreateSelect(scalar(instr.operands[0]), first, b_.getInt64(0));
    Value* at = b_.CreateConstInBoundsGEP1_64(type->getScalarType(), address(instr.buffer, first),
                                              u * static_cast<uint64_t>(lanes_));
    x = mask ? b_.CreateMaskedLoad(type, at, align, mask, nothing)
             : llvm::cast<Value>(b_.CreateAlignedLoad(type, at, align));
    if (!mask)
      prefetch(instr, at, u);
  } else if (!conditional && shape.kind == LaneShape::affine &&
             (shape.step == 2 || shape.step == 4)) {
    x = load_strided(instr.buffer, scalar(index), shape.step, u);
  } else {
    x = b_.CreateMaskedGather(type, addresses(instr.buffer, index, u), align, mask, nothing);
  }
  x = from_memory(b_, dtype, x);
  if (!conditional)
    return x;
  return b_.CreateSelect(vector(instr.operands[0], u), x, wide_vector(instr.operands[2], u));
}

// Loops over one long row after the other: the first would wait for memory, which would be idle in
// the others. So each asks for some quarters of the next row, most of them the last, which stores:
// in each iteration for as many quarters of what the iteration reads. Says whether this is such a
// loop.
bool KernelEmitter::prefetch_part(const Instr& load, Value* address, size_t u) {
  constexpr int64_t kLeastBytes = 4 << 10, kMostBytes = 128 << 10, kLine = 64, kBytes = 4;
  constexpr uint32_t kSecond = 2, kAllCaches = 3;
  constexpr int64_t kShares[][4] = {{}, {}, {2, 2}, {1, 1, 2}, {1, 1, 1, 1}};
  const std::vector<Pass>& passes = passes_[load.buffer];
  int64_t row = vector_loop_->extent * kBytes;
  if (passes.size() < 2 || passes.size() >= std::size(kShares) || lanes_ * kBytes != kLine ||
      row < kLeastBytes || row > kMostBytes ||
      byte_size(kernel_.buffers[load.buffer].dtype) != kBytes)
    return false;
  int64_t begin = 0;
  for (size_t p = 0; p < passes.size(); ++p) {
    int64_t quarters = kShares[passes.size()][p];
    auto lines = std::max<int64_t>(1, static_cast<int64_t>(block_.vectors) * quarters / 4);
    if (passes[p].load == &load && static_cast<int64_t>(u) < lines) {
      Value* j = scalar(vector_loop_->params[0]);
      Value* at =
          b_.CreateGEP(b_.getInt8Ty(), address,
                       b_.CreateMul(j, b_.getInt64(static_cast<uint64_t>(quarters - kBytes))));
      at = b_.CreateConstGEP1_64(b_.getInt8Ty(), at, static_cast<uint64_t>(row + begin));
      prefetch_line(at, row == kLeastBytes ? kAllCaches : kSecond);
    }
    begin += row / 4 * quarters;
  }
  return true;
}

void KernelEmitter::prefetch_line(Value* address, uint32_t caches) {
  constexpr uint32_t kRead = 0, kData = 1;
  b_.CreateIntrinsic(llvm::Intrinsic::prefetch, {b_.getPtrTy()},
                     {address, b_.getInt32(kRead), b_.getInt32(caches), b_.getInt32(kData)});
}

// Bytes of a buffer that `instr` fetches in an iteration of the vector loop.
int64_t KernelEmitter::fetched_bytes(const Instr& instr) const {
  return shape(instr.operands[0]).step * byte_size(kernel_.buffers[instr.buffer].dtype);
}

// What a loop reads of the buffers that it fetches shall stay in the cache until then.
void KernelEmitter::fetch(const Instr& instr, size_t u) {
  constexpr int64_t kLine = 64;
  constexpr uint32_t kSecond = 2, kAllCaches = 3;
  int64_t bytes = fetched_bytes(instr) * lanes_, first = static_cast<int64_t>(u) * bytes, all = 0;
  for (const Instr& other : vector_loop_->body)
    if (other.code == Code::load && fetches(*vector_loop_, other.buffer))
      all += vector_loop_->extent * fetched_bytes(other);
  uint32_t caches = all <= target_.l1_bytes / 2 ? kAllCaches : kSecond;
  Value* start = address(instr.buffer, scalar(instr.operands[0]));
  for (int64_t line = (first + kLine - 1) / kLine * kLine; line < first + bytes; line += kLine)
    prefetch_line(b_.CreateConstGEP1_64(b_.getInt8Ty(), start, static_cast<uint64_t>(line)),
                  caches);
}

// What a loop over a large operand reads a little later: beside arithmetic, a CPU by itself has too
// few loads on their way to keep memory busy. A long loop that reads its elements again, from
// cache, would leave memory idle: it asks for as many that follow, which are the next row's. Behind
// the end nothing is read.
void KernelEmitter::prefetch(const Instr& load, Value* address, size_t u) {
  constexpr int64_t kLargeBytes = 1 << 20, kAheadBytes = 2048, kMostBytes = 128 << 10, kLine = 64,
                    kShortBytes = 512;
  const loop::Buffer& buffer = kernel_.buffers[load.buffer];
  int64_t bytes = byte_size(buffer.dtype);
  if (!vector_loop_ || buffer.space != loop::Space::operand ||
      buffer.elements * bytes < kLargeBytes ||
      static_cast<int64_t>(u) * lanes_ * bytes % kLine != 0 || fetches(*vector_loop_, load.buffer))
    return;
  if (prefetch_part(load, address, u))
    return;
  Prefetches& of_buffer = prefetches_[load.buffer];
  int64_t ahead = kAheadBytes;
  Prefetch* chosen = &of_buffer.first;
  if (chosen->loop && chosen->loop != vector_loop_) {
    chosen = &of_buffer.again;
    ahead = vector_loop_->extent * bytes;
    if (ahead <= kAheadBytes || ahead > kMostBytes || !calls_math(*vector_loop_))
      return;
  }
  if (!chosen->loop)
    *chosen = {vector_loop_, &load};
  bool is_short = vector_loop_->extent * bytes <= kShortBytes;  // several rows at once
  if (chosen->loop != vector_loop_ || (chosen->load != &load && !is_short))
    return;
  Value* at = b_.CreateConstGEP1_64(b_.getInt8Ty(), address, static_cast<uint64_t>(ahead));
  constexpr uint32_t kAllCaches = 3;
  prefetch_line(at, kAllCaches);
}

// Every second or fourth element: whole vectors, of which shuffles keep what is wanted. Nothing is
// read behind the last of those.
Value* KernelEmitter::load_strided(uint32_t buffer, Value* index, int64_t step, size_t u) {
  llvm::Type* type = vector_type(memory_type(b_.getContext(), kernel_.buffers[buffer].dtype));
  int64_t lanes = u + 1 < block_.vectors ? lanes_ : block_.last_lanes;
  int64_t end = (lanes - 1) * step + 1;
  Value* first = b_.CreateConstInBoundsGEP1_64(type->getScalarType(), address(buffer, index),
                                               u * static_cast<uint64_t>(lanes_ * step));
  std::vector<Value*> parts;
  for (int64_t k = 0; k < step; ++k) {
    Value* at = b_.CreateConstInBoundsGEP1_64(type->getScalarType(), first,
                                              static_cast<uint64_t>(k * lanes_));
    int64_t count = std::clamp<int64_t>(end - k * lanes_, 0, lanes_);
    if (count == lanes_)
      parts.push_back(b_.CreateAlignedLoad(type, at, alignment(buffer)));
    else if (count > 0)
      parts.push_back(b_.CreateMaskedLoad(type, at, alignment(buffer), first_lanes(count),
                                          llvm::Constant::getNullValue(type)));
    else
      parts.push_back(llvm::Constant::getNullValue(type));
  }
  std::vector<int> even;
  for (int64_t lane = 0; lane < lanes_; ++lane)
    even.push_back(static_cast<int>(2 * lane));
  for (; parts.size() > 1; parts.resize(parts.size() / 2))
    for (size_t i = 0; i < parts.size() / 2; ++i)
      parts[i] = b_.CreateShuffleVector(parts[2 * i], parts[2 * i + 1], even);
  return parts[0];
}

void KernelEmitter::store_vector(const Instr& instr, size_t u) {
  DType dtype = kernel_.buffers[instr.buffer].dtype;
  LaneShape shape = this->shape(instr.operands[0]);
  GRADC_CHECK(shape.kind != LaneShape::uniform, "lanes of @{} store to one element of %{}",
              kernel_.name, kernel_.buffers[instr.buffer].name);
  Value* x = to_memory(b_, dtype, wide_vector(instr.operands[1], u));
  Value* mask = active_lanes(u);
  llvm::Align align = alignment(instr.buffer);
  if (shape == LaneShape{LaneShape::affine, 1}) {
    Value* at = b_.CreateConstInBoundsGEP1_64(x->getType()->getScalarType(),
                                              address(instr.buffer, scalar(instr.operands[0])),
                                              u * static_cast<uint64_t>(lanes_));
    if (mask)
      return void(b_.CreateMaskedStore(x, at, align, mask));
    bool streams = instr.streamed && streams_;
    auto bytes = static_cast<uint64_t>(lanes_ * byte_size(dtype));
    llvm::StoreInst* store = b_.CreateAlignedStore(x, at, streams ? llvm::Align(bytes) : align);
    if (streams)
      store->setMetadata(
          llvm::LLVMContext::MD_nontemporal,
          llvm::MDNode::get(b_.getContext(), llvm::ConstantAsMetadata::get(b_.getInt32(1))));
    return;
  }
  b_.CreateMaskedScatter(x, addresses(instr.buffer, instr.operands[0], u), align, mask);
}

}  // namespace gradc::codegen
