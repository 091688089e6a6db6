#include "tests/support/compiled_model.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "compiler/codegen/target.h"
#include "compiler/entries.h"
#include "runtime/float_environment.h"

namespace gradc::test {
namespace {

constexpr double kLastStep = 1000, kRate = 1e-2;

void fill(const gradc_tensor& tensor, std::byte* data, uint32_t seed) {
  std::mt19937 random(seed);
  auto store = [&](uint64_t at, auto value) { std::memcpy(data + at, &value, sizeof value); };
  for (uint64_t at = 0; at < tensor.bytes;) {
    uint32_t number = random() >> 8;
    switch (tensor.dtype) {
      case GRADC_F32:
        store(at, static_cast<float>(number) * 0x1p-24f);
        at += sizeof(float);
        break;
      case GRADC_I32:
        store(at, static_cast<int32_t>(number % 10));
        at += sizeof(int32_t);
        break;
      case GRADC_I64:
        store(at, static_cast<int64_t>(number % 10));
        at += sizeof(int64_t);
        break;
      default:
        FAIL("no example has inputs of type " << int{tensor.dtype});
    }
  }
}

void set_controls(EntryBuffers& buffers, int step, uint32_t seed) {
  buffers.set_scalar(kSeed, seed);
  buffers.set_scalar(kLearningRate, kRate);
  buffers.set_scalar(kStep, step);
  buffers.set_scalar(kTotalSteps, kLastStep);
}

std::string state_bytes(const gradc_module& module, const void* state) {
  std::string bytes;
  for (uint32_t i = 0; i < module.state_count; ++i)
    bytes.append(static_cast<const char*>(state) + module.state[i].offset, module.state[i].bytes);
  return bytes;
}

// Calls an entry as gradc_run does, but with an arena that ends where the entry's own does.
void run_guarded(const gradc_entry& entry, void* state, gradc_pool* pool, int threads,
                 const EntryBuffers& buffers, GuardedRegion& arena) {
  arena.poison();
  gradc_context context = {.state = state,
                           .arena = arena.data(),
                           .parallel_for = gradc_pool_parallel_for,
                           .pool = pool,
                           .threads = threads};
  StrictFloats strict;
  entry.function(&context, buffers.inputs(), buffers.outputs());
}

}  // namespace

Options native_training(int threads) {
  Options options;
  options.train = true;
  options.threads = threads;
  options.target = target_for("native");
  return options;
}

const gradc_entry& entry_of(const gradc_module& module, std::string_view name) {
  const gradc_entry* entry = gradc_find_entry(&module, std::string(name).c_str());
  REQUIRE(entry);
  return *entry;
}

EntryBuffers::EntryBuffers(const gradc_entry& entry, uint32_t seed) : entry_(entry) {
  for (uint32_t i = 0; i < entry.input_count; ++i) {
    inputs_.push_back(std::make_unique<GuardedRegion>(entry.inputs[i].bytes));
    fill(entry.inputs[i], static_cast<std::byte*>(inputs_[i]->data()), seed + i);
    input_pointers_.push_back(inputs_[i]->data());
  }
  for (uint32_t i = 0; i < entry.output_count; ++i) {
    outputs_.push_back(std::make_unique<GuardedRegion>(entry.outputs[i].bytes));
    output_pointers_.push_back(outputs_[i]->data());
  }
}

void EntryBuffers::set_scalar(std::string_view input, double value) {
  for (uint32_t i = 0; i < entry_.input_count; ++i) {
    if (entry_.inputs[i].name != input)
      continue;
    auto integer = static_cast<int64_t>(value);
    auto real = static_cast<float>(value);
    if (entry_.inputs[i].dtype == GRADC_I64)
      std::memcpy(inputs_[i]->data(), &integer, sizeof integer);
    else
      std::memcpy(inputs_[i]->data(), &real, sizeof real);
  }
}

std::string EntryBuffers::output_bytes() const {
  std::string bytes;
  for (const auto& output : outputs_)
    bytes.append(static_cast<const char*>(output->data()), output->size());
  return bytes;
}

bool EntryBuffers::intact() const {
  for (const Regions* regions : {&inputs_, &outputs_})
    for (const auto& region : *regions)
      if (!region->intact())
        return false;
  return true;
}

Training::Training(const gradc_module& module, gradc_pool* pool, uint32_t seed)
    : module_(module), step_(entry_of(module, kTrainStep)), buffers_(step_, seed), seed_(seed) {
  gradc_instance* instance = nullptr;
  REQUIRE(gradc_create(&module, pool, nullptr, &instance) == GRADC_OK);
  instance_.reset(instance);
  const gradc_entry& init = entry_of(module, kInit);
  EntryBuffers buffers(init, seed);
  set_controls(buffers, 0, seed);
  REQUIRE(gradc_run(instance, &init, buffers.inputs(), buffers.outputs()) == GRADC_OK);
}

bool Training::step() {
  set_controls(buffers_, steps_++, seed_);
  gradc_status status = gradc_run(instance_.get(), &step_, buffers_.inputs(), buffers_.outputs());
  outputs_ += buffers_.output_bytes();
  return status == GRADC_OK;
}

std::string Training::bytes() const {
  const gradc_tensor& first = module_.state[0];
  auto* begin = static_cast<const char*>(gradc_state_data(instance_.get(), &first));
  return outputs_ + state_bytes(module_, begin - first.offset);
}

std::string guarded_training(const gradc_module& module, gradc_pool* pool, int threads, int steps,
                             uint32_t seed) {
  const gradc_entry& init = entry_of(module, kInit);
  const gradc_entry& step = entry_of(module, kTrainStep);
  GuardedRegion state(module.state_bytes);
  EntryBuffers init_buffers(init, seed), buffers(step, seed);
  set_controls(init_buffers, 0, seed);
  GuardedRegion init_arena(init.arena_bytes), arena(step.arena_bytes);
  run_guarded(init, state.data(), pool, threads, init_buffers, init_arena);
  std::string bytes;
  for (int i = 0; i < steps; ++i) {
    set_controls(buffers, i, seed);
    run_guarded(step, state.data(), pool, threads, buffers, arena);
    bytes += buffers.output_bytes();
  }
  CHECK(state.intact());
  CHECK(init_arena.intact());
  CHECK(arena.intact());
  CHECK(init_buffers.intact());
  CHECK(buffers.intact());
  return bytes + state_bytes(module, state.data());
}

}  // namespace gradc::test
