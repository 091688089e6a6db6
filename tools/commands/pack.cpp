// gradc pack: offsets for buffers of given lifetimes.
#include <fmt/format.h>

#include <memory>

#include "ir/diagnostic.h"
#include "tools/commands/commands.h"
#include "tools/commands/flags.h"
#include "tools/commands/output.h"
#include "tools/plan/lifetimes.h"

namespace gradc {
namespace {

struct PackFlags {
  std::string file, output, capacity;
  double effort = 1;
};

void pack(const PackFlags& flags) {
  constexpr double kWork = 2e10;  // about half a minute
  int64_t capacity = flags.capacity.empty() ? 0 : parse_bytes(flags.capacity, "--capacity");
  Lifetimes lifetimes = read_lifetimes(flags.file);
  check_can_write(flags.output);
  int64_t live = most_live(lifetimes.buffers);
  Offsets offsets =
      place_buffers(lifetimes.buffers, static_cast<int64_t>(std::min(1e18, kWork * flags.effort)));
  if (capacity > 0 && offsets.bytes > capacity) {
    UserError error(flags.file,
                    fmt::format("needs {} bytes, but {} are allowed", offsets.bytes, capacity),
                    Fault::impossible_budget);
    throw live > capacity ? error.with_note(fmt::format("{} are needed at one time", live))
                          : error.with_help("--effort 10 searches ten times as long");
  }
  if (!flags.output.empty())
    write_text(flags.output, offsets_csv(lifetimes, offsets));
  fmt::print("{} buffers, at most {} bytes at one time, packed into {}: {:.4f} of that\n",
             lifetimes.buffers.size(), live, offsets.bytes,
             live > 0 ? static_cast<double>(offsets.bytes) / static_cast<double>(live) : 1.0);
}

}  // namespace

void add_pack(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("pack", "Place buffers of given lifetimes in as few bytes as possible");
  auto flags = std::make_shared<PackFlags>();
  command->add_option("file", flags->file, "CSV with the columns id, lower, upper and size")
      ->required()
      ->type_name("FILE");
  command->add_option("-o,--output", flags->output, "Write the columns id and offset to this file")
      ->type_name("FILE");
  command->add_option("--capacity", flags->capacity,
                      "Bytes that there are: more is an error, exit code 4");
  command
      ->add_option("--effort", flags->effort,
                   "How many times the usual steps of the search, e.g. 10")
      ->check(finite_number());
  command->callback([flags] { pack(*flags); });
}

}  // namespace gradc
