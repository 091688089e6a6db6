#include "tools/weights.h"

#include <algorithm>

#include "compiler/file_names.h"
#include "compiler/import/onnx/onnx_file.h"
#include "compiler/plan/storage.h"
#include "tools/io/require.h"

namespace gradc {
namespace {

TensorView view_of(const StateTensor& state, std::span<const std::byte> bytes) {
  return {file_name(state), static_cast<gradc_dtype>(state.type.dtype), state.type.dims, bytes};
}

}  // namespace

Weights weights_of(const Module& module, const std::string& path) {
  Weights weights;
  if (!path.empty()) {
    weights.file = read_safetensors(path);
    require(weights.file.status);
  }
  for (const StateTensor& state : module.states) {
    if (!is_weight(state))
      continue;
    TensorView wanted = view_of(state, state.content.bytes);
    if (path.empty()) {
      if (!wanted.bytes.empty())
        weights.tensors.push_back(wanted);
      continue;
    }
    const TensorView* found = weights.file.find(wanted.name);
    if (!found)
      throw UserError(
          path, fmt::format("lacks tensor `{}`, which model `{}` has", wanted.name, module.name));
    if (found->dtype != wanted.dtype || found->dims != wanted.dims)
      throw UserError(path, fmt::format("tensor `{}` is {}, model `{}` has {}", wanted.name,
                                        shape_text(found->dtype, found->dims), module.name,
                                        shape_text(wanted.dtype, wanted.dims)));
    weights.tensors.push_back(*found);
  }
  return weights;
}

Weights weights_of(const Module& planned, std::span<const std::byte> state) {
  Weights weights;
  std::vector<int64_t> offsets = state_offsets(planned);
  for (size_t i = 0; i < planned.states.size(); ++i)
    if (is_weight(planned.states[i]))
      weights.tensors.push_back(view_of(
          planned.states[i], state.subspan(static_cast<size_t>(offsets[i]),
                                           static_cast<size_t>(planned.states[i].type.bytes()))));
  return weights;
}

void write_weights(const Weights& weights, const std::string& model_name, const std::string& path,
                   Durability durability) {
  require(write_safetensors(path, weights.tensors, {{"format", "gradc"}, {"model", model_name}},
                            durability));
}

void write_onnx_model(const Module& imported, const Weights& weights, const std::string& from,
                      const std::string& to) {
  // What stayed as it was keeps its place in the file, also where it has none of its own there: a
  // constant that the import computed.
  std::map<std::string, std::span<const std::byte>> before, contents;
  for (const StateTensor& state : imported.states)
    before[file_name(state)] = state.content.bytes;
  for (const TensorView& tensor : weights.tensors)
    if (!std::ranges::equal(tensor.bytes, before[tensor.name]))
      contents[tensor.name] = tensor.bytes;
  onnx::write_onnx(from, to, contents);
}

void check_onnx_holds_trained(const Module& planned, const std::string& path) {
  std::map<std::string, std::span<const std::byte>> contents;
  for (const Function& function : planned.functions)
    for (const Result& result : function.results)
      if (const StateTensor* state = planned.find_state(result.state); state && is_weight(*state))
        contents[file_name(*state)] = state->content.bytes;
  onnx::check_replaceable(path, contents);
}

}  // namespace gradc
