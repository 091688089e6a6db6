// gradc report: a page to open in a browser that shows what the compiler did with a model.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "compiler/compile.h"
#include "ir/diagnostic.h"
#include "tools/commands/commands.h"
#include "tools/commands/flags.h"
#include "tools/commands/output.h"
#include "tools/micro_batches.h"
#include "tools/report/data.h"
#include "tools/report/page.h"

namespace gradc {
namespace {

struct ReportFlags {
  ModelFlags model;
  bool train = false;
  std::string output;
};

std::vector<std::pair<std::string, std::string>> settings_of(const ReportFlags& flags) {
  const Options& options = flags.model.options;
  std::vector<std::pair<std::string, std::string>> settings;
  for (const auto& [name, value] : options.binds)
    settings.emplace_back(name, fmt::format("{}", value));
  for (const auto& [name, list] : options.bind_lists)
    settings.emplace_back(name, to_string(list));
  for (const auto& [input, dims] : options.shapes)
    settings.emplace_back(input, to_string(dims));
  if (!options.loss.empty())
    settings.emplace_back("loss", options.loss);
  if (options.train_mode)
    settings.emplace_back("mode", "train");
  for (const std::string& pattern : options.parameters)
    settings.emplace_back("parameters", pattern);
  if (flags.train)
    settings.emplace_back("optimizer", flags.model.optimizer);
  for (const std::string& pattern : options.frozen)
    settings.emplace_back("frozen", pattern);
  if (options.accumulate > 1)
    settings.emplace_back("micro-batches", fmt::format("{}", options.accumulate));
  if (options.memory)
    settings.emplace_back("memory", human_bytes(*options.memory));
  if (options.memory_total)
    settings.emplace_back("memory total", human_bytes(*options.memory_total));
  for (const std::string& pattern : options.keep)
    settings.emplace_back("keep", pattern);
  for (const std::string& pattern : options.recompute)
    settings.emplace_back("recompute", pattern);
  settings.emplace_back("cpu", options.cpu);
  settings.emplace_back("threads", fmt::format("{}", options.threads));
  return settings;
}

void report(ReportFlags& flags) {
  finish(flags.model);
  flags.model.options.train = flags.train;
  settle_micro_batches(flags.model);
  Module imported = load_model(flags.model.model, flags.model.options);
  ReportRequest request{flags.model.model, "", GRADC_VERSION, settings_of(flags),
                        flags.model.options};
  if (has_places_in(imported, flags.model.model))
    request.source = read_text_file(flags.model.model);
  nlohmann::ordered_json data = report_data(imported, request);
  if (flags.model.json)
    write_text("", data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  if (flags.model.json && flags.output.empty())
    return;
  std::string path = flags.output;
  if (path.empty())
    path = std::filesystem::path(flags.model.model).stem().string() + ".html";
  write_text(path, report_page(data));
  if (!flags.model.json)
    fmt::print("{}: open it in a browser\n", path);
}

}  // namespace

void add_report(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "report", "Write a page that shows each pass, the kernels, FLOPs and the memory map");
  auto flags = std::make_shared<ReportFlags>();
  add_model_flags(*command, flags->model);
  add_optimizer_flags(*command, flags->model);
  command->add_flag("--train", flags->train, "The training step as well as inference");
  command
      ->add_option("-o,--output", flags->output,
                   "The page (default: the model file's name with .html); with --json, the data go "
                   "to standard output and the page is written only if it is named here")
      ->type_name("FILE");
  command->callback([flags] { report(*flags); });
}

}  // namespace gradc
