#include "ir/ops_markdown.h"

#include "ir/op_def.h"
#include "ir/ops/rules.h"
#include "ir/parse.h"

namespace gradc {
namespace {

constexpr std::string_view kIntroduction = R"(# Ops

<!-- Written by `gradc ops --markdown` from the records in ir/ops/. -->

Every op is one record: what it means, its shape rule, its evaluation in double precision, its
gradient and how it is lowered. The class says how an op becomes part of a kernel:

- **map**: each element of the result is an expression of elements of the operands; maps fuse.
- **reduce**: folds axes of its operand.
- **contract**: sums products over axes.
- **custom**: has a lowering of its own.
- **view**: the operand's bytes under another shape.
- **composite**: stands for other ops, which replace it before fusion.
- **control**: runs another function of the module.

The examples give operand types, attributes and the types of the results.

)";

std::string count(int number, std::string_view noun) {
  if (number < 0)
    return fmt::format("any number of {}s", noun);
  return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

std::string gradient(const OpDef& op) {
  if (op.vjp == ops::zero_gradient)
    return "zero";
  if (op.vjp)
    return "has a rule";
  if (op.kernel == KernelClass::composite)
    return "that of its expansion";
  if (op.kernel == KernelClass::control)
    return "that of the function that it runs";
  return "none: not differentiable";
}

std::string attributes(const OpDef& op) {
  std::string text;
  for (const AttrDef& attr : op.attrs)
    text += fmt::format("{}`{}` ({}{})", text.empty() ? "" : ", ", attr.key, name_of(attr.kind),
                        attr.required ? "" : ", optional");
  return text.empty() ? "none" : text;
}

std::string example(std::string_view line) {
  Example parsed = parse_example(line);
  std::string types;
  for (const Type& type : infer_types(parsed.code, parsed.operands, parsed.attrs))
    types += (types.empty() ? "" : ", ") + to_string(type);
  return fmt::format("{}: {}\n", line, types);
}

std::string section(const OpDef& op) {
  std::string text = fmt::format("## {}\n\n{}\n\n", op.name, op.doc);
  text += fmt::format("- class: {}; {}{}\n", name_of(op.kernel), count(op.operands, "operand"),
                      op.commutative ? ", commutative" : "");
  text += fmt::format("- attributes: {}\n- gradient: {}\n", attributes(op), gradient(op));
  std::string examples;
  for (std::string_view line : example_lines(op.examples))
    examples += example(line);
  if (!examples.empty())
    text += fmt::format("\n```\n{}```\n", examples);
  return text + "\n";
}

}  // namespace

std::string ops_markdown() {
  std::string text(kIntroduction);
  for (Opcode code : all_opcodes())
    text += section(def(code));
  text.pop_back();
  return text;
}

}  // namespace gradc
