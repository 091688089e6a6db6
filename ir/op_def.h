#pragma once
// What the compiler knows about an op: one record per op, in one file per family. No pass switches
// on opcodes; it asks the record. A null member is a stated fact ("not differentiable") that errors
// quote.
#include <array>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "ir/diagnostic.h"
#include "ir/eval_types.h"
#include "ir/module.h"

namespace gradc {

class Builder;
class Vjp;
namespace loop {
class ElementContext;
struct Scalar;
enum class Code : uint8_t;
}  // namespace loop

// How fuse and lowering treat an op.
enum class KernelClass : uint8_t {
  map,  // each element of the result is an expression of elements of the operands (`element`)
  reduce,  // folds axes of its operand with an associative operation (`reduce`)
  contract,  // sums products over axes: dot and convolutions (`contraction`)
  custom,  // has a lowering of its own in compiler/codegen
  view,  // the operand's bytes under another shape: costs nothing between kernels
  composite,  // made of other ops: `expand` replaces it before fuse
  control  // calls another function of the module
};
std::string_view name_of(KernelClass kernel_class);

struct AttrDef {
  std::string_view key;
  AttrKind kind = AttrKind::integer;
  bool required = true;
};

// Up to 12 attributes; a brace list initialises it: `.attrs = {{"axes", AttrKind::integers}}`.
struct AttrDefs {
  std::array<AttrDef, 12> items{};
  size_t count = 0;
  constexpr AttrDefs() = default;
  constexpr AttrDefs(std::initializer_list<AttrDef> defs) {
    for (const AttrDef& def : defs)
      items[count++] = def;
  }
  constexpr const AttrDef* begin() const { return items.data(); }
  constexpr const AttrDef* end() const { return items.data() + count; }
};

// Values that tests may feed to an operand; `real` keeps off kinks and ties.
enum class Domain : uint8_t {
  real,  // [-2, 2], away from multiples of 1/2 (0.05 at least) and from each other
  positive,  // [0.2, 2]
  unit,  // (-0.9, 0.9)
  index,  // whole numbers in [0, size): attribute `size`, or operand 0's size along attribute
          // `axis`, or else along its last axis
  seed  // whole numbers in [0, 1000]
};

struct Domains {
  std::array<Domain, 8> items{};
  constexpr Domains() = default;
  constexpr Domains(std::initializer_list<Domain> domains) {
    size_t count = 0;
    for (Domain domain : domains)
      items[count++] = domain;
    for (; count > 0 && count < items.size(); ++count)
      items[count] = items[count - 1];
  }
};

// What is known of the elements of a value whatever the operands of the function are.
struct Magnitude {
  // No element is nearer to 0. Of what is never 0 but has no such bound, as an exponential, it is
  // taken to be 1; 0 where an element may be 0.
  double least = 0;
  bool never_negative = false;
};

// A result of one type, written by shape rules as `return one(type)`.
using Types = std::vector<Type>;
inline Types one(Type type) {
  return {std::move(type)};
}

// A fold with a neutral element: what a reduction over no elements gives.
struct Fold {
  double identity = 0;
  loop::Code combine{};
};

// One index of a contraction's operand as an affine function of the loops of the contraction, which
// are the result's axes followed by the summed ones: (sum of coefficient * loop + offset) /
// divisor. An index that does not divide, or lies outside of [0, size), reads as zero: padding and
// dilation.
struct AffineIndex {
  std::vector<std::pair<int, int64_t>> terms;  // (loop, coefficient)
  int64_t offset = 0;
  int64_t divisor = 1;
};

// result[o...] = sum over s... of a[a_index(o, s)...] * b[b_index(o, s)...]
// result_dims is the result's shape, in which an axis may be split in two that follow each other
// (the channels of a grouped convolution into groups and the channels of one): the same elements in
// the same row-major order. An operand's index into such an axis is group * size + channel, which
// is affine, so the group is a loop like any other and both operands use it, as they do a batch.
struct Contraction {
  Dims result_dims, summed_dims;
  std::array<std::vector<AffineIndex>, 2>
      operand_indices;  // one AffineIndex per axis of operand 0 and 1
};

struct OpDef {
  std::string_view name;
  std::string_view doc;  // one sentence or two; docs/ops.md shows it
  std::string_view
      examples;  // one a line, `add(f32[2,3], f32[2,3])`: tested, and shown in docs/ops.md
  KernelClass kernel = KernelClass::map;
  int operands = 1;  // -1: any number from one up
  int results = 1;  // -1: as many as `infer` says
  AttrDefs attrs{};
  Domains domains{};
  bool commutative = false;
  // Takes operands of any float type and adds no rounding of its own: it moves elements, or chooses
  // among them.
  bool exact = false;
  // The result types from the operand types, or fail("what was seen, then the rule").
  Types (*infer)(std::span<const Type> operands, const Attrs& attrs) = nullptr;
  // The results in double precision: naive, the judge of everything else. Null for control ops.
  std::vector<Tensor> (*eval)(std::span<const Tensor> operands, const Op& op,
                              std::span<const Type> results) = nullptr;
  // Floating point operations (a multiply-add is two), for reports. Null means one per result
  // element.
  int64_t (*flops)(std::span<const Type> operands, std::span<const Type> results,
                   const Attrs& attrs) = nullptr;
  // Adds the contributions of dy to the operands' gradients. Null: not differentiable.
  void (*vjp)(Vjp& vjp) = nullptr;
  // map: the element of result `context.result()` at the context's position, in loop IR.
  loop::Scalar (*element)(loop::ElementContext& context) = nullptr;
  // reduce: what folds the elements along attribute `axes`.
  Fold reduce{};
  // contract: the loops and the operands' indices.
  Contraction (*contraction)(std::span<const Type> operands, const Type& result,
                             const Attrs& attrs) = nullptr;
  // composite: the same values from other ops (composites among them), appended through the
  // builder; one ValueId per result. `op` is a copy whose operands are values of the builder's
  // function. A custom op that has it stays whole, but where its gradient is wanted and it has no
  // rule, or where everything is expanded.
  std::vector<ValueId> (*expand)(Builder& builder, const Op& op) = nullptr;
  // Operand `sought` from the result `y` and the other operands, all of these types, appended
  // through the builder. `op` is a copy whose operands are values of the builder's function, but
  // not valid for `sought` and what is not there either. Gives no valid value where it does not
  // follow, or only with a loss that nothing bounds (y = tanh(x) near 1, y = a b near b = 0).
  ValueId (*inverse)(Builder& builder, const Op& op, std::span<const Type> types, size_t sought,
                     ValueId y) = nullptr;
  // How small the result can be, from the same of the operands. Null: nothing is known.
  Magnitude (*magnitude)(const Op& op, std::span<const Magnitude> operands) = nullptr;
  // How many times as large an error of operand 0 may be in the result, each relative to the
  // largest element; infinite where nothing bounds it. Null: as large, as sums and products are
  // taken to keep it.
  double (*error_growth)(const Function& function, const Op& op) = nullptr;
};

const OpDef& def(Opcode code);
inline const OpDef& def(const Op& op) {
  return def(op.code);
}
std::optional<Opcode> opcode_named(std::string_view name);
std::span<const Opcode> all_opcodes();  // alphabetical

namespace ops {
#define OP(name) extern const OpDef name;
#include "ir/ops.def"
#undef OP
}  // namespace ops

// Fails unless the attributes are those of the record, each of its kind, numbers in lists at most
// kMaxSize.
void check_attrs(const OpDef& op, const Attrs& attrs);
// Checks operand count and attributes, then the op's shape rule and the sizes of what it gives.
// Errors carry no place.
Types infer_types(Opcode code, std::span<const Type> operands, const Attrs& attrs);
int64_t flops_of(const Function& function, const Op& op);

}  // namespace gradc
