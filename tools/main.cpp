// gradc: the command line. Exit codes: 0 done, 1 the model or data is wrong, 2 the command line is
// wrong, 3 a bug of gradc, 4 the memory budget is impossible.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <system_error>

#include "ir/diagnostic.h"
#include "tools/command_line.h"
#include "tools/commands/commands.h"

namespace {

using gradc::Fault;
using gradc::UserError;

// Were descriptor 1 closed, the first file that is opened would become standard output. A file that
// grows beyond `ulimit -f` is an error of the write, not a signal that kills.
void prepare_process() {
  int descriptor = 0;
  while (descriptor >= 0 && descriptor <= STDERR_FILENO)
    descriptor = open("/dev/null", O_RDWR);
  if (descriptor > STDERR_FILENO)
    close(descriptor);
  std::signal(SIGXFSZ, SIG_IGN);
}

// What was printed may still be on its way: a full disk shows here.
void flush_output() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout))
    throw UserError("standard output", fmt::format("cannot be written: {}", std::strerror(errno)));
}

// An error of the model that names no place of its own is about the model's file.
UserError placed(const UserError& error, const CLI::App& app) {
  bool about_model =
      error.fault() == Fault::model_or_data || error.fault() == Fault::impossible_budget;
  if (!error.place().empty() || !about_model || app.get_subcommands().empty())
    return error;
  const CLI::Option* model = app.get_subcommands()[0]->get_option_no_throw("model");
  return model && model->count() > 0 ? error.at(model->as<std::string>()) : error;
}

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
  gradc::add_pack(app);
  gradc::add_report(app);
  gradc::add_grad(app);
  gradc::add_opt(app);
  gradc::add_bench(app);
  gradc::add_ops(app);
  gradc::add_check(app);
  gradc::add_verify(app);
  gradc::add_cache(app);
  gradc::add_completion(app);
  gradc::add_man(app);
  gradc::take_one_value_each(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help_or_version) {
    app.exit(help_or_version);
  } catch (const CLI::ParseError& error) {
    throw UserError("", error.what(), Fault::command_line)
        .with_help("gradc --help, or gradc COMMAND --help");
  } catch (const UserError& error) {
    throw placed(error, app);
  }
  flush_output();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  // Not by fmt::print, which throws if standard error cannot be written.
  auto report = [](const std::string& message, Fault fault) {
    std::fputs((message + "\n").c_str(), stderr);
    return static_cast<int>(fault);
  };
  try {
    prepare_process();
    return run(argc, argv);
  } catch (const UserError& error) {
    return report(error.what(), error.fault());
  } catch (const std::bad_alloc&) {
    return report("error: out of memory", Fault::model_or_data);
  } catch (const std::system_error& error) {  // fmt's, when a stream cannot be written
    return report(std::string("output: error: ") + error.what(), Fault::model_or_data);
  } catch (const std::exception& error) {
    return report(std::string(error.what()) +
                      "\nThis is a bug of gradc: please report it with the model and this command "
                      "line.",
                  Fault::internal);
  }
}
