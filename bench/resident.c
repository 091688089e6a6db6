/* What a program that links a compiled model and gradc's runtime has in memory, by the OS: runs each
 * entry that the module has, `init` first, and prints sizes of regions and resident bytes as JSON.
 * bench/resident.py compiles it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gradc_runtime.h"

extern const gradc_module model_module;

/* VmHWM, the most that was resident so far, or another line of the process's status, in bytes. */
static long long status_bytes(const char* key) {
  char line[256];
  long long kib = -1;
  FILE* file = fopen("/proc/self/status", "r");
  while (file && fgets(line, sizeof line, file))
    if (strncmp(line, key, strlen(key)) == 0)
      sscanf(line + strlen(key), ": %lld", &kib);
  if (file)
    fclose(file);
  return kib * 1024;
}

static void check(gradc_status status) {
  if (status != GRADC_OK) {
    fprintf(stderr, "%s: %s\n", gradc_status_text(status), gradc_last_error());
    exit(1);
  }
}

/* Buffers of an entry's table, every byte written. */
static void** buffers(const gradc_tensor* tensors, uint32_t count, unsigned long long* bytes) {
  void** made = calloc(count + 1, sizeof *made);
  *bytes = 0;
  for (uint32_t i = 0; i < count; ++i) {
    made[i] = malloc(tensors[i].bytes + 1);
    memset(made[i], 0, tensors[i].bytes + 1);
    *bytes += tensors[i].bytes;
  }
  return made;
}

static unsigned long long run(gradc_instance* instance, const gradc_entry* entry, int times) {
  unsigned long long inputs, outputs;
  void** in = buffers(entry->inputs, entry->input_count, &inputs);
  void** out = buffers(entry->outputs, entry->output_count, &outputs);
  for (int i = 0; i < times; ++i)
    check(gradc_run(instance, entry, (const void* const*)in, out));
  return inputs + outputs;
}

int main(int count, char** arguments) {
  long long before = status_bytes("VmHWM");
  gradc_pool* pool = gradc_pool_create(count > 1 ? atoi(arguments[1]) : 1);
  gradc_instance* instance = NULL;
  check(gradc_create(&model_module, pool, NULL, &instance));
  const gradc_entry* init = gradc_find_entry(&model_module, "init");
  const gradc_entry* step = gradc_find_entry(&model_module, "train_step");
  unsigned long long io = init ? run(instance, init, 1) : 0;
  io += run(instance, step ? step : gradc_find_entry(&model_module, "infer"), 3);
  printf("{\"arena\": %llu, \"state\": %llu, \"io\": %llu, \"before\": %lld, \"resident\": %lld}\n",
         (unsigned long long)gradc_arena_bytes(&model_module),
         (unsigned long long)model_module.state_bytes, io, before, status_bytes("VmHWM"));
  return 0;
}
