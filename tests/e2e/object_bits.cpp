// Trains the model that is linked in, without the compiler, and prints its losses as `gradc train
// --metrics` writes them.
//   object_bits feed BATCH.npz                   writes a batch for the model's inputs
//   object_bits train BATCH.npz STEPS THREADS    trains on it
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "runtime/gradc_runtime.h"
#include "tools/io/npz.h"

extern "C" const gradc_module model_module;

namespace {

using gradc::NamedArray;
using Buffers = std::vector<std::vector<std::byte>>;

constexpr int64_t kSeed = 3;
constexpr float kRate = 1e-3f;

void check(bool condition, const std::string& message) {
  if (!condition)
    throw std::runtime_error(message + ": " + gradc_last_error());
}

const gradc_entry& entry_named(const char* name) {
  const gradc_entry* entry = gradc_find_entry(&model_module, name);
  check(entry, "no entry " + std::string(name));
  return *entry;
}

template <typename T>
std::vector<std::byte> bytes_of(T value) {
  std::vector<std::byte> bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

// Scalars that are not data.
std::map<std::string, std::vector<std::byte>> controls(int64_t step, int64_t steps) {
  return {{"lr", bytes_of(kRate)},
          {"step", bytes_of(step)},
          {"total_steps", bytes_of(steps)},
          {"seed", bytes_of(kSeed)}};
}

// Floats in [0, 1), integers below 10, which are classes and bytes.
NamedArray random_array(const gradc_tensor& tensor, uint32_t seed) {
  gradc::Type type{static_cast<gradc::DType>(tensor.dtype),
                   gradc::Dims(tensor.dims, tensor.dims + tensor.rank)};
  NamedArray array{tensor.name, type, {}};
  std::mt19937 random(seed);
  for (int64_t i = 0; i < type.elements(); ++i) {
    uint32_t number = random() >> 8;
    check(tensor.dtype == GRADC_F32 || tensor.dtype == GRADC_I32, "an input of another type");
    std::vector<std::byte> element = tensor.dtype == GRADC_F32
                                         ? bytes_of(static_cast<float>(number) * 0x1p-24f)
                                         : bytes_of(static_cast<int32_t>(number % 10));
    array.data.insert(array.data.end(), element.begin(), element.end());
  }
  return array;
}

void write_batch(const std::string& path) {
  const gradc_entry& step = entry_named("train_step");
  auto known = controls(0, 0);
  std::vector<NamedArray> arrays;
  for (uint32_t i = 0; i < step.input_count; ++i)
    if (!known.contains(step.inputs[i].name))
      arrays.push_back(random_array(step.inputs[i], i + 1));
  write_npz(path, arrays);
}

// Runs an entry with inputs by name; returns the output `loss`, if there is one.
float run(gradc_instance* instance, const gradc_entry& entry,
          const std::map<std::string, std::vector<std::byte>>& given) {
  std::vector<const void*> inputs;
  for (uint32_t i = 0; i < entry.input_count; ++i) {
    auto found = given.find(entry.inputs[i].name);
    check(found != given.end() && found->second.size() == entry.inputs[i].bytes,
          "no data for " + std::string(entry.inputs[i].name));
    inputs.push_back(found->second.data());
  }
  Buffers outputs;
  std::vector<void*> output_pointers;
  for (uint32_t i = 0; i < entry.output_count; ++i)
    outputs.emplace_back(entry.outputs[i].bytes);
  for (auto& output : outputs)
    output_pointers.push_back(output.data());
  check(gradc_run(instance, &entry, inputs.data(), output_pointers.data()) == GRADC_OK, "run");
  float loss = 0;
  for (uint32_t i = 0; i < entry.output_count; ++i)
    if (std::string(entry.outputs[i].name) == "loss")
      std::memcpy(&loss, outputs[i].data(), sizeof loss);
  return loss;
}

void train(const std::string& path, int64_t steps, int32_t threads) {
  gradc_pool* pool = gradc_pool_create(threads);
  gradc_instance* instance = nullptr;
  check(gradc_create(&model_module, pool, nullptr, &instance) == GRADC_OK, "create");
  run(instance, entry_named("init"), controls(0, steps));
  std::vector<NamedArray> batch = gradc::read_npz(path);
  for (int64_t step = 0; step < steps; ++step) {
    auto inputs = controls(step, steps);
    for (const NamedArray& array : batch)
      inputs[array.name] = array.data;
    float loss = run(instance, entry_named("train_step"), inputs);
    std::printf("{\"step\": %d, \"loss\": %.9g}\n", static_cast<int>(step),
                static_cast<double>(loss));
  }
  gradc_destroy(instance);
  gradc_pool_destroy(pool);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::string command = argc > 1 ? argv[1] : "";
    if (command == "feed" && argc == 3)
      write_batch(argv[2]);
    else if (command == "train" && argc == 5)
      train(argv[2], std::atoll(argv[3]), std::atoi(argv[4]));
    else
      throw std::runtime_error("feed BATCH.npz, or train BATCH.npz STEPS THREADS");
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
