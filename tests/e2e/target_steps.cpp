// Three training steps of the compiled model, then a line per tensor with its numbers: the outputs
// of each step and the state at the end. For any processor: it needs the runtime and nothing else.
//   target_steps THREADS
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "runtime/gradc_runtime.h"

extern "C" const gradc_module model_module;

namespace {

void check(gradc_status status) {
  if (status == GRADC_OK)
    return;
  std::fprintf(stderr, "%s\n", gradc_last_error());
  std::exit(1);
}

void print(const gradc_tensor& tensor, const void* data) {
  if (tensor.dtype != GRADC_F32)
    return;
  std::printf("%s", tensor.name);
  for (size_t i = 0; i < tensor.bytes / sizeof(float); ++i) {
    float x;
    std::memcpy(&x, static_cast<const char*>(data) + i * sizeof x, sizeof x);
    std::printf(" %.9g", static_cast<double>(x));
  }
  std::printf("\n");
}

// Floats in [-1, 1), integers 0 or 1; lr, step and the like by name.
std::vector<char> filled(const gradc_tensor& tensor, int64_t step) {
  std::vector<char> bytes(tensor.bytes);
  auto put = [&](size_t at, auto value) { std::memcpy(&bytes[at], &value, sizeof value); };
  std::string name = tensor.name;
  uint32_t random = 12345;
  for (size_t at = 0; at < bytes.size();) {
    random = random * 1664525u + 1013904223u;
    if (tensor.dtype == GRADC_F32) {
      put(at, name == "lr" ? 1e-3f : static_cast<float>(static_cast<int32_t>(random)) * 0x1p-31f);
      at += sizeof(float);
    } else if (tensor.dtype == GRADC_I64) {
      put(at, name == "step" ? step : name == "total_steps" ? int64_t{100} : int64_t{random >> 31});
      at += sizeof(int64_t);
    } else if (tensor.dtype == GRADC_I32) {
      put(at, static_cast<int32_t>(random >> 31));
      at += sizeof(int32_t);
    } else {
      std::fprintf(stderr, "an input of another type: %s\n", tensor.name);
      std::exit(1);
    }
  }
  return bytes;
}

void run(gradc_instance* instance, const gradc_entry& entry, int64_t step) {
  std::vector<std::vector<char>> inputs, outputs;
  std::vector<const void*> from;
  std::vector<void*> to;
  for (uint32_t i = 0; i < entry.input_count; ++i)
    from.push_back(inputs.emplace_back(filled(entry.inputs[i], step)).data());
  for (uint32_t i = 0; i < entry.output_count; ++i)
    to.push_back(outputs.emplace_back(entry.outputs[i].bytes).data());
  check(gradc_run(instance, &entry, from.data(), to.data()));
  for (uint32_t i = 0; i < entry.output_count; ++i)
    print(entry.outputs[i], to[i]);
}

}  // namespace

int main(int, char** arguments) {
  gradc_pool* pool = gradc_pool_create(std::atoi(arguments[1]));
  gradc_instance* instance = nullptr;
  check(gradc_create(&model_module, pool, nullptr, &instance));
  run(instance, *gradc_find_entry(&model_module, "init"), 0);
  for (int64_t step = 0; step < 3; ++step)
    run(instance, *gradc_find_entry(&model_module, "train_step"), step);
  for (uint32_t i = 0; i < model_module.state_count; ++i)
    print(model_module.state[i], gradc_state_data(instance, &model_module.state[i]));
  gradc_destroy(instance);
  gradc_pool_destroy(pool);
}
