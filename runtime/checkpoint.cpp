// gradc_save and gradc_load: the state region as a safetensors file; gradc_metadata.
#include <cstring>

#include "runtime/error.h"
#include "runtime/instance.h"
#include "runtime/safetensors.h"

using gradc::report;

namespace {

gradc_status report_file(const gradc::FileStatus& status) {
  return report(status.code, "%s", status.text().c_str());
}

// The state tensors that a weights file (or, with the optimizer's, a checkpoint) holds.
std::vector<gradc::TensorView> saved_tensors(const gradc_instance& instance, bool with_optimizer) {
  const gradc_module& module = *instance.module;
  const auto* state = static_cast<const std::byte*>(instance.context.state);
  std::vector<gradc::TensorView> tensors;
  for (uint32_t i = 0; i < module.state_count; ++i) {
    const gradc_tensor& tensor = module.state[i];
    if (tensor.role == GRADC_DERIVED || (tensor.role == GRADC_OPTIMIZER && !with_optimizer))
      continue;
    tensors.push_back({tensor.name, static_cast<gradc_dtype>(tensor.dtype),
                       std::vector<int64_t>(tensor.dims, tensor.dims + tensor.rank),
                       std::span(state + tensor.offset, static_cast<size_t>(tensor.bytes))});
  }
  return tensors;
}

}  // namespace

gradc_status gradc_save(const gradc_instance* instance, const char* path, int with_optimizer,
                        const char* const* metadata) {
  if (!instance || !path)
    return report(GRADC_BAD_ARGUMENT, "gradc_save: %s is null", instance ? "path" : "instance");
  std::map<std::string, std::string> pairs;
  for (; metadata && metadata[0]; metadata += 2)
    pairs[metadata[0]] = metadata[1] ? metadata[1] : "";
  pairs["format"] = "gradc";
  pairs["model"] = instance->module->name;
  pairs["hash"] = instance->module->hash;
  gradc::FileStatus status =
      gradc::write_safetensors(path, saved_tensors(*instance, with_optimizer != 0), pairs);
  return status.ok() ? GRADC_OK : report_file(status);
}

gradc_status gradc_load(gradc_instance* instance, const char* path, int with_optimizer) {
  if (!instance || !path)
    return report(GRADC_BAD_ARGUMENT, "gradc_load: %s is null", instance ? "path" : "instance");
  gradc::SafetensorsFile file = gradc::read_safetensors(path);
  if (!file.status.ok())
    return report_file(file.status);

  // All is checked before anything is copied: a file that does not fit changes nothing.
  std::vector<gradc::TensorView> wanted = saved_tensors(*instance, with_optimizer != 0);
  std::vector<const gradc::TensorView*> found;
  for (const gradc::TensorView& tensor : wanted) {
    const gradc::TensorView* given = file.find(tensor.name);
    if (!given)
      return report(GRADC_BAD_FILE, "%s: lacks tensor `%s`, which model `%s` has", path,
                    tensor.name.c_str(), instance->module->name);
    if (given->dtype != tensor.dtype || given->dims != tensor.dims)
      return report(GRADC_BAD_FILE, "%s: tensor `%s` is %s, model `%s` has %s", path,
                    tensor.name.c_str(), gradc::shape_text(given->dtype, given->dims).c_str(),
                    instance->module->name, gradc::shape_text(tensor.dtype, tensor.dims).c_str());
    found.push_back(given);
  }
  auto* state = static_cast<std::byte*>(instance->context.state);
  instance->prepared = false;
  for (size_t i = 0; i < wanted.size(); ++i) {
    auto offset = wanted[i].bytes.data() - state;
    if (!wanted[i].bytes.empty())
      std::memcpy(state + offset, found[i]->bytes.data(), found[i]->bytes.size());
  }
  return GRADC_OK;
}

gradc_status gradc_metadata(const char* path, const char* key, char* text, size_t size) {
  if (!path || !key || !text)
    return report(GRADC_BAD_ARGUMENT, "gradc_metadata: %s is null",
                  !path  ? "path"
                  : !key ? "key"
                         : "text");
  gradc::SafetensorsFile file = gradc::read_safetensors(path);
  if (!file.status.ok())
    return report_file(file.status);
  auto found = file.metadata.find(key);
  if (found == file.metadata.end())
    return report(GRADC_BAD_FILE, "%s: has no `%s` in its metadata", path, key);
  if (found->second.size() >= size)
    return report(GRADC_BAD_ARGUMENT, "%s: `%s` in its metadata has %zu bytes, room is for %zu",
                  path, key, found->second.size() + 1, size);
  std::memcpy(text, found->second.c_str(), found->second.size() + 1);
  return GRADC_OK;
}
