// gradc: the command line. Exit codes: 0 done, 1 the model or data is wrong, 2 the command line is
// wrong, 3 a bug of gradc, 4 the memory budget is impossible.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <new>

#include "ir/diagnostic.h"
#include "tools/commands/commands.h"

namespace {

int run(int argc, char** argv) {
  CLI::App app{
      "gradc: compiles the training step of a neural network to native code inside a memory "
      "budget"};
  app.set_version_flag("--version", "gradc " GRADC_VERSION);
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::help);
  gradc::add_info(app);
  gradc::add_train(app);
  gradc::add_run(app);
  gradc::add_compile(app);
  gradc::add_dump(app);
  gradc::add_plan(app);
  gradc::add_grad(app);
  gradc::add_opt(app);
  gradc::add_bench(app);
  gradc::add_ops(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForAllHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "error: {}\nhelp: gradc --help, or gradc COMMAND --help\n", error.what());
    return static_cast<int>(gradc::Fault::command_line);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const gradc::UserError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.fault());
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "error: out of memory\n");
    return static_cast<int>(gradc::Fault::model_or_data);
  } catch (const std::exception& error) {
    fmt::print(
        stderr,
        "{}\nThis is a bug of gradc: please report it with the model and this command line.\n",
        error.what());
    return static_cast<int>(gradc::Fault::internal);
  }
}
