#pragma once
// The values of a kernel, computed element by element where they are asked for: an operand is
// loaded from its buffer, the result of a map op is its element rule applied to elements of the
// operands. An element asked for twice while the loops around it are open is computed once.
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "ir/element_context.h"
#include "ir/loop_builder.h"
#include "ir/module.h"

namespace gradc {

// Where an element is read: one index per axis, and only where `condition` holds, if there is one.
struct Position {
  std::vector<loop::Scalar> indices;
  std::optional<loop::Scalar> condition;
};

// Whether nothing but the point is asked for, and that in any case.
bool is_at(const Position& position, std::span<const loop::Scalar> point);

class KernelValues {
 public:
  // Adds a buffer to the kernel for each parameter and each result of `function`.
  KernelValues(const Function& function, loop::Builder& builder);

  loop::Scalar element(ValueId value, const Position& position);
  loop::Scalar element(ValueId value, std::span<const loop::Scalar> indices) {
    return element(value, Position{{indices.begin(), indices.end()}, std::nullopt});
  }

  // From now on elements of `value` come from `source`, not from its op: what a lowering keeps in
  // registers or in a buffer of its own.
  using Source = std::function<loop::Scalar(const Position&)>;
  void define(ValueId value, Source source);
  void undefine(ValueId value) { sources_.erase(value); }  // from its op again

  // An element of the function's i-th result. What is too large to wait in a cache for its reader
  // goes past the caches, which saves reading what it overwrites; updates of state are in cache.
  void store(size_t result, std::span<const loop::Scalar> indices, loop::Scalar value);

  // Whether a result goes past the caches.
  bool is_streamed(size_t result) const { return streamed_[result]; }

  const Function& function() const { return function_; }
  loop::Builder& builder() { return builder_; }
  uint32_t operand_buffer(size_t parameter) const { return static_cast<uint32_t>(parameter); }
  uint32_t result_buffer(size_t result) const {
    return static_cast<uint32_t>(function_.parameters.size() + result);
  }
  // The buffer of an operand, if `value` is one.
  std::optional<uint32_t> buffer_of(ValueId value) const;

 private:
  class Context;
  loop::Scalar compute(ValueId value, const Position& position);

  struct Known {
    loop::Scalar scalar;
    uint64_t body;  // where it was asked for
  };

  const Function& function_;
  loop::Builder& builder_;
  std::vector<bool> streamed_;  // by result
  std::vector<std::optional<OpId>> definitions_;  // by value
  std::map<ValueId, Source> sources_;
  std::map<std::vector<uint32_t>, Known> known_;  // by value, index registers, condition
};

// The row-major number of an element of a tensor of `dims`, and its indices from that.
loop::Scalar ravel(loop::Builder& builder, std::span<const loop::Scalar> indices, const Dims& dims);
std::vector<loop::Scalar> unravel(loop::Builder& builder, loop::Scalar linear, const Dims& dims);

}  // namespace gradc
