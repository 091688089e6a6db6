/* gradc_runtime.h: the contract between compiled models and the programs that run them.
 *
 * A `gradc_module` describes one compiled model: its tensors, its memory regions and its entries.
 * The JIT hands one over in memory, an object file exports one as `<prefix>_module`, a shared
 * library is loaded for one. Everything it points to is constant. Compiled code calls nothing but
 * libc's memcpy and memset, and libm where a model computes in f64 or by fmod; it allocates
 * nothing, locks nothing and keeps no global state, so any number of models and of instances of one
 * model can live in one process.
 *
 * Sizes are bytes. All regions are aligned to GRADC_ALIGNMENT. Tensors are dense and row-major.
 */
#ifndef GRADC_RUNTIME_H
#define GRADC_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GRADC_ABI_VERSION 2u
#define GRADC_ALIGNMENT 64u

typedef enum gradc_status {
  GRADC_OK = 0,
  GRADC_BAD_ARGUMENT = 1, /* null pointer, unknown name, wrong size */
  GRADC_BAD_ABI = 2, /* module built for another GRADC_ABI_VERSION */
  GRADC_BAD_CPU = 3, /* this CPU lacks a feature that the module was compiled for */
  GRADC_OUT_OF_MEMORY = 4, /* gradc_create could not allocate a region */
  GRADC_IO_ERROR = 5, /* a file cannot be read or written; gradc_last_error says which */
  GRADC_BAD_FILE = 6 /* a file is damaged or of another model */
} gradc_status;

typedef enum gradc_dtype {
  GRADC_F32,
  GRADC_F64,
  GRADC_F16,
  GRADC_BF16,
  GRADC_I8,
  GRADC_U8,
  GRADC_I16,
  GRADC_I32,
  GRADC_I64,
  GRADC_BOOL
} gradc_dtype;

/* What a tensor of the state region is for. */
typedef enum gradc_role {
  GRADC_PARAMETER, /* trained, or frozen; what a weights file holds */
  GRADC_BUFFER, /* changed by forward passes: running statistics; in a weights file too */
  GRADC_OPTIMIZER, /* moments and the like; in a checkpoint only */
  GRADC_DERIVED /* made of parameters and buffers by the entry "prepare"; in no file */
} gradc_role;

/* A tensor of the state region, or an input or output of an entry (then `offset` is 0). */
typedef struct gradc_tensor {
  const char* name;
  const int64_t* dims;
  uint32_t rank;
  uint8_t dtype; /* gradc_dtype */
  uint8_t role; /* gradc_role; of state tensors only */
  uint16_t reserved;
  uint64_t offset; /* in the state region */
  uint64_t bytes;
} gradc_tensor;

/* Runs body(data, begin, end, worker) over a partition of [0, count) and returns when all of it
 * ran. `worker` is below the `threads` of the context, and no two calls that run at once share one.
 */
typedef void (*gradc_body)(void* data, int64_t begin, int64_t end, int32_t worker);
typedef void (*gradc_parallel_for)(void* pool, int64_t count, gradc_body body, void* data);

/* A clock's eye on an entry: called before each of its kernels, which `kernel` counts from 0, and
 * once more after the last. Only code that was compiled with marks (`gradc bench --profile`) calls
 * it. */
typedef void (*gradc_mark)(void* data, uint32_t kernel);

/* What an entry is called with. Compiled code reads these fields by offset: append only. */
typedef struct gradc_context {
  void* state; /* module->state_bytes */
  void* arena; /* entry->arena_bytes at least */
  gradc_parallel_for parallel_for; /* never null */
  void* pool; /* first argument of parallel_for */
  int32_t threads; /* 1 .. module->max_threads */
  int32_t reserved;
  gradc_mark mark; /* null: none */
  void* mark_data; /* first argument of mark */
} gradc_context;

/* inputs[i] and outputs[i] are the caller's buffers, in the order of the entry's tables. */
typedef void (*gradc_entry_function)(const gradc_context* context, const void* const* inputs,
                                     void* const* outputs);

typedef struct gradc_entry {
  const char* name; /* "init", "train_step", "infer", "prepare", ... */
  gradc_entry_function function;
  const gradc_tensor* inputs;
  const gradc_tensor* outputs;
  uint32_t input_count, output_count;
  uint64_t arena_bytes;
} gradc_entry;

typedef struct gradc_module {
  uint32_t abi_version; /* GRADC_ABI_VERSION */
  uint32_t max_threads; /* thread scratch in the arena is sized for this many */
  const char* name;
  const char* hash; /* of the model and the options; checkpoints carry it */
  const char* cpu; /* what it was compiled for, e.g. "x86-64-v3" */
  const char* cpu_features; /* LLVM's names of the features that must be present, e.g. "avx2 fma" */
  const gradc_tensor* state;
  const gradc_entry* entries;
  uint32_t state_count, entry_count;
  uint64_t state_bytes;
} gradc_module;

/* The runtime library (libgradc_runtime). Using it is optional: an entry needs a context only, and
 * the entry "prepare", if the module has one, must have run since parameters or buffers changed. */

typedef struct gradc_pool gradc_pool; /* worker threads: they spin shortly, then sleep */
typedef struct gradc_instance gradc_instance; /* a module with its memory */

/* A pool of `threads` workers, the calling thread being one of them; 0 means one per available
 * core. */
gradc_pool* gradc_pool_create(int32_t threads);
void gradc_pool_destroy(gradc_pool* pool);
int32_t gradc_pool_threads(const gradc_pool* pool);
void gradc_pool_parallel_for(void* pool, int64_t count, gradc_body body, void* data);

/* Memory that the caller owns and gradc_create leaves as it is, so state may hold weights already.
 * Null members are allocated (state zeroed, then it is the entry "init" that fills it) and freed by
 * gradc_destroy. */
typedef struct gradc_memory {
  void* state;
  void* arena; /* gradc_arena_bytes(module) */
} gradc_memory;

uint64_t gradc_arena_bytes(const gradc_module* module); /* the largest entry's */
/* `pool` may be null (one thread), shared by instances, and must outlive them; `memory` may be
 * null. */
gradc_status gradc_create(const gradc_module* module, gradc_pool* pool, const gradc_memory* memory,
                          gradc_instance** out);
void gradc_destroy(gradc_instance* instance);
/* To bring a thread pool of one's own, between runs: `f` is called with a count of at most
 * `threads` and may run every index on a thread of its own, in any order; the instance takes care
 * of the workers' numbers. */
void gradc_set_parallel_for(gradc_instance* instance, gradc_parallel_for f, void* pool,
                            int32_t threads);

void gradc_set_mark(gradc_instance* instance, gradc_mark f, void* data); /* between runs */

const gradc_entry* gradc_find_entry(const gradc_module* module, const char* name); /* or null */
const gradc_tensor* gradc_find_state(const gradc_module* module, const char* name); /* or null */
/* Counts as a change of the state: what is derived from it is made again by the next run. Who
 * writes through a pointer from before that run calls it again; a runtime built without NDEBUG
 * reports who does not. */
void* gradc_state_data(gradc_instance* instance, const gradc_tensor* tensor);
/* Runs an entry, one run of an instance at a time; before it the entry "prepare", if the module has
 * one and its last run was before "init", gradc_load or gradc_state_data. No allocation, no lock.
 * MXCSR (rounding, denormals) is set and restored. */
gradc_status gradc_run(gradc_instance* instance, const gradc_entry* entry,
                       const void* const* inputs, void* const* outputs);

/* Safetensors files. Saving writes a temporary file beside `path`, syncs it and renames it over
 * `path`. `metadata` is pairs of strings, ended by a null key; it may be null. Loading matches
 * tensors by name and refuses other shapes and types; `with_optimizer` = 0 takes parameters and
 * buffers only. */
gradc_status gradc_save(const gradc_instance* instance, const char* path, int with_optimizer,
                        const char* const* metadata);
gradc_status gradc_load(gradc_instance* instance, const char* path, int with_optimizer);
/* The text that a safetensors file has under a key of its metadata, with a final zero, in `size`
 * bytes at `text`. */
gradc_status gradc_metadata(const char* path, const char* key, char* text, size_t size);

const char* gradc_status_text(gradc_status status);
/* What went wrong in this thread's last call that failed, with file names; "" if nothing did. */
const char* gradc_last_error(void);

#ifdef __cplusplus
}
#endif
#endif
