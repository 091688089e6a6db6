// gradc completion, and gradc man, which is hidden: the build calls it.
#include "tools/completion.h"

#include <fmt/format.h>

#include <memory>

#include "tools/commands/commands.h"
#include "tools/commands/output.h"
#include "tools/manual.h"

namespace gradc {

void add_completion(CLI::App& app) {
  CLI::App* command = app.add_subcommand("completion", "Print the completion of gradc for a shell");
  auto shell = std::make_shared<std::string>(), output = std::make_shared<std::string>();
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->add_option("-o,--output", *output, "Write here instead of to standard output")
      ->type_name("FILE");
  command->callback([&app, shell, output] {
    write_text(*output, *shell == "bash"  ? bash_completion(app)
                        : *shell == "zsh" ? zsh_completion(app)
                                          : fish_completion(app));
  });
}

void add_man(CLI::App& app) {
  CLI::App* command = app.add_subcommand("man", "Write the pages of the manual to a folder");
  command->group("");
  auto output = std::make_shared<std::string>();
  command->add_option("-o,--output", *output, "The folder to write to")
      ->required()
      ->type_name("FILE");
  command->callback([&app, output] {
    make_folder(*output);
    for (const ManualPage& page : manual_pages(app, GRADC_VERSION))
      write_text(fmt::format("{}/{}", *output, page.file), page.text);
  });
}

}  // namespace gradc
