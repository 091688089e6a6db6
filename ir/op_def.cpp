#include "ir/op_def.h"

#include <algorithm>

namespace gradc {
namespace {

constexpr const OpDef* kTable[] = {
#define OP(name) &ops::name,
#include "ir/ops.def"
#undef OP
};

constexpr Opcode kOpcodes[] = {
#define OP(name) Opcode::name,
#include "ir/ops.def"
#undef OP
};

}  // namespace

std::string_view name_of(KernelClass kernel_class) {
  constexpr std::array<std::string_view, 7> names = {"map",  "reduce",    "contract", "custom",
                                                     "view", "composite", "control"};
  return names[static_cast<size_t>(kernel_class)];
}

const OpDef& def(Opcode code) {
  return *kTable[static_cast<size_t>(code)];
}

std::optional<Opcode> opcode_named(std::string_view name) {
  for (Opcode code : kOpcodes)
    if (def(code).name == name)
      return code;
  return std::nullopt;
}

std::span<const Opcode> all_opcodes() {
  return kOpcodes;
}

void check_attrs(const OpDef& op, const Attrs& attrs) {
  for (const auto& [key, value] : attrs) {
    auto known = std::find_if(op.attrs.begin(), op.attrs.end(),
                              [&](const AttrDef& a) { return a.key == key; });
    if (known == op.attrs.end())
      fail("`{}` has no attribute `{}`", op.name, key);
    if (static_cast<size_t>(known->kind) != value.index())
      fail("attribute `{}` of `{}` is {}, expected {}", key, op.name,
           name_of(static_cast<AttrKind>(value.index())), name_of(known->kind));
    if (const auto* numbers = std::get_if<std::vector<int64_t>>(&value))
      for (int64_t number : *numbers)
        if (number > kMaxSize || number < -kMaxSize)
          fail("attribute `{}` of `{}` holds {}, which is beyond {}", key, op.name, number,
               kMaxSize);
  }
  for (const AttrDef& attr : op.attrs)
    if (attr.required && !attrs.has(attr.key))
      fail("`{}` needs the attribute `{}`", op.name, attr.key);
}

Types infer_types(Opcode code, std::span<const Type> operands, const Attrs& attrs) {
  const OpDef& op = def(code);
  if (op.operands >= 0 && static_cast<int>(operands.size()) != op.operands)
    fail("`{}` takes {} operand{}, got {}", op.name, op.operands, op.operands == 1 ? "" : "s",
         operands.size());
  if (op.operands < 0 && operands.empty())
    fail("`{}` takes at least one operand", op.name);
  check_attrs(op, attrs);
  Types results = op.infer(operands, attrs);
  for (const Type& type : results)
    check_size(type);
  return results;
}

int64_t flops_of(const Function& function, const Op& op) {
  const OpDef& record = def(op);
  Types operands, results;
  for (ValueId id : op.operands)
    operands.push_back(function.type(id));
  for (ValueId id : op.results)
    results.push_back(function.type(id));
  if (record.flops)
    return record.flops(operands, results, op.attrs);
  int64_t elements = 0;
  for (const Type& type : results)
    elements += type.elements();
  return elements;
}

}  // namespace gradc
