#include "tools/manual.h"

#include <fmt/format.h>

#include <cctype>

#include "tools/command_line.h"
#include "tools/identifiers.h"

namespace gradc {
namespace {

// As roff reads it: `-` is a minus that can be searched for and copied, and no line is a request.
std::string roff(const std::string& text) {
  std::string result;
  for (char c : text) {
    if (c == '\\')
      result += "\\e";
    else if (c == '-')
      result += "\\-";
    else
      result += c;
  }
  return result.starts_with('.') || result.starts_with('\'') ? "\\&" + result : result;
}

std::string sentence(const std::string& text) {
  return text.ends_with('.') ? text : text + ".";
}

std::string head(const std::string& name, const std::string& version, const std::string& title) {
  return fmt::format(".TH {} 1 \"\" \"gradc {}\" \"User Commands\"\n.SH NAME\n{} \\- {}\n",
                     upper(name), version, roff(name), roff(title));
}

std::string flag_text(const FlagFacts& flag) {
  std::string heads;
  for (const std::string& name : flag.names)
    heads += (heads.empty() ? "\\fB" : ", \\fB") + roff(name) + "\\fR";
  if (!flag.value.empty() && !flag.is_positional)
    heads += " \\fI" + roff(flag.value) + "\\fR";
  std::string text = ".TP\n" + heads + "\n" + roff(sentence(flag.description)) + "\n";
  if (!flag.choices.empty())
    text += fmt::format("One of {}.\n", roff(fmt::format("{}", fmt::join(flag.choices, ", "))));
  if (!flag.default_value.empty())
    text += fmt::format("The default is {}.\n", roff(flag.default_value));
  if (flag.repeats)
    text += "May be given more than once.\n";
  return text;
}

std::string flags_text(const CommandFacts& command) {
  std::string operands, options;
  for (const FlagFacts& flag : command.flags)
    (flag.is_positional ? operands : options) += flag_text(flag);
  return (operands.empty() ? "" : ".SH ARGUMENTS\n" + operands) + ".SH OPTIONS\n" + options;
}

constexpr std::string_view kExitStatus = R"(.SH EXIT STATUS
.TP
.B 0
Done.
.TP
.B 1
The model or the data are wrong.
.TP
.B 2
The command line is wrong.
.TP
.B 3
A bug of gradc.
.TP
.B 4
The memory budget is impossible; the message names the smallest one found.
)";

std::string program_page(const CLI::App& app, const std::string& version) {
  CommandFacts program = program_facts(app);
  std::string text = head("gradc", version, "compile the training step of a neural network");
  text +=
      ".SH SYNOPSIS\n.B gradc\n.I COMMAND\n[\\fIOPTION\\fR]... \\fIMODEL\\fR\n.SH DESCRIPTION\n";
  text +=
      "gradc compiles the training step of a neural network, and its inference, to native code "
      "that "
      "runs\ninside a memory budget known before it runs. A model is an ONNX file or a short text "
      "file. The result\ntrains at once, or becomes an object file and headers that a C or C++ "
      "program links.\n.SH COMMANDS\n";
  std::string see_also;
  for (const CommandFacts& command : command_facts(app)) {
    text += fmt::format(".TP\n\\fBgradc\\-{}\\fR(1)\n{}\n", roff(command.name),
                        roff(command.description));
    see_also += fmt::format("{}\\fBgradc\\-{}\\fR(1)", see_also.empty() ? "" : ",\n", command.name);
  }
  text += flags_text(program) + std::string(kExitStatus);
  text += ".SH EXAMPLES\n";
  for (const char* line :
       {"gradc train lenet.model --data fashion-mnist --epochs 2 --memory 64MiB",
        "gradc train net.onnx --loss cross_entropy --data fashion-mnist -o trained.onnx",
        "gradc compile net.onnx --train --loss cross_entropy --batch 32 -o net"})
    text += fmt::format(".PP\n.EX\n{}\n.EE\n", roff(line));
  return text + ".SH SEE ALSO\n" + see_also + "\n";
}

std::string command_page(const CommandFacts& command, const std::string& version) {
  std::string description = command.description, title = description;
  title[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(title[0])));
  std::string text = head("gradc-" + command.name, version, title);
  text += ".SH SYNOPSIS\n\\fBgradc " + roff(command.name) + "\\fR [\\fIOPTION\\fR]...";
  for (const FlagFacts& flag : command.flags)
    if (flag.is_positional)
      text += (flag.is_required ? " \\fI" : " [\\fI") + upper(flag.names[0]) +
              (flag.is_required ? "\\fR" : "\\fR]");
  text += "\n.SH DESCRIPTION\n" + roff(sentence(description)) + "\n" + flags_text(command);
  return text + std::string(kExitStatus) + ".SH SEE ALSO\n\\fBgradc\\fR(1)\n";
}

}  // namespace

std::vector<ManualPage> manual_pages(const CLI::App& app, const std::string& version) {
  std::vector<ManualPage> pages = {{"gradc.1", program_page(app, version)}};
  for (const CommandFacts& command : command_facts(app))
    pages.push_back({"gradc-" + command.name + ".1", command_page(command, version)});
  return pages;
}

}  // namespace gradc
