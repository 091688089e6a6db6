// gradc cache: what is kept of earlier compilations.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "compiler/codegen/code_cache.h"
#include "ir/diagnostic.h"
#include "tools/commands/commands.h"
#include "tools/commands/flags.h"

namespace gradc {
namespace {

struct CacheFlags {
  std::string folder;
  bool clear = false, json = false;
};

void cache(const CacheFlags& flags) {
  std::string folder = flags.folder.empty() ? default_cache_folder() : flags.folder;
  if (folder.empty())
    throw UserError("", "neither XDG_CACHE_HOME nor HOME is set: there is no cache",
                    Fault::command_line)
        .with_help("name one: --cache DIR");
  CodeCache kept(folder);
  if (flags.clear)
    kept.clear();
  CodeCache::Size size = kept.size();
  if (flags.json) {
    nlohmann::ordered_json json;
    json["folder"] = folder;
    json["entries"] = size.entries;
    json["bytes"] = size.bytes;
    json["limit"] = kCacheLimit;
    fmt::print("{}\n", json.dump(2));
    return;
  }
  fmt::print("{}: {} {}, {} of {}\n", folder, size.entries, size.entries == 1 ? "entry" : "entries",
             human_bytes(size.bytes), human_bytes(kCacheLimit));
}

}  // namespace

void add_cache(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("cache", "Show or clear what is kept of earlier compilations");
  auto flags = std::make_shared<CacheFlags>();
  command
      ->add_option("--cache", flags->folder,
                   "The folder (default: $XDG_CACHE_HOME/gradc or ~/.cache/gradc)")
      ->type_name("DIR");
  command->add_flag("--clear", flags->clear, "Remove all entries");
  command->add_flag("--json", flags->json, "Print one JSON object and nothing else");
  command->callback([flags] { cache(*flags); });
}

}  // namespace gradc
