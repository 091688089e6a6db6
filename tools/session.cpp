#include "tools/session.h"

#include <chrono>
#include <cstring>

#include "compiler/entries.h"
#include "compiler/file_names.h"
#include "compiler/import/onnx/loss.h"
#include "compiler/passes/inverse_errors.h"
#include "ir/diagnostic.h"
#include "ir/fnv1a.h"
#include "tools/compiled.h"
#include "tools/io/elements.h"
#include "tools/io/npz.h"

namespace gradc {
namespace {

void check(gradc_status status, const std::string& what) {
  if (status != GRADC_OK)
    throw UserError(what, fmt::format("{} ({})", gradc_last_error(), gradc_status_text(status)));
}

// The runtime's messages about a file begin with its path, which is the place here.
[[noreturn]] void fail_at_file(const std::string& path) {
  std::string_view message = gradc_last_error();
  if (message.starts_with(path + ": "))
    message.remove_prefix(path.size() + 2);
  throw UserError(path, std::string(message));
}

int find(const gradc_tensor* tensors, uint32_t count, std::string_view name) {
  for (uint32_t i = 0; i < count; ++i)
    if (tensors[i].name == name)
      return static_cast<int>(i);
  return -1;
}

size_t require(const gradc_tensor* tensors, uint32_t count, std::string_view name) {
  int i = find(tensors, count, name);
  GRADC_CHECK(i >= 0, "the entry has no `{}`", name);
  return static_cast<size_t>(i);
}

// What the model's own loss sees of an array that --accumulate cuts.
Dims micro_batch(Dims dims, const Options& options) {
  if (!dims.empty() && dims[0] % options.accumulate == 0)
    dims[0] /= options.accumulate;
  return dims;
}

}  // namespace

Type type_of(const gradc_tensor& tensor) {
  return {static_cast<DType>(tensor.dtype), Dims(tensor.dims, tensor.dims + tensor.rank)};
}

std::vector<NamedArray> read_feed(ModelFlags& flags, const std::string& path) {
  std::vector<NamedArray> arrays = read_npz(path);
  for (const NamedArray& array : arrays)
    if (array.name == onnx::kTarget && !flags.options.loss.empty() && flags.options.train)
      flags.options.shapes.try_emplace(array.name, micro_batch(array.type.dims, flags.options));
  return arrays;
}

Session::Session(const ModelFlags& flags)
    : Session(load_model(flags.model, flags.options), flags) {}

Session::Session(Module imported, const ModelFlags& flags, const PipelineObserver& observer)
    : imported_(std::move(imported)) {
  auto begin = std::chrono::steady_clock::now();
  planned_ = compiled(imported_, flags.options, flags.cache, observer);
  if (flags.verify_invert)
    planned_ = with_inverse_errors(planned_, flags.options);
  jit_ = std::make_unique<JitModule>(planned_, codegen_options(flags, planned_));
  compile_milliseconds_ =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  abi_ = jit_->get();
  pool_.reset(gradc_pool_create(flags.options.threads));
  gradc_instance* instance = nullptr;
  check(gradc_create(abi_, pool_.get(), nullptr, &instance), flags.model);
  instance_.reset(instance);
  if (gradc_find_entry(abi_, std::string(kInit).c_str())) {
    EntryCall init(*this, kInit);
    init.set_scalar(kSeed, static_cast<double>(flags.seed));
    init.run();
  }
  load_contents();
  if (!flags.weights.empty())
    load(flags.weights, false);
}

// What a model file brought. State whose content it did not bring is what @init made it.
void Session::load_contents() {
  for (const StateTensor& state : imported_.states) {
    if (state.content.bytes.empty())
      continue;
    const gradc_tensor& tensor =
        abi_->state[require(abi_->state, abi_->state_count, file_name(state))];
    GRADC_CHECK(tensor.bytes == state.content.bytes.size());
    std::memcpy(gradc_state_data(instance_.get(), &tensor), state.content.bytes.data(),
                tensor.bytes);
  }
}

CodegenOptions codegen_options(const ModelFlags& flags, const Module& planned) {
  // Checkpoints carry the hash: a file fits a model when names, types and roles of its state agree.
  std::string state;
  for (const StateTensor& tensor : planned.states)
    if (tensor.role != Role::derived)
      state += fmt::format("{} {} {};", name_of(tensor.role), tensor.name, to_string(tensor.type));
  return {flags.options.target, flags.options.threads,
          planned.name,         fmt::format("{:016x}", fnv1a(state)),
          flags.marks,          flags.perf,
          flags.cache};
}

const gradc_entry& Session::entry(std::string_view name) const {
  const gradc_entry* found = gradc_find_entry(abi_, std::string(name).c_str());
  if (!found)
    fail("model `{}` has no entry @{}", imported_.name, name);
  return *found;
}

std::span<std::byte> Session::state_bytes() const {
  if (abi_->state_count == 0)
    return {};
  auto* begin = static_cast<std::byte*>(gradc_state_data(instance_.get(), &abi_->state[0]));
  return {begin - abi_->state[0].offset, abi_->state_bytes};
}

void Session::load(const std::string& path, bool with_optimizer) {
  if (gradc_load(instance_.get(), path.c_str(), with_optimizer) != GRADC_OK)
    fail_at_file(path);
}

void Session::save(const std::string& path, bool with_optimizer,
                   const std::vector<std::pair<std::string, std::string>>& metadata) const {
  std::vector<const char*> pairs;
  for (const auto& [key, value] : metadata) {
    pairs.push_back(key.c_str());
    pairs.push_back(value.c_str());
  }
  pairs.push_back(nullptr);
  if (gradc_save(instance_.get(), path.c_str(), with_optimizer, pairs.data()) != GRADC_OK)
    fail_at_file(path);
}

EntryCall::EntryCall(const Session& session, std::string_view entry)
    : instance_(session.instance()), entry_(&session.entry(entry)) {
  if (const Function* imported = session.imported().find_function(entry))
    index_ranges_ = index_ranges(*imported);
  for (uint32_t i = 0; i < entry_->input_count; ++i)
    inputs_.emplace_back(entry_->inputs[i].bytes);
  for (uint32_t i = 0; i < entry_->output_count; ++i)
    outputs_.emplace_back(entry_->outputs[i].bytes);
  for (const std::vector<std::byte>& input : inputs_)
    input_pointers_.push_back(input.data());
  for (std::vector<std::byte>& output : outputs_)
    output_pointers_.push_back(output.data());
}

bool EntryCall::has_input(std::string_view name) const {
  return find(entry_->inputs, entry_->input_count, name) >= 0;
}

bool EntryCall::has_output(std::string_view name) const {
  return find(entry_->outputs, entry_->output_count, name) >= 0;
}

std::span<std::byte> EntryCall::input(std::string_view name) {
  return inputs_[require(entry_->inputs, entry_->input_count, name)];
}

std::span<const std::byte> EntryCall::output(std::string_view name) const {
  return outputs_[require(entry_->outputs, entry_->output_count, name)];
}

Type EntryCall::input_type(std::string_view name) const {
  return type_of(entry_->inputs[require(entry_->inputs, entry_->input_count, name)]);
}

Type EntryCall::output_type(std::string_view name) const {
  return type_of(entry_->outputs[require(entry_->outputs, entry_->output_count, name)]);
}

void EntryCall::set_scalar(std::string_view name, double value) {
  if (!has_input(name))
    return;
  auto integer = static_cast<int64_t>(value);
  auto real = static_cast<float>(value);
  DType dtype = input_type(name).dtype;
  GRADC_CHECK(dtype == DType::i64 || dtype == DType::f32);
  if (dtype == DType::i64)
    std::memcpy(input(name).data(), &integer, sizeof integer);
  else
    std::memcpy(input(name).data(), &real, sizeof real);
}

float EntryCall::scalar_output(std::string_view name) const {
  double value = 0;
  convert_elements(output_type(name).dtype, output(name), DType::f64,
                   std::as_writable_bytes(std::span(&value, 1)));
  return static_cast<float>(value);
}

std::vector<std::pair<std::string, double>> EntryCall::scalar_outputs(
    std::string_view prefix) const {
  std::vector<std::pair<std::string, double>> scalars;
  for (uint32_t i = 0; i < entry_->output_count; ++i) {
    std::string_view name = entry_->outputs[i].name;
    if (!name.starts_with(prefix) || entry_->outputs[i].dtype != GRADC_F64)
      continue;
    double value = 0;
    std::memcpy(&value, outputs_[i].data(), sizeof value);
    scalars.emplace_back(name.substr(prefix.size()), value);
  }
  return scalars;
}

std::vector<NamedArray> EntryCall::output_arrays() const {
  std::vector<NamedArray> arrays;
  for (uint32_t i = 0; i < entry_->output_count; ++i)
    arrays.push_back({entry_->outputs[i].name, type_of(entry_->outputs[i]), outputs_[i]});
  return arrays;
}

void EntryCall::feed(std::span<const NamedArray> arrays, const std::string& file) {
  for (uint32_t i = 0; i < entry_->input_count; ++i) {
    std::string name = entry_->inputs[i].name;
    Type type = type_of(entry_->inputs[i]);
    if (is_control_input(name))
      continue;
    const NamedArray* array = nullptr;
    for (const NamedArray& candidate : arrays)
      if (candidate.name == name)
        array = &candidate;
    if (!array)
      throw UserError(file, fmt::format("there is no array `{}`, which the model takes as {}", name,
                                        to_string(type)));
    if (array->type.elements() != type.elements())
      throw UserError(file, fmt::format("array `{}` is {}, but the model takes {}", name,
                                        to_string(array->type), to_string(type)))
          .with_help("bind the model's sizes to the data's, e.g. --batch N");
    if (!converts(array->type.dtype, type.dtype))
      throw UserError(file, fmt::format("array `{}` holds {}, which cannot become {}", name,
                                        name_of(array->type.dtype), name_of(type.dtype)));
    try {
      convert_elements(array->type.dtype, array->data, type.dtype, inputs_[i]);
    } catch (const UserError& error) {
      throw error.at(file + ": array `" + name + "`");
    }
  }
  check_indices(file);
}

void EntryCall::check_indices(const std::string& data) const {
  for (uint32_t i = 0; i < entry_->input_count; ++i) {
    auto found = index_ranges_.find(entry_->inputs[i].name);
    if (found == index_ranges_.end())
      continue;
    const auto& [name, range] = *found;
    Type type = type_of(entry_->inputs[i]);
    std::vector<int64_t> indices(static_cast<size_t>(type.elements()));
    convert_elements(type.dtype, inputs_[i], DType::i64,
                     std::as_writable_bytes(std::span(indices)));
    for (size_t at = 0; at < indices.size(); ++at)
      if (!range.takes(indices[at]))
        throw UserError(
            data, fmt::format("element {} of `{}` is {}; {} takes numbers from {} to {}", at, name,
                              indices[at], range.loc, range.least, range.end - 1));
  }
}

void EntryCall::run() const {
  check(gradc_run(instance_, entry_, input_pointers_.data(), output_pointers_.data()),
        entry_->name);
}

}  // namespace gradc
