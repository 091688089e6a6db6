#pragma once
// Loop IR to LLVM IR: one kernel, one function
//
//   void kernel(const gradc_context*, const void* operand..., void* result..., void* memory)
//
// where `memory` holds the workspace buffers and then each thread's scratch buffers. A vector loop
// runs all lanes of a few vectors at once ("single program, multiple data"): what is the same in
// all lanes stays scalar, and the last vector is masked where the extent does not fill it.
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/codegen/index_ranges.h"
#include "compiler/codegen/lane_shapes.h"
#include "compiler/target.h"
#include "ir/loop.h"

namespace gradc::codegen {

// What the names of the functions of parallel loops' bodies end with, or go on with and a number.
inline constexpr std::string_view kPartSuffix = ".part";

class KernelEmitter {
 public:
  KernelEmitter(llvm::Module& module, const loop::Kernel& kernel, const Target& target);
  llvm::Function* emit(const std::string& symbol);

 private:
  // A register. Which members are set follows from its shape.
  struct Lanes {
    llvm::Value* scalar = nullptr;  // uniform: the value; affine: that of the first lane
    std::vector<llvm::Value*> vectors;  // varying: one per vector in flight; affine: when asked for
    llvm::Value* splat = nullptr;  // uniform: when asked for
    uint64_t block = 0;  // the vector block it was computed in; 0 outside
  };
  // The lanes that run at once: `vectors` vectors, of which the last has `last_lanes` lanes to do.
  struct VectorBlock {
    uint64_t number = 0;  // 0: scalar code
    size_t vectors = 1;
    int64_t last_lanes = 0;
    const std::vector<LaneShape>* shapes = nullptr;
    llvm::BasicBlock* outside = nullptr;  // ends before the vector loop begins
  };

  // kernel_emitter.cpp: functions, bodies, loops
  llvm::Function* emit_version(const std::string& symbol, bool streams);
  void end_function();
  void open_function(llvm::Function* function, std::span<llvm::Value* const> pointers,
                     llvm::Value* worker);
  void emit_body(const std::vector<loop::Instr>& body);
  size_t first_row_of(std::span<const loop::Instr> run) const;
  void emit_run(std::span<const loop::Instr> run);
  void emit_serial(const loop::Instr& instr);
  void emit_unrolled(const loop::Instr& instr);
  void emit_parallel(const loop::Instr& instr);
  void emit_structured(const loop::Instr& instr);
  void call_parallel_for(const loop::Instr& instr, llvm::Function* body);
  void emit_captured(const loop::Instr& instr);
  std::vector<llvm::Value*> flatten(std::span<const uint32_t> regs, std::span<const uint32_t> like);
  void unflatten(std::span<const uint32_t> regs, std::span<llvm::Value* const> values);

  // emit_blocks.cpp
  void emit_tile(const loop::Instr& instr);
  void emit_transpose(const loop::Instr& instr);
  void emit_pair_rows(const loop::Instr& instr);
  void emit_matrix(const loop::Instr& instr);

  // emit_vector_loop.cpp
  void emit_vector_loop(const loop::Instr& instr);
  std::vector<std::vector<llvm::Value*>> emit_vector_block(
      const loop::Instr& instr, llvm::Value* first, size_t vectors, int64_t last_lanes,
      std::vector<std::vector<llvm::Value*>> carries);
  void fold_carries(const loop::Instr& instr,
                    const std::vector<std::vector<llvm::Value*>>& carries);
  llvm::Value* joined(loop::Code fold, DType dtype, std::vector<llvm::Value*> vectors);
  llvm::Value* folded(loop::Code fold, DType dtype, llvm::Value* x);
  std::vector<llvm::Value*> folded_together(loop::Code fold, DType dtype,
                                            const std::vector<llvm::Value*>& vectors);
  llvm::Value* combine(loop::Code fold, DType dtype, llvm::Value* x, llvm::Value* y);

  // emit_element.cpp: instructions on one element or one vector of them
  void emit_scalar(const loop::Instr& instr);
  void emit_vector(const loop::Instr& instr, size_t vector);
  llvm::Value* after_earlier_function(llvm::Value* x);
  llvm::Value* load_vector(const loop::Instr& instr, size_t vector);
  void fetch(const loop::Instr& instr, size_t vector);
  int64_t fetched_bytes(const loop::Instr& instr) const;
  void prefetch(const loop::Instr& load, llvm::Value* address, size_t vector);
  bool prefetch_part(const loop::Instr& load, llvm::Value* address, size_t vector);
  void prefetch_line(llvm::Value* address, uint32_t caches);
  void find_passes(const std::vector<loop::Instr>& body);
  void store_vector(const loop::Instr& instr, size_t vector);
  bool has_masked_load(llvm::Type* type, LaneShape shape) const;
  llvm::Value* load_strided(uint32_t buffer, llvm::Value* index, int64_t step, size_t vector);
  llvm::Value* scalar_load(const loop::Instr& instr);
  llvm::Value* address(uint32_t buffer, llvm::Value* index);
  llvm::Value* addresses(uint32_t buffer, uint32_t index, size_t vector);
  llvm::Constant* first_lanes(int64_t count);
  llvm::Value* active_lanes(size_t vector);  // null: all
  llvm::Value* mask_of(llvm::Value* active, llvm::Value* condition);
  llvm::Value* scalar(uint32_t reg) const { return values_[reg].scalar; }
  // One vector of a register; of an i64 whose range allows it, as i32.
  llvm::Value* vector(uint32_t reg, size_t vector);
  llvm::Value* wide_vector(uint32_t reg, size_t vector);  // never as i32
  bool is_narrow(uint32_t reg) const { return ranges_[reg].fits_32_bits(); }
  llvm::Value* arithmetic(const loop::Instr& instr, std::span<llvm::Value* const> x, bool narrow);
  llvm::Value* splat_of(uint32_t reg);
  LaneShape shape(uint32_t reg) const {
    return block_.number ? (*block_.shapes)[reg] : LaneShape{};
  }
  void define(uint32_t reg, llvm::Value* scalar);
  void define_vector(uint32_t reg, size_t vector, llvm::Value* value);
  llvm::Type* vector_type(llvm::Type* element) const;
  llvm::Align alignment(uint32_t buffer) const;

  // Results that are stored past the caches where memory allows it, and whether it does.
  std::vector<size_t> streamed_results() const;
  llvm::Value* may_stream(llvm::Function* function, const std::vector<size_t>& results);

  llvm::Module& module_;
  const loop::Kernel& kernel_;
  const Target& target_;
  std::vector<IndexRange> ranges_;  // by register
  llvm::IRBuilder<> b_;
  int64_t lanes_;
  std::vector<Lanes> values_;  // by register
  std::vector<llvm::Value*> buffers_;
  // Whose loads of a buffer prefetch: within an outermost loop the first one's, and the next one's
  // that find the data in cache.
  struct Prefetch {
    const loop::Instr* loop = nullptr;
    const loop::Instr* load = nullptr;
  };
  struct Prefetches {
    Prefetch first, again;
  };
  std::map<uint32_t, Prefetches> prefetches_;  // by buffer
  // By operand, of the open loop: the vector loops directly inside of it that read it, each with
  // the first such load.
  struct Pass {
    const loop::Instr* loop = nullptr;
    const loop::Instr* load = nullptr;
  };
  std::map<uint32_t, std::vector<Pass>> passes_;
  const loop::Instr* vector_loop_ = nullptr;  // the one we are in, but not in a loop inside of it
  int depth_ = 0;  // of loops
  bool streams_ = false;  // stores past the caches are made so
  std::vector<llvm::Value*> pointers_;  // of the kernel: operands, results, memory
  llvm::Value* context_ = nullptr;
  VectorBlock block_;
  llvm::Value* function_ = nullptr;  // the last one's result
  uint64_t vector_blocks_ = 0;
  std::vector<uint32_t> splats_;  // registers whose splat is set
};

}  // namespace gradc::codegen
