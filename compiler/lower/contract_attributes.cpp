// The schedule of a contract kernel as its attributes.
#include <algorithm>
#include <array>

#include "compiler/kernel.h"
#include "compiler/lower/contract_schedule.h"
#include "ir/diagnostic.h"

namespace gradc {
namespace {

constexpr std::array<std::string_view, 10> kMethodNames = {
    "tile",   "panels", "direct", "matrix",    "windows",
    "pixels", "pairs",  "lanes",  "depthwise", "winograd"};

bool has_no_settings(ContractMethod method) {
  return method == ContractMethod::direct || method == ContractMethod::lanes ||
         method == ContractMethod::depthwise;
}

bool is_on_matrix_unit(ContractMethod method) {
  return method == ContractMethod::matrix || method == ContractMethod::windows ||
         method == ContractMethod::pixels;
}

// Takes the pairs of `result` back: what waits there would overwrite an operand before it is read.
void keep_out_of_place(Function& kernel, size_t result) {
  if (!kernel.attrs.has("inplace"))
    return;
  Attrs attrs;
  for (const auto& [key, value] : kernel.attrs)
    if (key != "inplace")
      attrs.set(key, value);
  std::vector<int64_t> others;
  for (InPlacePair pair : in_place_pairs(kernel))
    if (pair.result != result)
      others.insert(others.end(),
                    {static_cast<int64_t>(pair.operand), static_cast<int64_t>(pair.result)});
  if (!others.empty())
    attrs.set("inplace", others);
  kernel.attrs = std::move(attrs);
}

}  // namespace

std::string_view name_of(ContractMethod method) {
  return kMethodNames[static_cast<size_t>(method)];
}

void set_attributes(Function& kernel, const ContractSchedule& s) {
  if (s.sums_in >= 0)
    keep_out_of_place(kernel, static_cast<size_t>(s.sums_in));
  kernel.attrs.set("method", std::string(name_of(s.method)));
  if (has_no_settings(s.method))
    return;
  if (s.method == ContractMethod::winograd) {
    const WinogradSchedule& w = s.winograd;
    kernel.attrs.set("blocks", std::vector<int64_t>{w.tiles, w.inputs, w.outputs});
    kernel.attrs.set("rows", w.rows);
    kernel.attrs.set("outputs_outside", w.outputs_outside);
    kernel.attrs.set("keeps", w.keeps);
    kernel.attrs.set("image_once", w.image_once);
    kernel.attrs.set("parts", w.parts);
    return;
  }
  if (s.method == ContractMethod::panels)
    kernel.attrs.set("row_group", s.row_group);
  kernel.attrs.set("vector_operand", s.vector_operand);
  kernel.attrs.set("vector_loop", s.vector_loop);
  kernel.attrs.set("row_loop", s.row_loop);
  kernel.attrs.set("blocks", s.blocks);
  if (s.method == ContractMethod::windows)
    kernel.attrs.set("rows", s.rows);
  if (is_on_matrix_unit(s.method))
    return;
  kernel.attrs.set("tile", std::vector<int64_t>{s.rows, s.vectors});
  kernel.attrs.set("row_parts", s.row_parts);
  kernel.attrs.set("stage_a", s.stage_a);
  kernel.attrs.set("stage_a_once", s.stage_a_once);
  kernel.attrs.set("stage_b", s.stage_b);
  if (s.packed)
    kernel.attrs.set("packed", true);
  kernel.attrs.set("skip_padding", s.skip_padding);
  kernel.attrs.set("staged_from", s.staged_from);
  kernel.attrs.set("staged_together", s.staged_together);
  kernel.attrs.set("staged_rows", s.staged_rows);
  kernel.attrs.set("direct_store", s.direct_store);
  kernel.attrs.set("sums_in", s.sums_in);
}

ContractSchedule contract_schedule_of(const Function& kernel) {
  const Attrs& attrs = kernel.attrs;
  ContractSchedule s;
  auto method = std::find(kMethodNames.begin(), kMethodNames.end(), attrs.string("method"));
  if (method == kMethodNames.end())
    fail("unknown method `{}` of contract kernel @{}", attrs.string("method"), kernel.name);
  s.method = static_cast<ContractMethod>(method - kMethodNames.begin());
  if (has_no_settings(s.method))
    return s;
  if (s.method == ContractMethod::winograd) {
    const std::vector<int64_t>& blocks = attrs.integers("blocks");
    s.winograd = {.tiles = blocks.at(0),
                  .inputs = blocks.at(1),
                  .outputs = blocks.at(2),
                  .rows = attrs.integer("rows"),
                  .outputs_outside = attrs.flag("outputs_outside"),
                  .keeps = attrs.flag("keeps"),
                  .image_once = attrs.flag("image_once"),
                  .parts = attrs.integer("parts")};
    return s;
  }
  s.row_group = attrs.integer_or("row_group", 0);
  s.vector_operand = attrs.integer("vector_operand");
  s.vector_loop = attrs.integer("vector_loop");
  s.row_loop = attrs.integer("row_loop");
  s.blocks = attrs.integers("blocks");
  s.rows = attrs.integer_or("rows", 1);
  if (is_on_matrix_unit(s.method))
    return s;
  s.rows = attrs.integers("tile").at(0);
  s.vectors = attrs.integers("tile").at(1);
  s.row_parts = attrs.integer("row_parts");
  s.stage_a = attrs.flag("stage_a");
  s.stage_a_once = attrs.flag("stage_a_once");
  s.stage_b = attrs.flag("stage_b");
  s.packed = attrs.flag("packed");
  s.skip_padding = attrs.flag("skip_padding");
  s.staged_from = attrs.integer("staged_from");
  s.staged_together = attrs.integer("staged_together");
  s.staged_rows = attrs.integer("staged_rows");
  s.direct_store = attrs.flag("direct_store");
  s.sums_in = attrs.integer("sums_in");
  return s;
}

}  // namespace gradc
