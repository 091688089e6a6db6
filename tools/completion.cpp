#include "tools/completion.h"

#include <fmt/format.h>

#include "tools/command_line.h"

namespace gradc {
namespace {

std::string names_of(const std::vector<CommandFacts>& commands) {
  std::string names;
  for (const CommandFacts& command : commands)
    names += (names.empty() ? "" : " ") + command.name;
  return names;
}

std::string flag_names(const CommandFacts& command) {
  std::string names;
  for (const FlagFacts& flag : command.flags)
    for (const std::string& name : flag.names)
      if (!flag.is_positional)
        names += (names.empty() ? "" : " ") + name;
  return names;
}

std::string escaped(const std::string& text, std::string_view special) {
  std::string result;
  for (char c : text) {
    if (special.find(c) != special.npos)
      result += '\\';
    result += c;
  }
  return result;
}

// In single quotes of a shell whose `\'` does not end them (fish), or which has no escape (others).
std::string quoted(const std::string& text) {
  std::string result = "'";
  for (char c : text)
    result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

// The first words of a description, which is what fits on a line of candidates.
std::string short_text(const std::string& text) {
  constexpr size_t kLongest = 76;
  if (text.size() <= kLongest)
    return text;
  size_t end = text.rfind(' ', kLongest);
  return text.substr(0, end == std::string::npos ? kLongest : end) + " ...";
}

// A case of bash: what may follow these flags of a command.
std::string bash_values(const CommandFacts& command, const FlagFacts& flag) {
  std::string patterns;
  for (const std::string& name : flag.names)
    patterns += fmt::format("{}\"{} {}\"", patterns.empty() ? "" : " | ", command.name, name);
  std::string action = flag.takes_file() ? "_gradc_files"
                       : flag.choices.empty()
                           ? "COMPREPLY=()"
                           : fmt::format("_gradc_words \"{}\"", fmt::join(flag.choices, " "));
  return fmt::format("    {}) {}; return ;;\n", patterns, action);
}

std::string zsh_flag(const FlagFacts& flag) {
  std::string value;
  if (!flag.value.empty())
    value = fmt::format(":{}:{}", flag.value,
                        flag.takes_file()      ? "_files"
                        : flag.choices.empty() ? ""
                                               : fmt::format("({})", fmt::join(flag.choices, " ")));
  if (flag.is_positional)
    return quoted(fmt::format("{}:{}:{}",
                              flag.repeats       ? "*"
                              : flag.is_required ? ""
                                                 : ":",
                              flag.names[0], value.substr(value.rfind(':') + 1)));
  std::string text = fmt::format("[{}]", escaped(short_text(flag.description), "[]\\:"));
  std::string specs;
  for (const std::string& name : flag.names) {
    std::string others = flag.repeats ? "*" : fmt::format("({})", fmt::join(flag.names, " "));
    std::string joined = flag.value.empty() ? "" : name.starts_with("--") ? "=" : "+";
    specs += (specs.empty() ? "" : " ") + quoted(others + name + joined + text + value);
  }
  return specs;
}

std::string fish_flag(const std::string& condition, const FlagFacts& flag) {
  std::string line = "complete -c gradc -n " + quoted(condition);
  for (const std::string& name : flag.names)
    if (!flag.is_positional)
      line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  if (flag.takes_file())
    line += flag.is_positional ? " -F" : " -r -F";
  else if (!flag.choices.empty())
    line += fmt::format(" -x -a {}", quoted(fmt::format("{}", fmt::join(flag.choices, " "))));
  else if (!flag.value.empty())
    line += " -x";
  if (!flag.is_positional)
    line += " -d " + quoted(short_text(flag.description));
  return line + "\n";
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  std::vector<CommandFacts> commands = command_facts(app);
  std::string values, flags, operands;
  for (const CommandFacts& command : commands) {
    flags += fmt::format("      {}) _gradc_words \"{}\" ;;\n", command.name, flag_names(command));
    for (const FlagFacts& flag : command.flags) {
      if (!flag.is_positional && !flag.value.empty())
        values += bash_values(command, flag);
      if (flag.is_positional && !flag.choices.empty())
        operands += fmt::format("    {}) _gradc_words \"{}\" ;;\n", command.name,
                                fmt::join(flag.choices, " "));
    }
  }
  return fmt::format(
      R"(# Completion of gradc for bash, written by `gradc completion bash`.
_gradc_words() {{
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$current")
}}

_gradc_files() {{
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -f -- "$current")
}}

_gradc() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} command="" i
  COMPREPLY=()
  # bash makes three words of --flag=value.
  if [[ $current == "=" ]]; then
    current=""
  elif [[ $before == "=" ]]; then
    before=${{COMP_WORDS[COMP_CWORD - 2]}}
  fi
  for ((i = 1; i < COMP_CWORD; ++i)); do
    if [[ ${{COMP_WORDS[i]}} != -* ]]; then
      command=${{COMP_WORDS[i]}}
      break
    fi
  done
  if [[ -z $command ]]; then
    _gradc_words "{0} {1}"
    return
  fi
  case "$command $before" in
{2}  esac
  if [[ $current == -* ]]; then
    case $command in
{3}    esac
    return
  fi
  case $command in
{4}    *) _gradc_files ;;
  esac
}}

complete -F _gradc gradc
)",
      names_of(commands), flag_names(program_facts(app)), values, flags, operands);
}

std::string zsh_completion(const CLI::App& app) {
  auto arguments = [](const CommandFacts& command, const std::string& indent) {
    std::string text;
    for (const FlagFacts& flag : command.flags)
      text += " \\\n" + indent + zsh_flag(flag);
    return text;
  };
  std::vector<CommandFacts> commands = command_facts(app);
  std::string described, cases;
  for (const CommandFacts& command : commands) {
    described +=
        "        " + quoted(command.name + ":" + escaped(command.description, ":\\")) + "\n";
    cases += fmt::format("        {})\n          _arguments -S{}\n          ;;\n", command.name,
                         arguments(command, "            "));
  }
  return fmt::format(
      R"(#compdef gradc
# Completion of gradc for zsh, written by `gradc completion zsh`.
_gradc() {{
  local curcontext="$curcontext" state line
  _arguments -C{0} \
    '1:command:->command' \
    '*::argument:->argument'
  case $state in
    command)
      local -a commands=(
{1}      )
      _describe command commands
      ;;
    argument)
      case $words[1] in
{2}      esac
      ;;
  esac
}}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _gradc "$@"
else
  compdef _gradc gradc
fi
)",
      arguments(program_facts(app), "    "), described, cases);
}

std::string fish_completion(const CLI::App& app) {
  std::string text =
      "# Completion of gradc for fish, written by `gradc completion fish`.\ncomplete -c gradc -f\n";
  for (const FlagFacts& flag : program_facts(app).flags)
    text += fish_flag("__fish_use_subcommand", flag);
  for (const CommandFacts& command : command_facts(app)) {
    text += fmt::format("complete -c gradc -n __fish_use_subcommand -a {} -d {}\n", command.name,
                        quoted(short_text(command.description)));
    for (const FlagFacts& flag : command.flags)
      if (!flag.is_positional || flag.takes_file() || !flag.choices.empty())
        text += fish_flag("__fish_seen_subcommand_from " + command.name, flag);
  }
  return text;
}

}  // namespace gradc
