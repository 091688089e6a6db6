#include "compiler/lower/contract_choices.h"

#include <fmt/format.h>

#include "compiler/kernel.h"
#include "ir/fnv1a.h"
#include "ir/print.h"

namespace gradc {
namespace {

constexpr ContractChoice kChoices[] = {
    {"one-vector", {.tile_vectors = 1}},
    {"two-vectors", {.tile_vectors = 2}},
    {"three-vectors", {.tile_vectors = 3}},
    {"no-panels", {.panels = false}},
    {"long-passes", {.pass_factor = 2}},
    {"short-passes", {.pass_elements = 512}},
    {"passes-of-256", {.pass_elements = 256}},
    {"passes-of-128", {.pass_elements = 128}},
    {"rows-of-256", {.rows = 256, .panels = false}},
    {"staged-by-tasks", {.stage_once = false}},
    {"along-rows", {.result_rows = true, .panels = false}},
};

}  // namespace

std::span<const ContractChoice> contract_choices() {
  return kChoices;
}

const ContractChoice* find_contract_choice(std::string_view name) {
  for (const ContractChoice& choice : kChoices)
    if (choice.name == name)
      return &choice;
  return nullptr;
}

std::string tuning_key(const Function& kernel, int threads) {
  Function bare = without_names(kernel);
  bare.attrs = {};
  for (Op& op : bare.ops)
    op.phase = Phase::forward;
  return fmt::format("{:016x}.{}", fnv1a(print(bare)), threads);
}

}  // namespace gradc
