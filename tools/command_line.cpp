#include "tools/command_line.h"

#include <algorithm>
#include <sstream>

namespace gradc {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);)
    parts.push_back(part);
  return parts;
}

FlagFacts facts_of(const CLI::Option& option) {
  FlagFacts facts;
  facts.is_positional = option.get_positional();
  facts.names = facts.is_positional ? std::vector{option.get_name(true)}
                                    : split(option.get_name(false, true), ',');
  // "-o" before "--output", as people write them.
  std::stable_partition(facts.names.begin(), facts.names.end(),
                        [](const std::string& name) { return !name.starts_with("--"); });
  facts.description = option.get_description();
  facts.default_value = option.get_default_str();
  facts.is_required = option.get_required();
  facts.repeats = option.get_expected_max() > 1;
  if (option.get_items_expected_max() == 0)
    return facts;
  // CLI::IsMember adds ":{a,b}" to the type.
  std::string type = option.get_type_name();
  size_t open = type.find('{'), close = type.rfind('}');
  if (open != std::string::npos && close != std::string::npos)
    facts.choices = split(type.substr(open + 1, close - open - 1), ',');
  facts.value = type.substr(0, type.find(':'));
  return facts;
}

CommandFacts facts_of(const CLI::App& app) {
  CommandFacts facts{app.get_name(), app.get_description(), {}};
  for (const CLI::Option* option : app.get_options())
    facts.flags.push_back(facts_of(*option));
  std::stable_partition(facts.flags.begin(), facts.flags.end(),
                        [](const FlagFacts& flag) { return flag.is_positional; });
  return facts;
}

}  // namespace

CommandFacts program_facts(const CLI::App& app) {
  CommandFacts facts = facts_of(app);
  facts.name = "gradc";
  return facts;
}

std::vector<CommandFacts> command_facts(const CLI::App& app) {
  std::vector<CommandFacts> commands;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App* command) {
         return !command->get_group().empty();  // how CLI11 hides one
       }))
    commands.push_back(facts_of(*command));
  return commands;
}

void take_one_value_each(CLI::App& app) {
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; }))
    for (CLI::Option* option : command->get_options())
      if (!option->get_positional() && option->get_expected_max() > 1)
        option->allow_extra_args(false);
}

}  // namespace gradc
