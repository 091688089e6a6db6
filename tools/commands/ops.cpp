// gradc ops: the op table, for people.
#include <cstdio>

#include "ir/diagnostic.h"
#include "ir/op_def.h"
#include "ir/ops_markdown.h"
#include "ir/parse.h"
#include "tools/commands/commands.h"

namespace gradc {
namespace {

void list() {
  for (Opcode code : all_opcodes()) {
    const OpDef& op = def(code);
    fmt::print("{:24} {:10} {:4} {}\n", op.name, name_of(op.kernel), op.vjp ? "grad" : "-", op.doc);
  }
}

void show(const std::string& name) {
  std::optional<Opcode> code = opcode_named(name);
  if (!code) {
    std::vector<std::string> names;
    for (Opcode known : all_opcodes())
      names.emplace_back(def(known).name);
    std::string near = nearest_name(name, names);
    throw UserError("",
                    fmt::format("unknown op `{}`{}", name,
                                near.empty() ? "" : "; did you mean `" + near + "`?"),
                    Fault::command_line);
  }
  const OpDef& op = def(*code);
  fmt::print("{}\n{}\nclass: {}\ngradient: {}\n", op.name, op.doc, name_of(op.kernel),
             op.vjp ? "yes" : "no");
  for (const AttrDef& attr : op.attrs)
    fmt::print("attribute {}: {}{}\n", attr.key, name_of(attr.kind),
               attr.required ? "" : " (optional)");
  for (std::string_view line : example_lines(op.examples))
    fmt::print("example: {}\n", line);
}

}  // namespace

void add_ops(CLI::App& app) {
  CLI::App* command = app.add_subcommand("ops", "List the ops, or show one");
  auto name = std::make_shared<std::string>();
  auto markdown = std::make_shared<bool>(false);
  command->add_option("op", *name, "An op to show");
  command->add_flag("--markdown", *markdown, "Print docs/ops.md");
  command->callback([name, markdown] {
    if (*markdown)
      fmt::print("{}", ops_markdown());
    else if (name->empty())
      list();
    else
      show(*name);
  });
}

}  // namespace gradc
