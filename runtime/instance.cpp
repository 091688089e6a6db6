// An instance: a module, its two memory regions, and the context that its entries are called with.
#include "runtime/instance.h"

#include <sys/mman.h>

#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <functional>
#include <new>

#include "runtime/cpu.h"
#include "runtime/error.h"
#include "runtime/float_environment.h"
#include "runtime/pool.h"

using gradc::report;

namespace {

// Pages that nothing touches cost nothing, and all of them begin as zeros. Large regions ask for
// large pages: the first touch of 64 MiB took 7 ms instead of 54, later reads in order 15 % less
// time.
void* map_zeroed(uint64_t bytes) {
  constexpr uint64_t kLarge = 4 << 20;
  if (bytes > PTRDIFF_MAX)
    return nullptr;
  void* region = mmap(nullptr, std::max<uint64_t>(bytes, 1), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (region == MAP_FAILED)
    return nullptr;
  if (bytes >= kLarge)
    madvise(region, bytes, MADV_HUGEPAGE);  // a wish: small pages do as well
  return region;
}

void unmap(void* region, uint64_t bytes) {
  munmap(region, std::max<uint64_t>(bytes, 1));
}

bool aligned(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer) % GRADC_ALIGNMENT == 0;
}

gradc_status check_module(const gradc_module* module) {
  if (module->abi_version != GRADC_ABI_VERSION)
    return report(GRADC_BAD_ABI,
                  "module of ABI version %" PRIu32 ", this runtime knows %u: build both alike",
                  module->abi_version, GRADC_ABI_VERSION);
  std::string_view features = module->cpu_features ? module->cpu_features : "";
  std::string_view missing = gradc::missing_cpu_feature(features);
  if (!missing.empty())
    return report(GRADC_BAD_CPU,
                  "model `%s` is compiled for %s, this CPU lacks `%.*s`: compile for this CPU",
                  module->name, module->cpu, static_cast<int>(missing.size()), missing.data());
  return GRADC_OK;
}

int32_t worker_limit(const gradc_module* module, int32_t threads) {
  auto limit = static_cast<int32_t>(std::clamp<uint32_t>(module->max_threads, 1, INT32_MAX));
  return std::clamp(threads, 1, limit);
}

// One loop on a foreign pool. Its indices are parts, and a part's number is the worker's: whatever
// threads that pool runs them on, no two parts share one.
struct ForeignLoop {
  gradc_body body;
  void* data;
  int64_t count, parts;
};

void run_foreign_parts(void* data, int64_t begin, int64_t end, int32_t) {
  const auto& loop = *static_cast<const ForeignLoop*>(data);
  gradc::StrictFloats strict;
  for (int64_t part = begin; part < end; ++part)
    loop.body(loop.data, gradc::part_begin(loop.count, loop.parts, part),
              gradc::part_begin(loop.count, loop.parts, part + 1), static_cast<int32_t>(part));
}

// What compiled code gets as context->parallel_for, with the instance as its pool: it keeps to the
// context's number of threads, which the pool itself may exceed.
void instance_parallel_for(void* pool, int64_t count, gradc_body body, void* data) {
  const auto& instance = *static_cast<const gradc_instance*>(pool);
  int32_t threads = instance.context.threads;
  if (!instance.foreign)
    return gradc::parallel_for(instance.pool, threads, count, body, data);
  ForeignLoop loop = {body, data, count, std::min<int64_t>(threads, count)};
  if (loop.parts > 1)
    instance.foreign(instance.foreign_pool, loop.parts, run_foreign_parts, &loop);
  else if (count > 0)
    body(data, 0, count, 0);
}

gradc_status allocate(gradc_instance& instance, const gradc_memory& memory) {
  const gradc_module* module = instance.module;
  uint64_t arena_bytes = gradc_arena_bytes(module);
  instance.owns_state = !memory.state;
  instance.owns_arena = !memory.arena;
  instance.context.state = memory.state ? memory.state : map_zeroed(module->state_bytes);
  instance.context.arena = memory.arena ? memory.arena : map_zeroed(arena_bytes);
  if (!instance.context.state || !instance.context.arena)
    return report(GRADC_OUT_OF_MEMORY,
                  "model `%s` needs %" PRIu64 " bytes of state and %" PRIu64
                  " of arena, which the system does not give",
                  module->name, module->state_bytes, arena_bytes);
  return GRADC_OK;
}

gradc_status check_buffers(const gradc_entry& entry, const char* kind, const gradc_tensor* tensors,
                           uint32_t count, const void* const* buffers) {
  if (count > 0 && !buffers)
    return report(GRADC_BAD_ARGUMENT, "entry `%s` has %" PRIu32 " %ss, the call gives none",
                  entry.name, count, kind);
  for (uint32_t i = 0; i < count; ++i)
    if (!buffers[i] && tensors[i].bytes > 0)
      return report(GRADC_BAD_ARGUMENT, "%s `%s` of entry `%s` is a null pointer", kind,
                    tensors[i].name, entry.name);
  return GRADC_OK;
}

#ifdef NDEBUG
constexpr bool kChecksState = false;
#else
constexpr bool kChecksState = true;
#endif

// Of what the entry "prepare" reads, by FNV-1a over words.
uint64_t state_hash(const gradc_instance& instance) {
  uint64_t hash = 0xcbf29ce484222325;
  for (uint32_t i = 0; i < instance.module->state_count; ++i) {
    const gradc_tensor& tensor = instance.module->state[i];
    if (tensor.role != GRADC_PARAMETER && tensor.role != GRADC_BUFFER)
      continue;
    const char* bytes = static_cast<const char*>(instance.context.state) + tensor.offset;
    for (uint64_t at = 0; at < tensor.bytes; at += sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, bytes + at, std::min<uint64_t>(sizeof word, tensor.bytes - at));
      hash = (hash ^ word) * 0x100000001b3;
    }
  }
  return hash;
}

// Makes what is derived from the state if `entry` may read it and it is not made yet.
gradc_status prepare_for(gradc_instance& instance, const gradc_entry& entry) {
  if (!instance.prepare)
    return GRADC_OK;
  if (std::strcmp(entry.name, "init") == 0 || &entry == instance.prepare) {
    instance.prepared = false;
    return GRADC_OK;
  }
  if (!instance.prepared) {
    gradc_context context = instance.context;
    context.mark = nullptr;
    instance.prepare->function(&context, nullptr, nullptr);
    instance.prepared = true;
    instance.prepared_hash = kChecksState ? state_hash(instance) : 0;
  } else if (kChecksState && instance.prepared_hash != state_hash(instance)) {
    return report(
        GRADC_BAD_ARGUMENT,
        "gradc_run: the state of model `%s` was written through a pointer from before its "
        "last run: call gradc_state_data again",
        instance.module->name);
  }
  return GRADC_OK;
}

}  // namespace

uint64_t gradc_arena_bytes(const gradc_module* module) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < module->entry_count; ++i)
    bytes = std::max(bytes, module->entries[i].arena_bytes);
  return bytes;
}

gradc_status gradc_create(const gradc_module* module, gradc_pool* pool, const gradc_memory* memory,
                          gradc_instance** out) {
  if (!out || !module)
    return report(GRADC_BAD_ARGUMENT, "gradc_create: %s is null", out ? "module" : "out");
  *out = nullptr;
  if (gradc_status status = check_module(module))
    return status;
  gradc_memory given = memory ? *memory : gradc_memory{};
  if (!aligned(given.state) || !aligned(given.arena))
    return report(GRADC_BAD_ARGUMENT, "gradc_create: %s is not aligned to %u bytes",
                  aligned(given.state) ? "arena" : "state", GRADC_ALIGNMENT);

  auto* instance = new (std::nothrow) gradc_instance;
  if (!instance)
    return report(GRADC_OUT_OF_MEMORY, "gradc_create: no memory for an instance");
  instance->module = module;
  instance->pool = pool;
  instance->context.parallel_for = instance_parallel_for;
  instance->context.pool = instance;
  instance->context.threads = worker_limit(module, gradc_pool_threads(pool));
  const gradc_entry* prepare = gradc_find_entry(module, "prepare");
  if (prepare && prepare->input_count + prepare->output_count == 0)
    instance->prepare = prepare;
  if (gradc_status status = allocate(*instance, given)) {
    gradc_destroy(instance);
    return status;
  }
  *out = instance;
  return GRADC_OK;
}

void gradc_destroy(gradc_instance* instance) {
  if (!instance)
    return;
  if (instance->owns_state && instance->context.state)
    unmap(instance->context.state, instance->module->state_bytes);
  if (instance->owns_arena && instance->context.arena)
    unmap(instance->context.arena, gradc_arena_bytes(instance->module));
  delete instance;
}

void gradc_set_parallel_for(gradc_instance* instance, gradc_parallel_for f, void* pool,
                            int32_t threads) {
  instance->foreign = f;
  instance->foreign_pool = pool;
  instance->context.threads =
      worker_limit(instance->module, f ? threads : gradc_pool_threads(instance->pool));
}

void gradc_set_mark(gradc_instance* instance, gradc_mark f, void* data) {
  instance->context.mark = f;
  instance->context.mark_data = data;
}

const gradc_entry* gradc_find_entry(const gradc_module* module, const char* name) {
  for (uint32_t i = 0; i < module->entry_count; ++i)
    if (std::strcmp(module->entries[i].name, name) == 0)
      return &module->entries[i];
  return nullptr;
}

const gradc_tensor* gradc_find_state(const gradc_module* module, const char* name) {
  for (uint32_t i = 0; i < module->state_count; ++i)
    if (std::strcmp(module->state[i].name, name) == 0)
      return &module->state[i];
  return nullptr;
}

void* gradc_state_data(gradc_instance* instance, const gradc_tensor* tensor) {
  instance->prepared = false;
  return static_cast<char*>(instance->context.state) + tensor->offset;
}

gradc_status gradc_run(gradc_instance* instance, const gradc_entry* entry,
                       const void* const* inputs, void* const* outputs) {
  if (!instance || !entry)
    return report(GRADC_BAD_ARGUMENT, "gradc_run: %s is null", instance ? "entry" : "instance");
  const gradc_module& module = *instance->module;
  if (std::less<>()(entry, module.entries) ||
      !std::less<>()(entry, module.entries + module.entry_count))
    return report(GRADC_BAD_ARGUMENT, "gradc_run: entry `%s` is not of model `%s`", entry->name,
                  module.name);
  gradc_status status = check_buffers(*entry, "input", entry->inputs, entry->input_count, inputs);
  if (status == GRADC_OK)
    status = check_buffers(*entry, "output", entry->outputs, entry->output_count, outputs);
  if (status != GRADC_OK)
    return status;
  gradc::StrictFloats strict;
  if (gradc_status prepared = prepare_for(*instance, *entry))
    return prepared;
  entry->function(&instance->context, inputs, outputs);
  return GRADC_OK;
}
