#pragma once
// What gradc's command line consists of, read from its flags: the manual and the completions of
// shells are made of this, so they say what the program takes.
#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace gradc {

struct FlagFacts {
  std::vector<std::string> names;  // "-o", "--output"; of a positional its one name
  std::string value;  // FILE, TEXT, INT, ...; "" for a switch
  std::vector<std::string> choices;  // the only values there are
  std::string description, default_value;
  bool is_positional = false, is_required = false, repeats = false;

  bool takes_file() const { return value == "FILE"; }
};

struct CommandFacts {
  std::string name, description;
  std::vector<FlagFacts> flags;  // positional ones first
};

// The program's own flags, as a command "gradc", and its commands except hidden ones.
CommandFacts program_facts(const CLI::App& app);
std::vector<CommandFacts> command_facts(const CLI::App& app);

// Each flag that may be repeated takes one value at a time, so that a model can follow it:
// `gradc dump --skip unroll net.onnx`.
void take_one_value_each(CLI::App& app);

}  // namespace gradc
